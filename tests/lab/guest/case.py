"""Runs one case in the guest: a network, daemons in it, and what happens to them; all recorded.

The case is described by $OUT/case.json, written by whoever judges it (tests/hardware, ../compare);
what comes out is $OUT/record.json. Nothing is concluded here. True errors come from the module and
never from a daemon. The description, every part of which has a default:

    module      parameters of the module: {"pairs": 1, "rxfilter": "all", "precise": 1, "seed": 1}
    network     "plain", "vlan" (number 5), "bond", "igb": see lab.py for addresses; "wire": this guest's
                only card is end 0 or 1 ("end") of a wire to another guest
    knobs       {"0": {"delay_ns": 5000}, "all": {...}} by device; "all" comes first
    sys_ppb     error of the system's oscillator
    wander_ppb  of the same, a random walk by about so much each second, from "seed"
    clock_error_s  of the system clock, at the start
    leap        a leap second: {"day_ends": seconds since 1970, "inserted": true, "at": s}. The system clock is set so
                that it is due at "at"; {"tai": [before, after]} makes a list for daemons, LEAP_LIST in lab.py
    daemons     [{"name", "in": namespace, "program", "config" | "arguments", "wrap": [...], "at": s}]
                program: clockwright, chronyd, refntp, ptp4l or a path. "{phc0}" and the like in what is
                configured become /dev/ptpN of a device, "{true}" that of true time.
    events      [{"at": s, "do": [ACTION, ...]}], at seconds after the first daemons run; see Case.do
    seconds, interval  how long, and how often is looked
    look        what is recorded at each look besides the truth: ["status", "sources", "timestamps"]
"""

import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import lab

# A case with a leap second is set up so long before it starts, as far as its daemons, and only then they.
SET_UP_S, DAEMONS_S = 90, 5
CONTROL = "/run/%s.sock"
OWN_LINES = '\n[control]\nsocket = "/run/%s.sock"\n[state]\ndirectory = "/run/%s-state"\n[log]\nlevel = "%s"\n'
CHRONY_LINES = "\ncmdport 0\nbindcmdaddress /run/%s/chrony.sock\npidfile /run/%s.pid\n"


class Daemon:
    """A program of the case, as often as it is started."""

    def __init__(self, about, paths):
        self.about = about
        self.name = about["name"]
        self.kind = os.path.basename(about["program"])
        self.log = "/run/%s.log" % self.name
        self.process = None
        self.path = paths.get(self.kind) or shutil.which(about["program"]) or lab.CACHE + "/" + self.kind
        self.is_clockwright = self.kind == "clockwright"

    def command(self):
        fill = lambda text: text.replace("{true}", lab.true_phc_path()) if "{true}" in text else text
        config = fill(self.about.get("config", ""))
        arguments = [fill(a) for a in self.about.get("arguments", [])]
        for device in range(8):
            mark = "{phc%d}" % device
            if mark in config or any(mark in a for a in arguments):
                path = lab.phc_path(device)
                config, arguments = config.replace(mark, path), [a.replace(mark, path) for a in arguments]
        file = "/run/%s.conf" % self.name
        if self.is_clockwright:
            level = self.about.get("log", "debug")
            lab.write(file, config + OWN_LINES % (self.name, self.name, level))
            arguments = ["run", "-c", file, *arguments]
        elif self.kind == "chronyd":
            lab.write(file, config + CHRONY_LINES % (self.name, self.name))
            arguments = ["-d", "-u", "root", *arguments, "-f", file]
        elif config:
            lab.write(file, config)
            arguments = ["-f", file, *arguments]
        return lab.in_ns(self.about["in"]) + self.about.get("wrap", []) + [lab.in_memory(self.path), *arguments]

    def start(self):
        # ip replaces itself by the command, so that signals reach the daemon.
        self.process = subprocess.Popen(self.command(), stdout=open(self.log, "a"), stderr=subprocess.STDOUT)
        if self.is_clockwright:
            lab.wait_for(self.name + " to answer", lambda: self.process.poll() is not None or self.view("status"))
        elif self.kind == "refntp":
            lab.wait_for(self.name + " to serve", lambda: "serving" in lab.read(self.log))

    def view(self, what):
        return lab.ask(CONTROL % self.name, what)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process and self.process.returncode


def printed(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


class Case:
    def __init__(self, about):
        self.about = about
        paths = about.get("programs", {})
        self.daemons = {d["name"]: Daemon(d, paths) for d in about.get("daemons", [])}
        self.samples, self.events = [], []
        self.random = random.Random(about.get("seed", 1))
        self.sys_ppb = about.get("sys_ppb", 0)

    def set_up(self):
        about = self.about
        self.turn_s = None
        if "leap" in about:
            self.set_date(about["leap"])
        if about.get("network") == "igb":
            names = sorted(os.listdir(path)[0] for path in glob.glob("/sys/bus/pci/drivers/igb/*/net"))
            self.set_up_cards(dict(enumerate(names)))
        elif about.get("network") == "wire":
            self.set_up_cards({about["end"]: next(n for n in os.listdir("/sys/class/net") if n != "lo")})
        else:
            lab.load(**about.get("module", {}))
            if about.get("network") == "vlan":
                lab.vlan(5)
            elif about.get("network") == "bond":
                lab.bond()
            self.set_knobs()
        lab.write(lab.TRUTH + "sys_ppb", self.sys_ppb)
        if "leap" in about:
            sign = 1 if about["leap"]["inserted"] else -1
            lab.write(lab.TRUTH + "leap_s", sign * about["leap"]["day_ends"])
        if about.get("clock_error_s"):
            lab.add_to_clock(about["clock_error_s"])
        for command in about.get("before", []):
            lab.sh(command)

    def set_date(self, leap):
        """True time begins with what the clock shows when the module is loaded."""
        self.turn_s = leap["day_ends"] - (0 if leap["inserted"] else 1)
        time.clock_settime(time.CLOCK_REALTIME, self.turn_s - leap["at"] - SET_UP_S)
        if "tai" in leap:
            lab.write_leap_list(leap["day_ends"], *leap["tai"])

    def wait_for_the_start(self, before_s):
        """The leap second comes as long after the start as it is to; waits until so long before that."""
        if self.turn_s is None:
            return
        left = self.turn_s - time.time() - self.about["leap"]["at"] - before_s
        if left < 0:
            raise RuntimeError("%.1f s too late for the leap second" % -left)
        time.sleep(left)

    def set_up_cards(self, cards):
        """Cards that are not the module's, by device number; the module only for the truth."""
        for end, name in cards.items():
            lab.sh("ip netns add n{0}; ip -n n{0} link set lo up; ip link set {1} netns n{0};"
                   "ip -n n{0} addr add {2} dev {1}; ip -n n{0} addr add {3} dev {1} nodad;"
                   "ip -n n{0} link set {1} up".format(end, name, *lab.address(end)))
        for end, name in cards.items():
            carrier = lab.in_ns(end) + ["cat", "/sys/class/net/%s/carrier" % name]
            lab.wait_for("a carrier", lambda: printed(carrier).strip() == "1", 20)
        lab.sh("insmod %s/hwtsim.ko" % lab.CACHE)

    def set_knobs(self):
        knobs = dict(self.about.get("knobs", {}))
        devices = range(2 * int(self.about.get("module", {}).get("pairs", 1)))
        for device in devices:
            for name, value in {**knobs.get("all", {}), **knobs.get(str(device), {})}.items():
                lab.knob(device, name, value)

    def do(self, action, *arguments):
        """What can happen in a case."""
        if action == "knob":
            device, name, value = arguments
            lab.knob(device, name, value)
        elif action == "run":
            return lab.sh(arguments[0])
        elif action == "step clock":
            lab.add_to_clock(arguments[0])
        elif action == "sleep":
            self.sleep(*arguments)
        elif action == "step phc":
            clock = lab.Phc(lab.phc_path(arguments[0]))
            clock.step(arguments[1])
            clock.close()
        elif action == "unplug":
            lab.knob(arguments[0], "plugged", 0)
        elif action == "plug":
            lab.knob(arguments[0], "plugged", 1)
            lab.attach(arguments[0])
        elif action == "start":
            self.daemons[arguments[0]].start()
        elif action == "end":
            return self.daemons[arguments[0]].end()
        elif action == "kernel":
            return lab.kernel()
        elif action == "look":
            return {name: {w: d.view(w) for w in ("status", "sources", "timestamps")}
                    for name, d in self.daemons.items() if d.is_clockwright}
        else:
            raise ValueError("no such action: %s" % action)
        return None

    def sleep(self, seconds, rtc_error_s):
        """The host sleeps, all programs of it, and its RTC tells the kernel how long, with this error."""
        running = [d.process for d in self.daemons.values() if d.process and d.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGSTOP)
        lab.write(lab.TRUTH + "sleep_ns", "%d %d" % (round(seconds * 1e9), round(rtc_error_s * 1e9)))
        for process in running:
            process.send_signal(signal.SIGCONT)

    def look(self, start):
        # Claims between two errors: while a slew goes on, the error of the moment of the claim is
        # between them.
        wanted = self.about.get("look", ["status", "sources"])
        sample = {"t": time.monotonic() - start, "error_ns": lab.clock_error_ns(), "kernel": lab.kernel()}
        for daemon in self.daemons.values():
            if daemon.is_clockwright and daemon.process and daemon.process.poll() is None:
                sample[daemon.name] = {what: daemon.view(what) for what in wanted}
        sample["error_after_ns"] = lab.clock_error_ns()
        sample["phc_error_ns"] = {str(device): lab.phc_error_ns(device) for device in self.devices()}
        self.samples.append(sample)

    def devices(self):
        return [d for d in range(16) if os.path.exists(lab.PLATFORM + "hwtsim.%d/error_ns" % d)]

    def run(self):
        self.set_up()
        for daemon in self.daemons.values():
            lab.in_memory(daemon.path)
        self.wait_for_the_start(DAEMONS_S)
        todo = [(e["at"], e["do"]) for e in self.about.get("events", [])]
        for daemon in self.daemons.values():
            if "at" in daemon.about:
                todo.append((daemon.about["at"], ["start", daemon.name]))
            else:
                daemon.start()
        todo.sort(key=lambda one: one[0])
        self.wait_for_the_start(0)
        start = time.monotonic()
        interval = self.about.get("interval", 0.25)
        for n in range(1, round(self.about.get("seconds", 30) / interval) + 1):
            while todo and todo[0][0] <= n * interval:
                at, what = todo.pop(0)
                time.sleep(max(0, start + at - time.monotonic()))
                self.events.append({"t": time.monotonic() - start, "do": what, "result": self.do(*what)})
            time.sleep(max(0, start + n * interval - time.monotonic()))
            self.look(start)
            self.wander(interval)

    def wander(self, seconds):
        """The system's oscillator drifts a little further."""
        sigma = self.about.get("wander_ppb", 0) * seconds**0.5
        if sigma:
            self.sys_ppb += self.random.gauss(0, sigma)
            lab.write(lab.TRUTH + "sys_ppb", round(self.sys_ppb))

    def last_words(self):
        """What every daemon has to say at the end."""
        words = {}
        for name, daemon in self.daemons.items():
            said = words[name] = {}
            if daemon.process is None or daemon.process.poll() is not None:
                said["ended"] = daemon.process and daemon.process.returncode
            elif daemon.is_clockwright:
                said.update({what: daemon.view(what) for what in ("status", "sources", "timestamps")})
                program = lab.in_memory(daemon.path)
                said["screen"] = printed([program, "timestamps", "--socket", CONTROL % name])
            elif daemon.kind == "chronyd":
                for what in ("tracking", "sources", "ntpdata", "serverstats"):
                    said[what] = printed([daemon.path[:-1] + "c", "-n", "-h", "/run/%s/chrony.sock" % name, what])
        # Clients first, so that none complains of a server that is gone.
        for name, daemon in reversed(self.daemons.items()):
            words[name]["exit_code"] = daemon.end()
        return words

    def record(self, fault):
        record = {"samples": self.samples, "events": self.events, "fault": fault}
        record["end"] = self.last_words()
        record["log"] = {name: lab.read(d.log) if os.path.exists(d.log) else "" for name, d in self.daemons.items()}
        record["stats"] = {str(device): lab.stats(device) for device in self.devices()}
        record["hwtstamp"] = {str(device): lab.knob(device, "hwtstamp") for device in self.devices()}
        record["kernel_log"] = printed(["dmesg"])
        with open(lab.OUT + "/record.json", "w") as f:
            json.dump(record, f)


def main():
    with open(lab.OUT + "/case.json") as f:
        case = Case(json.load(f))
    fault = None
    try:
        case.run()
    except (RuntimeError, OSError, ValueError) as error:
        fault = "%s: %s" % (type(error).__name__, error)
    case.record(fault)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
