//! The scenes that most cases start from.

use serde_json::{Value, json};

/// One server at the other end of the cable, asked each second; everything else is the default.
pub(crate) const ONE_SOURCE: &str = "\
[[source]]
server = \"10.0.0.1\"
poll = { min = \"1s\", max = \"1s\" }
";

/// Serves the guest's system clock to whoever asks. For kinds of stamps only: the client in the
/// same guest has the same clock.
pub(crate) const SERVER: &str = "\
[server]
listen = [\"0.0.0.0:123\", \"[::]:123\"]
allow = [\"10.0.0.0/8\", \"fd00::/8\"]
local = { stratum = 1 }
";

/// The hardware path is right to this, once settled: a tenth of what software stamps can do here.
pub(crate) const RIGHT_NS: f64 = 500.0;

/// When a clock that was right from the start and an oscillator 15 ppm fast have settled, s.
pub(crate) const SETTLED_S: f64 = 20.0;

/// `client` in n1 steers the system clock, whose oscillator is 15 ppm fast, by true time that
/// `refntp` serves in n0. 5 us of path, and a NIC clock that runs 7 ppm slow. `more` replaces or
/// adds to the description.
pub(crate) fn steered(more: Value) -> Value {
    let base = json!({
        "sys_ppb": 15000,
        "clock_error_s": 0.0005,
        "knobs": { "all": { "delay_ns": 5000 }, "1": { "osc_ppb": -7000 } },
        "daemons": [reference(&["hwt0"]), client(ONE_SOURCE)],
        "seconds": 40,
    });
    with(base, more)
}

/// Our daemon at both ends, neither of which touches the clock.
pub(crate) fn both_ours(client_config: &str, more: Value) -> Value {
    let base = json!({
        "knobs": { "all": { "delay_ns": 5000 }, "1": { "osc_ppb": -7000 } },
        "daemons": [
            clockwright("server", 0, SERVER, &["--no-adjust"]),
            clockwright("client", 1, client_config, &["--no-adjust"]),
        ],
        "seconds": 20,
    });
    with(base, more)
}

/// The lab's reference server in n0, over these interfaces.
pub(crate) fn reference(interfaces: &[&str]) -> Value {
    json!({ "name": "server", "in": 0, "program": "refntp", "arguments": interfaces })
}

/// Our daemon in n1, steering the system clock.
pub(crate) fn client(config: &str) -> Value {
    clockwright("client", 1, config, &[])
}

/// Our daemon in any namespace.
pub(crate) fn clockwright(name: &str, namespace: u8, config: &str, arguments: &[&str]) -> Value {
    json!({
        "name": name, "in": namespace, "program": "clockwright",
        "config": config, "arguments": arguments,
    })
}

/// A source asked each second in one of the modes.
pub(crate) fn source(address: &str, interleaved: bool) -> String {
    format!(
        "[[source]]\nserver = \"{address}\"\ninterleaved = {interleaved}\n\
         poll = {{ min = \"1s\", max = \"1s\" }}\n"
    )
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}
