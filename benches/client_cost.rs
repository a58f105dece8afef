//! What a client costs: our daemon and chronyd side by side, in the same run.
//!
//! Four programs run for the same time, each in a network namespace of its own: clockwright and
//! chronyd, both at a poll interval of 64 s (what a client costs a host) and both at 1 s (what an
//! exchange costs). All ask the same four servers in interleaved mode, and none touches the host's
//! clock: ours steers a virtual one, chronyd runs with `-x`. What their start and their first
//! burst of requests cost is not counted: measuring begins when those are past.
//!
//! `CLIENT_COST_SECONDS` is how long to measure, by default two poll intervals of 64 s.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]
#![expect(
    clippy::panic,
    reason = "a bench that cannot measure has nothing else to do"
)]

#[path = "common/interrupts.rs"]
mod interrupts;
#[expect(
    dead_code,
    reason = "made for the integration tests, which use the rest"
)]
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use interrupts::Interrupts;
use support::chrony::Chronyd;
use support::daemon::CLOCKWRIGHT;
use support::directory::Directory;
use support::network::{Host, Network};
use support::process::Process;
use support::star::source;
use tokio::time::sleep;

/// The servers' last octets in 10.85.0.0/24.
const SERVERS: [u8; 4] = [1, 2, 3, 4];
/// From the start until all bursts are over and every program is at its poll interval.
const SETTLE: Duration = Duration::from_secs(20);
/// Two poll intervals of the slow clients.
const MEASURE_S: u64 = 128;

fn main() -> ExitCode {
    let seconds = env::var("CLIENT_COST_SECONDS").map_or(MEASURE_S, |text| {
        text.parse()
            .expect("CLIENT_COST_SECONDS is a whole number of seconds")
    });
    let mut interrupts = Interrupts::new();
    let world = World::new();
    eprintln!(
        "measuring for {seconds} s, after {} s to settle",
        SETTLE.as_secs()
    );
    if interrupts.wait(|| sleep(SETTLE)).is_err() {
        return interrupted();
    }
    let before = world.look();
    if interrupts
        .wait(|| sleep(Duration::from_secs(seconds)))
        .is_err()
    {
        return interrupted();
    }
    let after = world.look();
    let costs: Vec<Cost> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| Cost::between(before, after))
        .collect();
    print_table(&costs);
    print_programs(&world.clients, &world.directory);
    ExitCode::SUCCESS
}

/// All processes and namespaces are gone by then: they belong to values that are.
fn interrupted() -> ExitCode {
    eprintln!("interrupted: nothing is left behind");
    ExitCode::from(130)
}

/// The servers and the clients. Dropped in this order: processes before what they stand on.
struct World {
    clients: Vec<Client>,
    servers: Vec<Chronyd>,
    directory: Directory,
    _hosts: Vec<Host>,
    _network: Network,
}

/// A program that is measured.
struct Client {
    name: &'static str,
    pid: u32,
    /// By which the servers know it.
    address: String,
    _running: Running,
}

/// Runs as long as this is kept.
#[expect(dead_code, reason = "kept for what dropping it does")]
enum Running {
    Clockwright(Process),
    Chronyd(Chronyd),
}

impl World {
    fn new() -> Self {
        let network = Network::new();
        let directory = Directory::new();
        let center = network.host("servers");
        let servers = SERVERS
            .map(|last| start_server(&center, &directory, last))
            .into();
        let mut hosts = Vec::new();
        let mut clients = Vec::new();
        for (number, (name, start)) in (1..).zip(CLIENTS) {
            let host = network.host(name);
            let port = format!("to-{number}");
            center.cable(&port, (&host, "eth0"));
            center.address(&port, &format!("10.85.{number}.1/30"));
            let address = format!("10.85.{number}.2");
            host.address("eth0", &format!("{address}/30"));
            host.ip(&format!("route add 10.85.0.0/24 via 10.85.{number}.1"));
            let (pid, running) = start(&host, &directory, name);
            clients.push(Client {
                name,
                pid,
                address,
                _running: running,
            });
            hosts.push(host);
        }
        hosts.push(center);
        Self {
            clients,
            servers,
            directory,
            _hosts: hosts,
            _network: network,
        }
    }

    /// What all clients have used up so far.
    fn look(&self) -> Vec<Usage> {
        // Ordered such that asking chronyc does not come between readings.
        let requests: Vec<u64> = self.clients.iter().map(|c| self.requests_of(c)).collect();
        self.clients
            .iter()
            .zip(requests)
            .map(|(client, requests)| Usage::now(client, requests))
            .collect()
    }

    /// The requests that the servers have got from a client.
    fn requests_of(&self, client: &Client) -> u64 {
        let reports = self.servers.iter().map(|server| server.ask("-c clients"));
        reports
            .filter_map(|report| {
                let row = report
                    .lines()
                    .find(|row| row.split(',').next() == Some(&client.address))?;
                row.split(',').nth(1)?.parse::<u64>().ok()
            })
            .sum()
    }
}

type Start = fn(&Host, &Directory, &str) -> (u32, Running);

/// The programs that are measured, in the order of the table's columns.
const CLIENTS: [(&str, Start); 4] = [
    ("clockwright-64s", |host, directory, name| {
        start_clockwright(host, directory, name, "64s")
    }),
    ("chronyd-64s", |host, directory, name| {
        start_chronyd(host, directory, name, 6)
    }),
    ("clockwright-1s", |host, directory, name| {
        start_clockwright(host, directory, name, "1s")
    }),
    ("chronyd-1s", |host, directory, name| {
        start_chronyd(host, directory, name, 0)
    }),
];

/// A server of the host's clock, at an address of its own.
fn start_server(host: &Host, directory: &Directory, last: u8) -> Chronyd {
    host.address("lo", &format!("10.85.0.{last}/32"));
    let configuration =
        format!("bindaddress 10.85.0.{last}\nallow 10.85.0.0/16\nlocal stratum 1\n");
    Chronyd::start(host, directory, &format!("server-{last}"), &configuration)
}

fn start_clockwright(host: &Host, directory: &Directory, name: &str, poll: &str) -> (u32, Running) {
    let sources = SERVERS.map(|last| source(format!("10.85.0.{last}"), poll));
    let state = directory.path(&format!("{name}-state"));
    fs::create_dir(&state).expect("make a state directory");
    let configuration = format!(
        "{}[clock]\nkind = \"virtual\"\n[state]\ndirectory = \"{}\"\n[control]\nsocket = \"{}\"\n",
        sources.concat(),
        state.display(),
        directory.path(&format!("{name}.sock")).display()
    );
    let file = directory.write(&format!("{name}.toml"), &configuration);
    let mut command = host.command(Path::new(CLOCKWRIGHT));
    command.args(["run", "--config"]).arg(file);
    let log = directory.path(&format!("{name}.log"));
    let process = Process::start(name, &mut command, &log);
    (process.id(), Running::Clockwright(process))
}

/// `poll` is a power of two of seconds.
fn start_chronyd(host: &Host, directory: &Directory, name: &str, poll: u8) -> (u32, Running) {
    let sources = SERVERS
        .map(|last| format!("server 10.85.0.{last} iburst xleave minpoll {poll} maxpoll {poll}\n"));
    let chronyd = Chronyd::start(host, directory, name, &sources.concat());
    let pid = fs::read_to_string(directory.path(&format!("{name}.pid")));
    let pid = pid.expect("chronyd has written its process id");
    (
        pid.trim().parse().expect("a process id"),
        Running::Chronyd(chronyd),
    )
}

/// What a process has used up since its start.
struct Usage {
    name: &'static str,
    at: Instant,
    /// As the scheduler counted it.
    cpu_ns: u64,
    /// As ps and top show it: user and system time, in ticks.
    ticks: u64,
    wakeups: u64,
    threads: usize,
    resident: u64,
    proportional: u64,
    anonymous: u64,
    requests: u64,
}

impl Usage {
    fn now(client: &Client, requests: u64) -> Self {
        let process = PathBuf::from(format!("/proc/{}", client.pid));
        let tasks: Vec<PathBuf> = fs::read_dir(process.join("task"))
            .unwrap_or_else(|error| panic!("{} does not run any more: {error}", client.name))
            .map(|entry| entry.expect("a thread").path())
            .collect();
        let memory = read(&process.join("smaps_rollup"));
        let stat = read(&process.join("stat"));
        // The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th field.
        let fields = stat.rsplit_once(')').expect("the format of proc(5)").1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        Self {
            name: client.name,
            at: Instant::now(),
            cpu_ns: tasks.iter().map(|task| cpu_ns_of(task)).sum(),
            ticks: ticks.map(number).sum(),
            wakeups: tasks.iter().map(|task| wakeups_of(task)).sum(),
            threads: tasks.len(),
            resident: kibibytes(&memory, "Rss"),
            proportional: kibibytes(&memory, "Pss"),
            anonymous: kibibytes(&memory, "Anonymous"),
            requests,
        }
    }
}

/// The first field of `schedstat`: time spent on a CPU.
fn cpu_ns_of(task: &Path) -> u64 {
    let text = read(&task.join("schedstat"));
    number(text.split_whitespace().next().unwrap_or_default())
}

/// How often the thread waited, and so was woken up again.
fn wakeups_of(task: &Path) -> u64 {
    let status = read(&task.join("status"));
    number(field(&status, "voluntary_ctxt_switches"))
}

fn kibibytes(memory: &str, name: &str) -> u64 {
    number(field(memory, name).trim_end_matches(" kB"))
}

/// The value of a line `name: value`.
fn field<'t>(text: &'t str, name: &str) -> &'t str {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| (key == name).then_some(value.trim()))
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} is no number: {error}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// What a client has cost while it was measured.
struct Cost {
    seconds: f64,
    requests: f64,
    cpu_us: f64,
    ticks: f64,
    wakeups: f64,
    threads: f64,
    resident_mb: f64,
    proportional_mb: f64,
    anonymous_mb: f64,
}

impl Cost {
    fn between(before: &Usage, after: &Usage) -> Self {
        let requests = after.requests - before.requests;
        assert!(after.requests > 0, "{} asks nobody", after.name);
        let megabytes = |kibibytes: u64| kibibytes as f64 * 1024e-6;
        Self {
            seconds: (after.at - before.at).as_secs_f64(),
            requests: requests as f64,
            cpu_us: (after.cpu_ns - before.cpu_ns) as f64 * 1e-3,
            ticks: (after.ticks - before.ticks) as f64,
            wakeups: (after.wakeups - before.wakeups) as f64,
            threads: after.threads as f64,
            resident_mb: megabytes(after.resident),
            proportional_mb: megabytes(after.proportional),
            anonymous_mb: megabytes(after.anonymous),
        }
    }
}

/// A row: what it is, its decimals, and how to get it.
type Row = (&'static str, usize, fn(&Cost) -> f64);

const ROWS: [Row; 11] = [
    ("requests sent while measured", 0, |c| c.requests),
    ("CPU a second, us", 1, |c| c.cpu_us / c.seconds),
    ("CPU a request, us", 0, |c| c.cpu_us / c.requests),
    ("CPU while measured, ms", 2, |c| c.cpu_us * 1e-3),
    ("the same in ticks of 10 ms", 0, |c| c.ticks),
    ("wake-ups a second", 2, |c| c.wakeups / c.seconds),
    ("wake-ups a request", 1, |c| c.wakeups / c.requests),
    ("threads", 0, |c| c.threads),
    ("resident memory, MB", 2, |c| c.resident_mb),
    ("its share of that (PSS), MB", 2, |c| c.proportional_mb),
    ("anonymous memory, MB", 2, |c| c.anonymous_mb),
];

fn print_table(costs: &[Cost]) {
    println!(
        "| four sources | clockwright, 64 s | chronyd, 64 s | ratio | clockwright, 1 s | \
         chronyd, 1 s | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (what, decimals, value) in ROWS {
        print!("| {what}");
        for pair in costs.chunks_exact(2) {
            let [ours, theirs] = [value(&pair[0]), value(&pair[1])];
            let cells = [(ours, decimals), (theirs, decimals), (ours / theirs, 2)];
            for (value, decimals) in cells {
                if value.is_finite() {
                    print!(" | {value:.decimals$}");
                } else {
                    print!(" | –");
                }
            }
        }
        println!(" |");
    }
}

/// What is the same at any poll interval.
fn print_programs(clients: &[Client], directory: &Directory) {
    for client in &clients[..2] {
        // The program itself, wherever it was found.
        let program =
            fs::read_link(format!("/proc/{}/exe", client.pid)).expect("a running program");
        let version = output(Command::new(&program).arg("--version"));
        let version: Vec<&str> = version.split_whitespace().collect();
        let libraries = output(Command::new("ldd").arg(&program));
        println!(
            "\n{}: {:.2} MB without debug information, {} shared libraries",
            version.join(" "),
            stripped_mb(&program, directory),
            libraries
                .lines()
                .filter(|line| line.contains("=> /"))
                .count()
        );
    }
    let crates = crates();
    let own = crates.iter().filter(|name| name.starts_with("clockwright"));
    println!(
        "\ncrates that clockwright is made of: {}, {} of them its own",
        crates.len(),
        own.count()
    );
}

/// Distributions ship programs without debug information.
fn stripped_mb(program: &Path, directory: &Directory) -> f64 {
    let stripped = directory.path("stripped");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(program));
    let size = fs::metadata(&stripped).expect("what strip made").len();
    size as f64 * 1e-6
}

/// All crates below the program but those that only building it needs.
fn crates() -> BTreeSet<String> {
    let tree = output(
        Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "tree",
                "--package",
                "clockwright",
                "--edges",
                "normal,no-proc-macro",
            ])
            .args(["--prefix", "none", "--no-dedupe", "--locked"]),
    );
    tree.lines().map(str::to_owned).collect()
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
