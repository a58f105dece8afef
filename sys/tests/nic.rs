//! An interface that really stamps: the lab's, in its guest.
//!
//! ```sh
//! cargo test -p clockwright-sys --test nic --no-run     # prints the file
//! tests/lab/run -n net '. $LAB/guest/lib.sh; lab_up; in_ns 0 FILE --ignored --test-threads 1'
//! ```

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clockwright_sys::ethtool::Ethtool;
use clockwright_sys::hwtstamp::{
    Capabilities, Config, FilterChoice, HwtstampError, Lack, RxFilter, TxType,
};
use clockwright_sys::link::{Change, Kind, Watch, list};

const NIC: &str = "hwt0";
const AUTO: FilterChoice = FilterChoice::Auto {
    ptp_transport: true,
};

/// A knob of the simulated device.
fn knob(name: &str, value: &str) {
    fs::write(
        Path::new("/sys/devices/platform/hwtsim.0").join(name),
        value,
    )
    .unwrap();
}

/// The NIC as after its driver was loaded, able to stamp these received packets.
fn fresh(rxfilter: &str) -> Ethtool {
    knob("rxfilter", rxfilter);
    knob("reset", "1");
    Ethtool::open().unwrap()
}

fn config(tx: TxType, rx: RxFilter) -> Config {
    Config { flags: 0, tx, rx }
}

#[test]
#[ignore = "needs the lab's NIC"]
fn abilities_are_those_of_the_nic() {
    let mut ethtool = fresh("all");
    let all: Capabilities = ethtool.capabilities(NIC).unwrap();
    assert!(all.hardware_rx() && all.hardware_tx() && all.software_rx() && all.software_tx());
    assert!(all.offers_rx(RxFilter::All) && !all.offers_rx(RxFilter::NtpAll));
    assert!(all.offers_tx(TxType::On) && !all.offers_tx(TxType::OneStepSync));
    let phc = all.phc_index.unwrap();
    assert!(Path::new(&format!("/dev/ptp{phc}")).exists());
    assert_eq!(ethtool.driver(NIC).unwrap(), "hwtsim");
    assert_eq!(ethtool.virtual_clocks(NIC).unwrap(), []);
    let none = fresh("none").capabilities(NIC).unwrap();
    assert!(!none.hardware_rx() && none.hardware_tx() && !none.offers_rx(RxFilter::All));
}

#[test]
#[ignore = "needs the lab's NIC"]
fn virtual_clocks_are_listed() {
    let mut ethtool = fresh("all");
    let phc = ethtool.capabilities(NIC).unwrap().phc_index.unwrap();
    let count = format!("/sys/class/ptp/ptp{phc}/n_vclocks");
    fs::write(&count, "2").unwrap();
    let clocks = ethtool.virtual_clocks(NIC).unwrap();
    assert_eq!(clocks.len(), 2, "{clocks:?}");
    for clock in clocks {
        assert!(Path::new(&format!("/sys/class/ptp/ptp{clock}")).exists() && clock != phc);
    }
    fs::write(&count, "0").unwrap();
    assert_eq!(ethtool.virtual_clocks(NIC).unwrap(), []);
}

#[test]
#[ignore = "needs the lab's NIC"]
fn the_drivers_answer_counts() {
    let mut ethtool = fresh("all");
    let off = config(TxType::Off, RxFilter::None);
    assert_eq!(ethtool.config(NIC).unwrap(), off);
    // The NIC makes "all" of any filter.
    let asked = config(TxType::On, RxFilter::PtpV2Event);
    let granted = ethtool.set_config(NIC, asked).unwrap();
    assert_eq!(granted, config(TxType::On, RxFilter::All));
    assert_eq!(ethtool.config(NIC).unwrap(), granted);
    knob("reset", "1");
    assert_eq!(ethtool.config(NIC).unwrap(), off, "a reset forgets it");
    let error = ethtool.set_config(NIC, config(TxType::OneStepP2p, RxFilter::All));
    assert!(
        matches!(error, Err(HwtstampError::FilterImpossible(..))),
        "{error:?}"
    );
}

#[test]
#[ignore = "needs the lab's NIC"]
fn each_nic_is_set_to_the_best_it_has() {
    for (rxfilter, rx, lack) in [
        ("all", RxFilter::All, None),
        ("ntp", RxFilter::NtpAll, None),
        ("ptp", RxFilter::PtpV2L4Event, None),
        ("none", RxFilter::None, Some(Lack::NotOffered)),
    ] {
        let mut ethtool = fresh(rxfilter);
        let arranged = ethtool.arrange(NIC, AUTO).unwrap();
        assert_eq!(arranged.config, Some(config(TxType::On, rx)), "{rxfilter}");
        assert_eq!(arranged.lack, lack, "{rxfilter}");
        assert!(arranged.changed && arranged.refused.is_none(), "{rxfilter}");
        let again = ethtool.arrange(NIC, AUTO).unwrap();
        assert_eq!((again.config, again.changed), (arranged.config, false));
    }
}

#[test]
#[ignore = "needs the lab's NIC"]
fn what_another_program_set_is_widened_or_kept() {
    let mut ethtool = fresh("ptp");
    // As ptp4l over Ethernet does.
    let ptp4l = config(TxType::On, RxFilter::PtpV2L2Event);
    ethtool.set_config(NIC, ptp4l).unwrap();
    let arranged = ethtool.arrange(NIC, AUTO).unwrap();
    let both = config(TxType::On, RxFilter::PtpV2Event);
    assert_eq!((arranged.config, arranged.changed), (Some(both), true));
    let arranged = ethtool.arrange(NIC, FilterChoice::Ntp).unwrap();
    assert_eq!((arranged.config, arranged.changed), (Some(both), false));
    assert_eq!(arranged.lack, Some(Lack::NotOffered));
}

#[test]
#[ignore = "needs the lab's NIC"]
fn without_the_capability_what_is_set_is_used() {
    let mut ethtool = fresh("all");
    let set = ethtool
        .set_config(NIC, config(TxType::On, RxFilter::All))
        .unwrap();
    let outcome = std::thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            become_nobody();
            let mut ethtool = Ethtool::open().unwrap();
            let fits = ethtool.arrange(NIC, AUTO).unwrap();
            let lacks = ethtool.set_config(NIC, config(TxType::Off, RxFilter::None));
            (fits, lacks)
        });
        unprivileged.join()
    });
    let (fits, lacks) = outcome.unwrap();
    assert_eq!((fits.config, fits.changed), (Some(set), false));
    assert!(fits.refused.is_none());
    assert!(
        matches!(lacks, Err(HwtstampError::NotPermitted(_))),
        "{lacks:?}"
    );
}

/// Takes the calling thread's privileges, for good.
fn become_nobody() {
    let nobody = 65534;
    // SAFETY: the system call takes three numbers. The C library's function would change all
    // threads of the process.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) };
    assert_eq!(result, 0);
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    assert!(program.args(words).status().unwrap().success(), "{command}");
}

#[test]
#[ignore = "needs the lab's NIC"]
fn a_change_of_speed_is_seen() {
    let mut ethtool = fresh("all");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for mbps in [100, 1000] {
        let mut watch = Watch::new().unwrap();
        run(&format!(
            "ethtool -s {NIC} speed {mbps} autoneg off duplex full"
        ));
        let running = |change: &Change| matches!(change, Change::Link(link) if link.name == NIC && link.running);
        let seen = runtime.block_on(async {
            let seen = async { while !watch.changes().await.unwrap().iter().any(running) {} };
            tokio::time::timeout(Duration::from_secs(10), seen).await
        });
        assert!(seen.is_ok(), "{mbps}");
        assert_eq!(ethtool.speed_mbps(NIC).unwrap(), Some(mbps));
    }
    run(&format!("ip link set {NIC} down"));
    assert_eq!(ethtool.speed_mbps(NIC).unwrap(), None, "without a carrier");
    run(&format!("ip link set {NIC} up"));
}

#[test]
#[ignore = "needs the lab's NIC"]
fn a_vlan_says_what_its_lower_interface_can() {
    let mut ethtool = fresh("all");
    let nic = ethtool.capabilities(NIC).unwrap();
    run(&format!("ip link add link {NIC} name vlan5 type vlan id 5"));
    let links = list().unwrap();
    let named = |name: &str| links.iter().find(|link| link.name == name).unwrap();
    assert_eq!(named("vlan5").kind, Kind::Vlan);
    assert_eq!(named("vlan5").lower, Some(named(NIC).index));
    assert_eq!(
        ethtool.capabilities("vlan5").unwrap().phc_index,
        nic.phc_index
    );
    run("ip link del vlan5");
}
