"""Is the lab what it promises? To be run in the guest, in virtual time:

    tests/lab/run -i -n net python3 tests/lab/guest/selftest.py

Prints each check; exit code 1 if one fails.
"""

import json
import os
import re
import subprocess
import sys
import time

import lab


class Checks:
    def __init__(self):
        self.failed = 0

    def that(self, what, found, *expected):
        """found equals the one expected value, or lies within the two."""
        holds = found == expected[0] if len(expected) == 1 else expected[0] <= found <= expected[1]
        wanted = "" if holds else ": %s, not %s" % (found, " to ".join(map(str, expected)))
        print("ok   " if holds else "FAIL ", what + wanted)
        self.failed += not holds


check = Checks()


def both(name, value):
    for device in (0, 1):
        lab.knob(device, name, value)


def ping(*arguments):
    """Packets from hwt0 to hwt1: counts, and what their hardware stamps say of the trip."""
    done = subprocess.run([lab.CACHE + "/tsping", "-n", "300", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    found = {"exit": done.returncode}
    for line in done.stdout.splitlines():
        if line.startswith("sent"):
            found |= {name: int(value) for name, value in re.findall(r"(\w+) (\d+)\b", line)}
        if line.startswith("rx_hw - tx_hw"):
            found |= {name: float(value) for name, value in re.findall(r"\b(mean|sd|min|max) +(-?[\d.]+)", line)}
    return found


def answers(namespace, address):
    """Is there an answer from address?"""
    ping = lab.in_ns(namespace) + ["busybox", "ping", "-c", "1", "-W", "1", "-q", address]
    return subprocess.run(ping, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def path():
    lab.knob(0, "delay_ns", 50000)
    trip = ping()
    check.that("delay", (trip["min"], trip["max"], trip["tx_hw"], trip["rx_hw"]), (50000, 50000, 300, 300))
    lab.knob(0, "jitter_ns", 10000)
    trip = ping()
    check.that("uniform jitter, least", trip["min"], 50000, 51000)
    check.that("uniform jitter, most", trip["max"], 59000, 60000)
    lab.knob(0, "jitter_dist", "exp")
    check.that("exponential jitter", ping()["mean"], 58000, 62000)
    lab.knob(0, "busy_ppm", 250000)
    trip = ping()
    check.that("bursts that a quarter of frames meet", trip["mean"], 51500, 53500)
    check.that("and most do not", trip["min"], 50000)
    lab.knob(0, "busy_ppm", 1000000)
    lab.knob(0, "jitter_ns", 0)
    lab.knob(0, "loss_ppm", 1000000)
    check.that("lost frames", ping()["received"], 0)
    lab.knob(0, "loss_ppm", 0)
    lab.sh("tc -n n0 qdisc add dev hwt0 root netem delay 3ms")
    start = time.monotonic()
    check.that("what goes through", answers(0, "10.0.0.2"), True)
    check.that("netem delays what is sent", time.monotonic() - start > 0.003, True)
    check.that("before the hardware stamps it", ping()["mean"], 50000.0)
    lab.sh("tc -n n0 qdisc del dev hwt0 root")


def stamps():
    lab.knob(1, "rx_err_ns", 123)
    check.that("error of receive stamps", ping()["mean"], 50123.0)
    lab.knob(1, "rx_err_ns", 0)
    lab.knob(0, "tx_err_ns", 50)
    check.that("error of transmit stamps", ping()["mean"], 49950.0)
    lab.knob(0, "tx_err_ns", 0)
    lab.knob(1, "ts_noise_ns", 100)
    trip = ping()
    check.that("noise of stamps, least", trip["min"], 49900, 49930)
    check.that("noise of stamps, most", trip["max"], 50070, 50100)
    lab.knob(1, "ts_noise_ns", 0)
    lab.knob(0, "txts_loss_ppm", 1000000)
    trip = ping()
    check.that("lost transmit stamps", (trip["received"], trip["tx_hw"]), (300, 0))
    lab.knob(0, "txts_loss_ppm", 0)
    lab.knob(0, "txts_delay_ns", 5000000)
    check.that("late transmit stamps still come", ping()["tx_hw"], 300)
    lab.knob(0, "txts_slots", 1)
    check.that("late ones keep others from being taken", ping()["tx_hw"], 40, 70)
    lab.knob(0, "txts_slots", 0)
    lab.knob(0, "txts_delay_ns", 0)


def filters():
    both("rxfilter", "ptp")
    # The payload begins with a count: it looks like a PTP event message if count % 16 < 4.
    trip = ping("-f", "12", "-p", "319")
    check.that("the filter ptp stamps event messages", (trip["tx_hw"], trip["rx_hw"]), (300, 76))
    trip = ping("-f", "12", "-p", "320")
    check.that("and only on their port", (trip["tx_hw"], trip["rx_hw"]), (300, 0))
    check.that("and refuses to stamp all", ping("-f", "1")["exit"], 1)
    both("rxfilter", "ntp")
    check.that("the filter ntp stamps port 123", ping("-f", "15", "-p", "123")["rx_hw"], 300)
    check.that("and no other", ping("-f", "15", "-p", "124")["rx_hw"], 0)
    both("rxfilter", "none")
    trip = ping("-f", "0")
    check.that("the filter none stamps what is sent", (trip["tx_hw"], trip["rx_hw"]), (300, 0))
    both("rxfilter", "all")


def oscillators():
    lab.write(lab.TRUTH + "sys_ppb", 25000)
    before, start = lab.clock_error_ns(), time.monotonic()
    time.sleep(2)
    rate = (lab.clock_error_ns() - before) / (time.monotonic() - start)
    check.that("the system's oscillator, 25 ppm fast", rate, 24900, 25100)
    lab.write(lab.TRUTH + "sys_ppb", 0)
    lab.knob(1, "osc_ppb", 1000000)
    before, start = lab.phc_error_ns(1), time.monotonic()
    time.sleep(1)
    rate = (lab.phc_error_ns(1) - before) / (time.monotonic() - start)
    check.that("a device's oscillator, 1000 ppm fast", rate, 999000, 1001000)
    lab.knob(1, "osc_ppb", 0)


def clocks():
    clock = lab.Phc(lab.phc_path(0))
    check.that("a device's clock is true at first", lab.phc_error_ns(0), 0)
    device, _, _ = clock.precise()
    check.that("PRECISE reads it", device - clock.precise()[0], -10**9, 0)
    before, device, after = clock.extended(5)[-1]
    check.that("EXTENDED reads it between two readings", before <= device - lab.phc_error_ns(0) <= after, True)
    lab.knob(0, "read_ns", 1000)
    before, _, after = clock.extended(5)[-1]
    check.that("which takes as long as it should, ns", after - before, 1000, 2500)
    lab.knob(0, "read_jitter_ns", 2000)
    delays = [after - before for before, _, after in clock.extended(25)]
    check.that("with more or less of jitter, ns", max(delays) - min(delays), 1000, 4500)
    both("read_ns", 0)
    both("read_jitter_ns", 0)
    time.sleep(1)
    lab.knob(0, "reads_per_s", 20)
    refused = 0
    for _ in range(2):
        try:
            clock.extended(15)
        except OSError:
            refused += 1
    check.that("a clock that may be read 20 times a second refuses the rest", refused, 1)
    lab.knob(0, "reads_per_s", 0)
    clock.step(0.001)
    check.that("another program steps it", lab.phc_error_ns(0), 1000000)
    lab.sh("phc_ctl %s -- adj -0.001" % lab.phc_path(0))
    check.that("and back", lab.phc_error_ns(0), 0)
    clock.adjust_frequency(100)
    time.sleep(1)
    check.that("and steers it", lab.phc_error_ns(0), 99000, 110000)
    clock.adjust_frequency(0)
    clock.step(-lab.phc_error_ns(0) / 1e9)
    check.that("and sets it right", lab.phc_error_ns(0), 0)
    clock.close()


def link(device):
    return json.loads(lab.sh("ip -n n%d -j link show hwt%d" % (device, device)))[0]["operstate"]


def links():
    lab.sh("ip netns exec n1 ethtool -s hwt1 speed 1000 duplex full autoneg off")
    speed = lambda device: re.search(r"Speed: (.*)", lab.sh("ip netns exec n%d ethtool hwt%d" % (device, device)))[1]
    check.that("a link has one speed at both ends", (speed(0), speed(1)), ("1000Mb/s", "1000Mb/s"))
    lab.knob(1, "hide_speed", 1)
    check.that("or does not tell", speed(1), "Unknown!")
    lab.knob(1, "hide_speed", 0)
    lab.knob(0, "cable", 0)
    lab.wait_for("the link to go", lambda: link(1) == "DOWN")
    check.that("without a cable both ends are down", (link(0), link(1)), ("DOWN", "DOWN"))
    lab.knob(0, "cable", 1)
    lab.wait_for("the link to come", lambda: link(1) == "UP")
    lab.wait_for("an answer", lambda: answers(0, "10.0.0.2"))
    trip = ping()
    check.that("with it all is as before", (trip["received"], trip["rx_hw"]), (300, 300))
    check.that("what to stamp is set", lab.knob(1, "hwtstamp"), "1 1")
    lab.knob(1, "reset", 1)
    check.that("and a reset forgets it", lab.knob(1, "hwtstamp"), "0 0")


def plugging():
    lab.knob(1, "plugged", 0)
    gone = not os.path.exists("/sys/devices/platform/hwtsim.1/ptp") or not os.listdir("/sys/devices/platform/hwtsim.1/ptp")
    check.that("an unplugged device has no clock", gone, True)
    check.that("and no interface", "hwt1" in lab.sh("ip -n n1 -br link"), False)
    check.that("nor does it answer", answers(0, "10.0.0.2"), False)
    lab.knob(1, "plugged", 1)
    lab.attach(1)
    lab.wait_for("the link to come", lambda: link(1) == "UP")
    # The peer has to notice that it has another address.
    lab.wait_for("an answer", lambda: answers(0, "10.0.0.2"))
    check.that("plugged in it begins with the system's time", lab.phc_error_ns(1), lab.clock_error_ns() - 50, lab.clock_error_ns() + 50)
    trip = ping()
    check.that("and stamps", (trip["tx_hw"], trip["rx_hw"]), (300, 300))


def networks():
    lab.vlan(5)
    check.that("IPv6", answers(1, "fd00:0:0::1"), True)
    check.that("a VLAN", answers(1, "10.5.0.1"), True)
    lab.bond()
    active = lambda: lab.sh("ip netns exec n1 cat /proc/net/bonding/bond0 | sed -n 's/^Currently Active Slave: //p'").strip()
    lab.wait_for("the bond", lambda: active() == "hwt1" and answers(1, "10.100.0.1"))
    lab.knob(0, "cable", 0)
    # Both ends have to.
    lab.wait_for("the bond to fail over", lambda: active() == "hwt3" and answers(1, "10.100.0.1"))
    check.that("a bond, when its cable was pulled", active(), "hwt3")


def pins():
    lab.knob(1, "osc_ppb", 1000)
    for source, device in (("true", None), ("peer", 0)):
        lab.knob(1, "extts_src", source)
        stamp = lab.external_stamp(lab.phc_path(1))
        offset = stamp % 10**9 - (lab.phc_error_ns(1) - (lab.phc_error_ns(device) if device is not None else 0))
        check.that("a pulse of the second of %s is stamped" % source, offset, -5000, 5000)
    lab.knob(1, "osc_ppb", 0)


def main():
    lab.load(pairs=2, seed=1)
    for part in (clocks, path, stamps, filters, oscillators, links, plugging, pins, networks):
        part()
    lab.sh("for i in 0 1 2 3; do ip netns del n$i; done; sleep 0.5; rmmod hwtsim")
    complaints = [line for line in lab.sh("dmesg").splitlines() if re.search("BUG|WARNING:|Call Trace|Oops", line)]
    check.that("the kernel has nothing to complain of", complaints, [])
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
