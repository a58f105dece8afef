//! A daemon with a list of leap seconds, whose virtual clock comes to the end of such a day.

use std::fs;
use std::path::PathBuf;

use clockwright_sys::clock::realtime_now;

use super::{Host, free_port, on_one_thread, scratch, source};
use crate::control::LeapReport;
use crate::leap::tests::hashed;

/// From 1900-01-01 to 1970-01-01, s.
const NTP_TO_UNIX: i64 = 2_208_988_800;
/// The clocks of both are so far from midnight at the start, s.
const LEFT: i64 = 15;

/// A list with a leap second before `midnight` (s since 1970), and a hundred days on both sides.
fn list_with_one(midnight: i64) -> String {
    let ntp = midnight + NTP_TO_UNIX;
    hashed(&format!(
        "#$ {}\n#@ {}\n3692217600 37\n{ntp} 38\n#h HASH\n",
        ntp - 8_640_000,
        ntp + 8_640_000,
    ))
}

/// A server, and what a client of it needs whose clock comes to the end of such a day.
struct Scene {
    directory: PathBuf,
    path: PathBuf,
    list: String,
    /// What the clocks of both show more than the host's, s.
    error: i64,
    clock: String,
    port: u16,
    _server: Host,
}

impl Scene {
    /// So many seconds before midnight.
    fn new(left: i64) -> Self {
        let now = realtime_now().since_epoch().as_nanos() / 1_000_000_000;
        let midnight = (now / 86_400 + 1) * 86_400;
        let directory = scratch();
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("leap-seconds.list");
        let list = list_with_one(midnight);
        fs::write(&path, &list).unwrap();
        let error = midnight - left - now;
        let port = free_port();
        let clock = format!("[clock]\nkind = 'virtual'\nvirtual = {{ error = '{error}s' }}\n");
        let server = Host::start(&format!(
            "{clock}[server]\nlisten = ['127.0.0.1:{port}']\nlocal = {{ stratum = 1 }}\n"
        ));
        Self {
            directory,
            path,
            list,
            error,
            clock,
            port,
            _server: server.unwrap(),
        }
    }

    fn client(&self, mode: &str) -> Host {
        let client = Host::start(&format!(
            "{}{}leap = '{mode}'\nleap_list = '{}'\n",
            source("127.0.0.1", self.port),
            self.clock,
            self.path.display()
        ));
        client.unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_leap_second_of_the_list_is_made_once_and_told_before_it() {
    on_one_thread(async {
        let scene = Scene::new(LEFT);
        let client = scene.client("kernel");
        passes(&client, scene.error as f64 - 1.0).await;

        // What is damaged is refused, and the one before goes on.
        let damaged = scene.list.replace("3692217600", "3692217601");
        fs::write(&scene.path, damaged).unwrap();
        client.daemon.borrow_mut().reload();
        let status = client.status();
        let refused = status.leap_list_error;
        assert!(refused.is_some_and(|error| error.contains("line 3")));
        assert!(status.leap_list.is_some_and(|list| list.valid));
        assert_eq!(status.tai_offset_s, Some(38));
    });
}

#[test]
fn a_daemon_that_ends_before_a_leap_second_does_not_make_it() {
    on_one_thread(async {
        let scene = Scene::new(60);
        for mode in ["step", "slew"] {
            let client = scene.client(mode);
            let ready = |client: &Host| client.status().leap == LeapReport::Insert;
            client.wait_for("ready for the leap second", ready).await;
            client.daemon.borrow_mut().stop();
            // A slew of the leap second is at 5 %.
            let (steps, rate) = (client.status().steps, client.daemon.borrow().clock.rate());
            assert!(steps == 0 && rate.abs() < 1e-3, "{mode}: {steps} {rate}");
        }
    });
}

/// The client announces the leap second, makes it, and goes on; then its clock shows `error_s` more
/// than the host's.
async fn passes(client: &Host, error_s: f64) {
    client
        .wait_for("synchronised, with a leap second to come", |client| {
            let status = client.status();
            status.leap == LeapReport::Insert && status.tai_offset_s == Some(37)
        })
        .await;
    assert_eq!(client.status().steps, 0);
    client
        .wait_for("past the leap second", |client| client.status().steps == 1)
        .await;
    let status = client.status();
    assert!(
        status.synchronized && status.offset_s.unwrap().abs() < 1e-3,
        "{status:?}"
    );
    assert_eq!(
        (status.leap, status.tai_offset_s),
        (LeapReport::None, Some(38))
    );
    let shown = status.true_error_s.unwrap();
    assert!((shown - error_s).abs() < 1e-3, "{shown} {error_s}");
    // The server has not made it, which may be: it is understood, for a minute.
    let samples = status.samples;
    client
        .wait_for("a dozen samples further", |client| {
            client.status().samples > samples + 12
        })
        .await;
    let status = client.status();
    assert_eq!(status.steps, 1);
    assert!(status.offset_s.unwrap().abs() < 1e-3, "{status:?}");
}
