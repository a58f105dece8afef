//! Interfaces, listed and watched, in network namespaces of our own: whatever happens there
//! happens to nobody else.
//!
//! The tests want root and iproute2. Which kinds of interfaces there are depends on the kernel;
//! the lab's guest has them all (`tests/lab/run -n net TEST-BINARY`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clockwright_sys::ethtool::Ethtool;
use clockwright_sys::link::{Change, Kind, Link, Watch, list};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use tokio::runtime::Runtime;

/// Far beyond what the kernel takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test in a network namespace that ends with it.
fn in_namespace(test: impl FnOnce() + Send) {
    if !geteuid().is_root() {
        eprintln!("skipped: making network namespaces needs root");
        return;
    }
    // A thread of its own: the namespace is the thread's, and those of other tests are others.
    thread::scope(|scope| {
        let outcome = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            test();
        });
        if let Err(panic) = outcome.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// `ip ARGUMENTS`, in the namespace of the thread; did it work?
fn try_ip(arguments: &str) -> bool {
    let mut ip = Command::new("ip");
    ip.args(arguments.split(' ')).stderr(Stdio::null());
    ip.status().is_ok_and(|status| status.success())
}

fn ip(arguments: &str) {
    assert!(try_ip(arguments), "ip {arguments}");
}

/// The link of this name.
fn named(name: &str) -> Link {
    let mut links = list().unwrap().into_iter();
    links
        .find(|link| link.name == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_new_namespace_has_a_loopback_interface() {
    in_namespace(|| {
        let lo = named("lo");
        assert_eq!((lo.index, lo.kind, lo.loopback), (1, Kind::Device, true));
        assert!(!lo.up && !lo.running && lo.master.is_none() && lo.lower.is_none());
        ip("link set lo up");
        let lo = named("lo");
        assert!(lo.up && lo.running);
    });
}

#[test]
fn a_cable_runs_when_both_ends_are_up() {
    in_namespace(|| {
        ip("link add near type veth peer name far");
        ip("link set near up");
        let near = named("near");
        assert_eq!(
            (near.kind, near.up, near.running),
            (Kind::Veth, true, false)
        );
        assert_eq!(near.lower, None, "the other end is not below");
        ip("link set far up");
        // The kernel tells its interfaces of their carriers when it has time.
        let deadline = Instant::now() + PATIENCE;
        while !named("near").running {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn what_is_above_and_below_is_known() {
    in_namespace(|| {
        ip("link add eth0 type veth peer name far");
        let eth0 = named("eth0").index;
        for (kind, link) in [
            (Kind::Macvlan, "link add link eth0 name above type macvlan"),
            (Kind::Vlan, "link add link eth0 name above type vlan id 5"),
            (Kind::Ipvlan, "link add link eth0 name above type ipvlan"),
        ] {
            if !try_ip(link) {
                eprintln!("not tried, since this kernel has no {kind}");
                continue;
            }
            let above = named("above");
            assert_eq!((above.kind, above.lower), (kind, Some(eth0)));
            ip("link del above");
        }
        for (kind, master) in [
            (Kind::Bridge, "link add over type bridge"),
            (Kind::Bond, "link add over type bond"),
            (Kind::Team, "link add over type team"),
        ] {
            if !try_ip(master) {
                eprintln!("not tried, since this kernel has no {kind}");
                continue;
            }
            ip("link set eth0 down");
            ip("link set eth0 master over");
            let over = named("over");
            assert_eq!(over.kind, kind);
            assert_eq!(named("eth0").master, Some(over.index));
            ip("link del over");
            assert_eq!(named("eth0").master, None);
        }
    });
}

#[test]
fn an_interface_below_in_another_namespace_is_not_ours() {
    in_namespace(|| {
        ip("link add eth0 type veth peer name far");
        let kinds = ["macvlan", "vlan id 5"];
        let add = |kind: &&str| try_ip(&format!("link add link eth0 name above type {kind}"));
        assert!(kinds.iter().any(add), "one of {kinds:?} is needed");
        assert!(named("above").lower.is_some());
        // A process keeps the other namespace alive for as long as its input is open.
        let mut other = Command::new("unshare");
        other.args(["--net", "cat"]).stdin(Stdio::piped());
        let mut other = other.spawn().unwrap();
        let moved = || try_ip(&format!("link set eth0 netns {}", other.id()));
        // Until it has unshared, that is our own, and nothing moves.
        for _ in 0..1000 {
            moved();
            if !list().unwrap().iter().any(|link| link.name == "eth0") {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(named("above").lower, None);
        drop(other.stdin.take());
        other.wait().unwrap();
    });
}

/// A tokio for one test. A watch stays with the one in which it was first waited for.
fn tokio() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Waits until the changes seen since the last call have what is looked for.
fn wait_for(tokio: &Runtime, watch: &mut Watch, what: impl Fn(&Change) -> bool) -> Vec<Change> {
    tokio.block_on(async {
        let mut seen = Vec::new();
        let all = async {
            while !seen.iter().any(&what) {
                seen.extend(watch.changes().await.unwrap());
            }
        };
        let waited = tokio::time::timeout(PATIENCE, all).await;
        assert!(waited.is_ok(), "{seen:?}");
        seen
    })
}

#[test]
fn a_watch_sees_an_interface_come_change_and_go() {
    in_namespace(|| {
        let tokio = tokio();
        let mut watch = Watch::new().unwrap();
        assert_eq!(watch.read().unwrap(), [], "nothing has happened yet");
        ip("link add eth0 type veth peer name far");
        let link = |change: &Change, test: &dyn Fn(&Link) -> bool| match change {
            Change::Link(link) => test(link),
            _ => false,
        };
        wait_for(&tokio, &mut watch, |c| {
            link(c, &|l| l.name == "eth0" && !l.up)
        });
        let index = named("eth0").index;
        ip("link set eth0 up");
        ip("link set far up");
        wait_for(&tokio, &mut watch, |c| {
            link(c, &|l| l.index == index && l.up && l.running)
        });
        ip("address add 192.0.2.1/24 dev eth0");
        let seen = wait_for(&tokio, &mut watch, |change| *change == Change::Route);
        assert!(seen.contains(&Change::Address), "{seen:?}");
        ip("link set eth0 down");
        wait_for(&tokio, &mut watch, |c| {
            link(c, &|l| l.index == index && !l.up)
        });
        ip("link set eth0 name lan0");
        wait_for(&tokio, &mut watch, |c| {
            link(c, &|l| l.index == index && l.name == "lan0")
        });
        ip("link del lan0");
        let gone = Change::Gone { index };
        wait_for(&tokio, &mut watch, |change| *change == gone);
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    in_namespace(|| {
        ip("link add eth0 type veth peer name far");
        ip("link add bridge0 type bridge");
        let eth0 = named("eth0").index;
        let tokio = tokio();
        let mut watch = Watch::new().unwrap();
        ip("link set eth0 master bridge0");
        ip("link set eth0 nomaster");
        ip("link add last type veth peer name end");
        let last = |change: &Change| matches!(change, Change::Link(link) if link.name == "last");
        let seen = wait_for(&tokio, &mut watch, last);
        assert!(!seen.contains(&Change::Gone { index: eth0 }), "{seen:?}");
        let masters: Vec<_> = seen
            .iter()
            .filter_map(|change| match change {
                Change::Link(link) if link.index == eth0 => Some(link.master),
                _ => None,
            })
            .collect();
        assert!(masters.iter().any(Option::is_some), "{seen:?}");
        assert_eq!(masters.last(), Some(&None), "{seen:?}");
    });
}

#[test]
fn more_changes_than_the_kernel_keeps_are_told_of() {
    in_namespace(|| {
        let mut watch = Watch::new().unwrap();
        // Each makes some six messages of more than a kilobyte; the socket keeps 200 kB.
        let names: Vec<_> = (0..200).map(|n| format!("v{n}")).collect();
        let add = |name| format!("link add {name} type veth peer name p{name}\n");
        let batch: String = names.iter().map(add).collect();
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped());
        let mut ip = ip.spawn().unwrap();
        std::io::Write::write_all(&mut ip.stdin.take().unwrap(), batch.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success());
        let mut seen = Vec::new();
        loop {
            let more = watch.read().unwrap();
            if more.is_empty() {
                break;
            }
            assert!(more.len() < 1000, "a flood comes in parts");
            seen.extend(more);
        }
        assert!(seen.contains(&Change::Missed));
        // What the watch missed, a list has, whole though it takes many messages.
        let links: BTreeMap<_, _> = list()
            .unwrap()
            .into_iter()
            .map(|link| (link.name, link.index))
            .collect();
        assert_eq!(links.len(), 2 * names.len() + 1);
        assert!(names.iter().all(|name| links.contains_key(name)));
    });
}

#[test]
fn a_renamed_interface_is_asked_by_its_index() {
    in_namespace(|| {
        ip("link add eth0 type veth peer name far");
        let index = named("eth0").index;
        let mut ethtool = Ethtool::open().unwrap();
        ip("link set eth0 name lan0");
        assert!(ethtool.capabilities("eth0").is_err());
        assert!(ethtool.capabilities(index).unwrap().software_tx());
        assert_eq!(ethtool.driver(index).unwrap(), "veth");
        assert_eq!(ethtool.speed_mbps(index).unwrap(), Some(10_000));
        let error = ethtool.config(index).unwrap_err().to_string();
        assert!(error.starts_with("lan0: "), "{error}");
        ip("link del lan0");
        let error = ethtool.capabilities(index).unwrap_err().to_string();
        assert!(error.contains(&format!("interface {index}")), "{error}");
    });
}
