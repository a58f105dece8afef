"""Runs in the guest: one daemon steers the system clock, and everything is recorded.

What comes out is $OUT/record.json; ../steer, on the host, starts this and judges it. Nothing is
concluded here. What is recorded of the clock's error comes from the module (`sys_error_ns`) and
never from the daemon.
"""

import argparse
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

TRUTH = "/sys/devices/platform/hwtsim_true/"
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


class Timex(ctypes.Structure):
    """struct timex of linux/timex.h."""

    _fields_ = (
        [("modes", ctypes.c_uint)]
        + [(name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")]
        + [("status", ctypes.c_int)]
        + [(name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick")]
        + [(name, ctypes.c_long) for name in ("ppsfreq", "jitter")]
        + [("shift", ctypes.c_int)]
        + [(name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")]
        + [("tai", ctypes.c_int), ("reserved", ctypes.c_int * 11)]
    )


ADJ_FREQUENCY, ADJ_TICK, ADJ_SETOFFSET, ADJ_NANO = 0x2, 0x4000, 0x100, 0x2000
libc = ctypes.CDLL(None, use_errno=True)


def adjtimex(**fields):
    timex = Timex(**fields)
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    return timex


def kernel():
    """What the kernel tells every application about its clock."""
    timex = adjtimex()
    return {
        "unsynchronized": bool(timex.status & 0x40),  # STA_UNSYNC
        "max_error_us": timex.maxerror,
        "est_error_us": timex.esterror,
        "tick_us": timex.tick,
        "frequency_ppm": timex.freq / 65536,
        "offset": timex.offset,
    }


def add_to_clock(seconds):
    """Sets the system clock wrong by so much."""
    nanoseconds = round(seconds * 1e9)
    adjtimex(modes=ADJ_SETOFFSET | ADJ_NANO, sec=nanoseconds // 10**9, usec=nanoseconds % 10**9)


def ask(command):
    """What the daemon answers on its control socket; None if there is none yet."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(CONTROL)
            s.sendall(json.dumps({"command": command}).encode() + b"\n")
            return json.loads(s.makefile().readline())["ok"]
    except OSError:
        return None


def clock_error_ns():
    """The system clock minus true time."""
    with open(TRUTH + "sys_error_ns") as f:
        return int(f.read())


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
            sample = {"t": time.monotonic() - start, "error_ns": clock_error_ns()}
            sample["kernel"] = kernel()
            if self.asks_clockwright:
                sample["status"] = ask("status")
            sample["error_after_ns"] = clock_error_ns()
            samples.append(sample)


class Daemon:
    """The daemon under test, as often as it is started."""

    def __init__(self, name, program):
        self.program = "/run/daemon"  # in memory: files of the host cost odd amounts of virtual time
        shutil.copy(program, self.program)
        with open("/run/daemon.conf", "w") as f:
            f.write(CLOCKWRIGHT_TOML if name == "clockwright" else CHRONY_CONF)
        self.arguments = ["run", "-c"] if name == "clockwright" else ["-d", "-u", "root", "-f"]
        self.process = None

    def start(self, log):
        # ip replaces itself by the command, so that signals reach the daemon.
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", "n1", self.program, *self.arguments, "/run/daemon.conf"],
            stdout=open(log, "w"),
            stderr=subprocess.STDOUT,
        )

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=10)


def restarts(daemon, recorder):
    """The daemon ends well and starts again; then it is killed while it slews, and starts again."""
    found = {"term": {"exit_code": daemon.end(signal.SIGTERM), "kernel": kernel()}}
    recorder.watch("after TERM", 10)
    with open(STATE + "/drift.json") as f:
        found["drift"] = json.load(f)

    # As after a reboot: the kernel remembers nothing.
    adjtimex(modes=ADJ_FREQUENCY | ADJ_TICK, freq=0, tick=10000)
    daemon.start("/run/restart.log")
    recorder.watch("restart", 30, interval=0.1)
    daemon.end(signal.SIGTERM)

    add_to_clock(0.05)
    daemon.start("/run/kill.log")
    deadline = time.monotonic() + 20
    while kernel()["tick_us"] == 10000 and time.monotonic() < deadline:
        time.sleep(0.005)
    daemon.end(signal.SIGKILL)
    found["kill"] = {"kernel": kernel(), "error_ns": clock_error_ns()}
    recorder.watch("killed", 1)
    daemon.start("/run/recovery.log")
    recorder.watch("recovery", 90)
    found["end"] = {"exit_code": daemon.end(signal.SIGTERM), "kernel": kernel()}
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

    lab_up = '. "$LAB/guest/lib.sh"; lab_up seed=%d' % args.seed
    subprocess.run(["bash", "-c", lab_up], check=True)
    for device in "01":
        knobs = {**PATH, "jitter_ns": args.jitter, "jitter_dist": "exp"}
        for knob, value in knobs.items():
            with open("/sys/devices/platform/hwtsim.%s/%s" % (device, knob), "w") as f:
                f.write(str(value))
    with open(TRUTH + "sys_ppb", "w") as f:
        f.write(str(SYS_PPB))
    server = subprocess.Popen(
        ["ip", "netns", "exec", "n0", os.environ["LAB_CACHE"] + "/refntp", "hwt0"],
        stdout=subprocess.DEVNULL,
    )
    time.sleep(1)

    add_to_clock(args.error)
    daemon = Daemon(args.daemon, args.program)
    recorder = Recorder(args.daemon == "clockwright")
    daemon.start("/run/steer.log")
    recorder.watch("steer", args.seconds)
    record = {"sources": ask("sources")}
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
    with open(os.environ["OUT"] + "/record.json", "w") as f:
        json.dump(record, f)


if __name__ == "__main__":
    sys.exit(main())
