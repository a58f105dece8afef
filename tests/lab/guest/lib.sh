# For scripts that run in the guest: . "$LAB/guest/lib.sh"

# The clock "hwtsim true" and what the module knows of the system clock.
truth=/sys/devices/platform/hwtsim_true

# lab_up [PARAMETER=VALUE...]: loads the module with these parameters. Each device gets a network
# namespace: hwt0 in n0 as 10.0.0.1, its peer hwt1 in n1 as 10.0.0.2, hwt2 in n2 as 10.0.1.1, ...
lab_up() {
    local i=0
    insmod "$LAB_CACHE/hwtsim.ko" "$@" || return
    while [ -e "/sys/class/net/hwt$i" ]; do
        ip netns add "n$i"
        ip link set "hwt$i" netns "n$i"
        ip -n "n$i" link set lo up
        ip -n "n$i" addr add "10.0.$((i / 2)).$((i % 2 + 1))/24" dev "hwt$i"
        ip -n "n$i" link set "hwt$i" up
        i=$((i + 1))
    done
}

# knob DEVICE NAME [VALUE]: reads or sets one, such as: knob 1 osc_ppb 20000
knob() {
    local file=/sys/devices/platform/hwtsim.$1/$2
    if [ $# = 3 ]; then echo "$3" >"$file"; else cat "$file"; fi
}

# The file of a device's PTP clock, and of true time's.
phc() { echo "/dev/$(ls "/sys/devices/platform/hwtsim.$1/ptp")"; }
true_phc() { echo "/dev/$(ls $truth/ptp)"; }

# in_ns DEVICE COMMAND...: runs a command in the namespace of a device. In the background,
# `exec ip netns exec n1 COMMAND` in a subshell instead: then $! is the command and can be signalled.
in_ns() { local n=$1; shift; ip netns exec "n$n" "$@"; }
