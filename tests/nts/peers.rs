//! The peers among themselves: what fails here is not clockwright's doing.

use crate::scene::{PATIENCE, Scene};
use crate::support::chrony::{self, Chronyd, value};
use crate::support::ntpd_rs::{self, NtpdRs};
use crate::support::ntpsec::{self, Ntpsec};
use crate::support::peer::Version::{Newest, Release};
use crate::support::star::Star;
use crate::support::wait::{wait_for, when};

#[test]
fn chrony_is_served_by_ntpsec_and_ntpsec_by_ntpd_rs_and_ntpd_rs_by_chrony() {
    let scene = Scene::new(3);
    chrony_is_served_by_ntpsec(&scene);
    ntpsec_is_served_by_ntpd_rs(&scene);
    ntpd_rs_is_served_by_chrony(&scene);
}

fn chrony_is_served_by_ntpsec(scene: &Scene) {
    let star = &scene.star;
    let configuration = ntpsec::nts_server(&scene.identity(0));
    let directory = &star.directory;
    let server = Ntpsec::start(
        Newest,
        &star.servers[0],
        directory,
        "ntpsec",
        &configuration,
    );
    let asking = chrony::nts_client(Star::server_ipv4(0), &scene.authority, chrony::OFTEN);
    let client = Chronyd::start_version(Newest, &star.client, directory, "by-chrony", &asking);
    wait_for("chrony's cookies from ntpsec", PATIENCE, || {
        when(client.authdata(), |data| {
            (data.mode.as_str(), data.algorithm, data.cookies) == ("NTS", 15, 8)
        })
    });
    wait_for("ntpsec's authentic replies", PATIENCE, || {
        when(server.count("nts_server_send"), |count| *count > 0)
    });
}

fn ntpsec_is_served_by_ntpd_rs(scene: &Scene) {
    let star = &scene.star;
    let directory = &star.directory;
    let configuration = ntpd_rs::nts_server(&scene.identity(1), directory, 86_400);
    let server = NtpdRs::start(&star.servers[1], directory, "ntpd-rs", &configuration);
    let asking = ntpsec::nts_client(Star::server_name(1), &scene.authority);
    let client = Ntpsec::start(Release, &star.client, directory, "by-ntpsec", &asking);
    wait_for("ntpsec's answers from ntpd-rs", PATIENCE, || {
        when(client.count("nts_client_recv_good"), |count| *count > 0)
    });
    assert_ne!(server.server()["nts_accepted_packets"], 0);
}

fn ntpd_rs_is_served_by_chrony(scene: &Scene) {
    let star = &scene.star;
    let directory = &star.directory;
    let configuration = chrony::nts_server(&scene.identity(2));
    let server = Chronyd::start_version(
        Newest,
        &star.servers[2],
        directory,
        "chrony",
        &configuration,
    );
    let asking = ntpd_rs::nts_client(Star::server_name(2), &scene.authority);
    let client = NtpdRs::start(&star.client, directory, "by-ntpd-rs", &asking);
    wait_for("ntpd-rs's cookies from chrony", PATIENCE, || {
        when(client.source(), |source| source["nts_cookies"] == 8)
    });
    wait_for("chrony's authentic replies", PATIENCE, || {
        when(server.ask("serverstats"), |report| {
            value(report, "Authenticated NTP packets").is_some_and(|count| count != "0")
        })
    });
}
