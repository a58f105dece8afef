"""Runs in the guest: one daemon steers the system clock, and everything is recorded.

What comes out is $OUT/record.json; ../steer, on the host, starts this and judges it. Nothing is
concluded here. What is recorded of the clock's error comes from the module (`sys_error_ns`) and
never from the daemon.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

import lab

CONTROL = "/run/clockwright.sock"
STATE = "/run/state"
# The server at 10.0.0.1 is in namespace n0, the daemon and its clock in n1.
SYS_PPB = 15000  # the system's oscillator is fast by this
PATH = {"delay_ns": 20000, "tx_latency_ns": 2000, "rx_latency_ns": 5000}

CLOCKWRIGHT_TOML = """
[[source]]
server = "10.0.0.1"
poll = { min = "1s", max = "1s" }
[control]
socket = "%s"
[state]
directory = "%s"
[timestamping]
interfaces = []
[log]
level = "debug"
""" % (CONTROL, STATE)

CHRONY_CONF = """
server 10.0.0.1 iburst minpoll 0 maxpoll 0 xleave
makestep 0.1 3
cmdport 0
bindcmdaddress /
pidfile /run/chronyd.pid
"""


class Recorder:
    """Samples of the clock's true error, with what is claimed about it in between."""

    def __init__(self, asks_clockwright):
        self.asks_clockwright = asks_clockwright
        self.phases = {}

    def watch(self, phase, seconds, interval=0.25):
        samples = self.phases.setdefault(phase, [])
        start = time.monotonic()
        for n in range(1, round(seconds / interval) + 1):
            time.sleep(max(0, start + n * interval - time.monotonic()))
            # Claims between two errors: while a slew goes on, the error of the moment of the claim
            # is between them.
            sample = {"t": time.monotonic() - start, "error_ns": lab.clock_error_ns()}
            sample["kernel"] = lab.kernel()
            if self.asks_clockwright:
                sample["status"] = lab.ask(CONTROL, "status")
            sample["error_after_ns"] = lab.clock_error_ns()
            samples.append(sample)


class Daemon:
    """The daemon under test, as often as it is started."""

    def __init__(self, name, program):
        self.program = lab.in_memory(program)
        with open("/run/daemon.conf", "w") as f:
            f.write(CLOCKWRIGHT_TOML if name == "clockwright" else CHRONY_CONF)
        self.arguments = ["run", "-c"] if name == "clockwright" else ["-d", "-u", "root", "-f"]
        self.process = None

    def start(self, log):
        # ip replaces itself by the command, so that signals reach the daemon.
        self.process = subprocess.Popen(
            [*lab.in_ns(1), self.program, *self.arguments, "/run/daemon.conf"],
            stdout=open(log, "w"),
            stderr=subprocess.STDOUT,
        )

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=10)


def restarts(daemon, recorder):
    """The daemon ends well and starts again; then it is killed while it slews, and starts again."""
    found = {"term": {"exit_code": daemon.end(signal.SIGTERM), "kernel": lab.kernel()}}
    recorder.watch("after TERM", 10)
    with open(STATE + "/drift.json") as f:
        found["drift"] = json.load(f)

    # As after a reboot: the kernel remembers nothing.
    lab.adjtimex(modes=lab.ADJ_FREQUENCY | lab.ADJ_TICK, freq=0, tick=10000)
    daemon.start("/run/restart.log")
    recorder.watch("restart", 30, interval=0.1)
    daemon.end(signal.SIGTERM)

    lab.add_to_clock(0.05)
    daemon.start("/run/kill.log")
    deadline = time.monotonic() + 20
    while lab.kernel()["tick_us"] == 10000 and time.monotonic() < deadline:
        time.sleep(0.005)
    daemon.end(signal.SIGKILL)
    found["kill"] = {"kernel": lab.kernel(), "error_ns": lab.clock_error_ns()}
    recorder.watch("killed", 1)
    daemon.start("/run/recovery.log")
    recorder.watch("recovery", 90)
    found["end"] = {"exit_code": daemon.end(signal.SIGTERM), "kernel": lab.kernel()}
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("daemon", choices=["clockwright", "chronyd"])
    parser.add_argument("program")
    parser.add_argument("--error", type=float, required=True, help="initial error of the clock, s")
    parser.add_argument("--jitter", type=int, required=True, help="mean of the path's jitter each way, ns")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restarts", action="store_true")
    args = parser.parse_args()

    lab.load(seed=args.seed)
    for device in (0, 1):
        for knob, value in {**PATH, "jitter_ns": args.jitter, "jitter_dist": "exp"}.items():
            lab.knob(device, knob, value)
    lab.write(lab.TRUTH + "sys_ppb", SYS_PPB)
    server = subprocess.Popen(
        [*lab.in_ns(0), lab.CACHE + "/refntp", "hwt0"],
        stdout=subprocess.DEVNULL,
    )
    time.sleep(1)

    lab.add_to_clock(args.error)
    daemon = Daemon(args.daemon, args.program)
    recorder = Recorder(args.daemon == "clockwright")
    daemon.start("/run/steer.log")
    recorder.watch("steer", args.seconds)
    record = {"sources": lab.ask(CONTROL, "sources")}
    if args.restarts:
        record |= restarts(daemon, recorder)
    else:
        daemon.end(signal.SIGTERM)
    server.terminate()

    record["phases"] = recorder.phases
    record["log"] = {}
    for name in ("steer", "restart", "kill", "recovery"):
        if os.path.exists("/run/%s.log" % name):
            with open("/run/%s.log" % name) as f:
                record["log"][name] = f.read()
    with open(lab.OUT + "/record.json", "w") as f:
        json.dump(record, f)


if __name__ == "__main__":
    sys.exit(main())
