"""The lab as programs in the guest see it: devices, knobs, clocks, the truth.

For scripts that run in the guest. Nothing here goes through what is tested.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import time

CACHE = os.environ["LAB_CACHE"]
OUT = os.environ["OUT"]
PLATFORM = "/sys/devices/platform/"
TRUTH = PLATFORM + "hwtsim_true/"
LEAP_LIST = "/run/leap-seconds.list"


def sh(command, **more):
    """Runs a shell command that has to succeed; returns what it printed."""
    done = subprocess.run(["bash", "-ec", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise RuntimeError("%s: exit code %d: %s" % (command, done.returncode, done.stdout))
    return done.stdout


def in_ns(number):
    """What to put before a command so that it runs in the namespace of a device."""
    return ["ip", "netns", "exec", "n%d" % number]


def load(**parameters):
    """Loads the module. Each device comes up in a namespace of its own (attach)."""
    sh("insmod %s/hwtsim.ko %s" % (CACHE, " ".join("%s=%s" % p for p in parameters.items())))
    number = 0
    while os.path.exists(PLATFORM + "hwtsim.%d" % number):
        sh("ip netns add n%d; ip -n n%d link set lo up" % (number, number))
        attach(number)
        number += 1


def address(device, net=0):
    """IPv4 and IPv6 address of a device, with their prefix lengths. net: 10.NET.PAIR.x."""
    pair, end = divmod(device, 2)
    return "10.%d.%d.%d/24" % (net, pair, end + 1), "fd00:%d:%d::%d/64" % (net, pair, end + 1)


def attach(device):
    """Moves a device from where it was plugged in to its namespace, and sets it up."""
    commands = ["ip link set hwt%d netns n%d" % (device, device)]
    for one in address(device):
        nodad = " nodad" if ":" in one else ""
        commands.append("ip -n n%d addr add %s dev hwt%d%s" % (device, one, device, nodad))
    commands.append("ip -n n%d link set hwt%d up" % (device, device))
    sh("; ".join(commands))


def vlan(number):
    """A VLAN over the first pair: 10.NUMBER.0.1 and .2."""
    sh("; ".join(
        "ip -n n{0} link add link hwt{0} name vlan{1} type vlan id {1};"
        "ip -n n{0} addr add {2} dev vlan{1}; ip -n n{0} addr add {3} dev vlan{1} nodad;"
        "ip -n n{0} link set vlan{1} up".format(end, number, *address(end, number))
        for end in (0, 1)
    ))


def bond():
    """Bonds the first two pairs, active-backup: bond0 in n0 as 10.100.0.1, in n1 as 10.100.0.2."""
    for end in (0, 1):
        sh(
            "ip -n n{1} link set hwt{1} netns n{0};"
            "ip -n n{0} link add bond0 type bond mode active-backup miimon 100;"
            "for i in {0} {1}; do ip -n n{0} link set hwt$i down; ip -n n{0} addr flush dev hwt$i;"
            "ip -n n{0} link set hwt$i master bond0; done;"
            "ip -n n{0} link set bond0 type bond primary hwt{0};"
            "ip -n n{0} addr add {2} dev bond0; ip -n n{0} addr add {3} dev bond0 nodad;"
            "ip -n n{0} link set bond0 up".format(end, end + 2, *address(end, 100))
        )


def wait_for(what, condition, seconds=60):
    """Looks until it holds; long, as time is not always virtual and the machine may be busy."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited %s s for %s" % (seconds, what))
        time.sleep(0.01)


def read(path):
    with open(path) as f:
        return f.read().strip()


def write(path, value):
    with open(path, "w") as f:
        f.write(str(value))


def knob(device, name, value=None):
    """Reads or sets a knob of a device."""
    path = PLATFORM + "hwtsim.%d/%s" % (device, name)
    return read(path) if value is None else write(path, value)


def stats(device):
    return {name: int(value) for name, value in (line.split() for line in knob(device, "stats").splitlines())}


def clock_error_ns():
    """The system clock minus UTC."""
    return int(read(TRUTH + "sys_error_ns"))


def write_leap_list(day_ends, before, after):
    """A list of leap seconds with one at the end of that day (s since 1970), which changes TAI - UTC."""
    ntp = day_ends + 2208988800
    year = 365 * 86400
    lines = [("#$", ntp - year), ("#@", ntp + year), (ntp - 5 * year, before), (ntp, after)]
    digits = "".join(str(part) for line in lines for part in line if part not in ("#$", "#@"))
    digest = hashlib.sha1(digits.encode()).hexdigest()
    text = "".join("%s %s\n" % line for line in lines)
    write(LEAP_LIST, text + "#h " + " ".join(digest[i : i + 8] for i in range(0, 40, 8)) + "\n")


def phc_error_ns(device):
    """A device's clock minus true time."""
    return int(knob(device, "error_ns"))


def device_file(directory):
    return "/dev/" + os.listdir(directory + "/ptp")[0]


def phc_path(device):
    return device_file(PLATFORM + "hwtsim.%d" % device)


def true_phc_path():
    return device_file(TRUTH)


# --- clocks


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


STATES = ("ok", "insert", "delete", "in progress", "occurred", "unsynchronized")  # TIME_*


def clock_adjtime(clock, **fields):
    timex = Timex(**fields)
    state = libc.clock_adjtime(clock, ctypes.byref(timex))
    if state < 0:
        raise OSError(ctypes.get_errno(), "clock_adjtime")
    timex.state = STATES[state]
    return timex


def adjtimex(**fields):
    return clock_adjtime(time.CLOCK_REALTIME, **fields)


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
        "leap": {0x10: "insert", 0x20: "delete"}.get(timex.status & 0x30, "none"),  # STA_INS, STA_DEL
        "state": timex.state,
        "tai_offset_s": timex.tai,
    }


def step(clock, seconds):
    """Adds to a clock."""
    nanoseconds = round(seconds * 1e9)
    clock_adjtime(clock, modes=ADJ_SETOFFSET | ADJ_NANO, sec=nanoseconds // 10**9, usec=nanoseconds % 10**9)


def add_to_clock(seconds):
    """Sets the system clock wrong by so much."""
    step(time.CLOCK_REALTIME, seconds)


def ioctl_number(direction, number, size):
    return direction << 30 | size << 16 | ord("=") << 8 | number


class Phc:
    """An open PTP clock, as another program has it: no code of what is tested."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR)
        self.id = (~self.file) << 3 | 3  # FD_TO_CLOCKID

    def step(self, seconds):
        step(self.id, seconds)

    def adjust_frequency(self, ppm):
        clock_adjtime(self.id, modes=ADJ_FREQUENCY, freq=round(ppm * 65536))

    def precise(self):
        """PTP_SYS_OFFSET_PRECISE: (device, realtime, raw), ns."""
        data = bytearray(64)
        fcntl.ioctl(self.file, ioctl_number(3, 8, 64), data)
        times = struct.unpack_from("<qIIqIIqII", data)
        return tuple(times[i] * 10**9 + times[i + 1] for i in (0, 3, 6))

    def extended(self, samples):
        """PTP_SYS_OFFSET_EXTENDED: a list of (system before, device, system after), ns."""
        size = 16 + 25 * 3 * 16
        data = bytearray(size)
        struct.pack_into("<I", data, 0, samples)
        fcntl.ioctl(self.file, ioctl_number(3, 9, size), data)
        moments = [s * 10**9 + n for s, n, _ in struct.iter_unpack("<qII", data[16 : 16 + samples * 48])]
        return [tuple(moments[i : i + 3]) for i in range(0, len(moments), 3)]

    def close(self):
        os.close(self.file)


def external_stamp(path):
    """The next stamp that the clock takes of pin 0 (PTP_PIN_SETFUNC, PTP_EXTTS_REQUEST), ns."""
    file = os.open(path, os.O_RDWR)
    fcntl.ioctl(file, ioctl_number(1, 7, 96), struct.pack("64sIII5I", b"", 0, 1, 0, *[0] * 5))
    fcntl.ioctl(file, ioctl_number(1, 2, 16), struct.pack("IIII", 0, 1 | 2, 0, 0))
    seconds, nanoseconds = struct.unpack_from("qI", os.read(file, 32))
    fcntl.ioctl(file, ioctl_number(1, 2, 16), struct.pack("IIII", 0, 0, 0, 0))
    os.close(file)
    return seconds * 10**9 + nanoseconds


# --- daemons


def ask(control_socket, command):
    """What clockwright answers on its control socket; None if there is none yet."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(control_socket)
            s.sendall(('{"command": "%s"}\n' % command).encode())
            return json.loads(s.makefile().readline()).get("ok")
    except OSError:
        return None


def in_memory(program):
    """A copy of a program in memory: files of the host cost odd amounts of virtual time."""
    copy = "/run/" + os.path.basename(program)
    if not os.path.exists(copy):
        shutil.copy(program, copy)
    return copy
