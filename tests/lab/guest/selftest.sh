# Is the lab what it promises? To be run in the guest, in virtual time:
#   tests/lab/run -i bash tests/lab/guest/selftest.sh
. "$LAB/guest/lib.sh"
lab_up || exit 1
failed=0
check() { # WHAT FOUND EXPECTED
    if [ "$2" = "$3" ]; then echo "ok    $1"; else echo "FAIL  $1: $2, not $3"; failed=1; fi
}
within() { awk -v x="$1" -v low="$2" -v high="$3" 'BEGIN { print (x >= low && x <= high) ? "yes" : x }'; }
set_both() { knob 0 "$1" "$2"; knob 1 "$1" "$2"; }

# 300 packets from hwt0 to hwt1; then what their hardware stamps say: of the trip, and how many there are.
ping() { "$LAB_CACHE/tsping" -n 300 "$@" >/tmp/ping; }
trip() { awk -v f="$1" '/^rx_hw - tx_hw/ { for (i = 4; i < NF; i++) if ($i == f) print $(i + 1) }' /tmp/ping; }
count() { awk -v f="$1" '/^sent/ { for (i = 1; i < NF; i++) if ($i == f) print $(i + 1) }' /tmp/ping; }

knob 0 delay_ns 50000; ping
check "delay" "$(trip min) $(trip max) $(trip n)" "50000 50000 300"
knob 0 jitter_ns 10000; ping
check "uniform jitter, least" "$(within "$(trip min)" 50000 51000)" yes
check "uniform jitter, most" "$(within "$(trip max)" 59000 60000)" yes
knob 0 jitter_dist exp; ping
check "exponential jitter" "$(within "$(trip mean)" 58000 62000)" yes
knob 0 jitter_ns 0

knob 1 rx_err_ns 123; ping
check "error of receive stamps" "$(trip mean)" 50123.0
knob 1 rx_err_ns 0
knob 0 txts_loss_ppm 1000000; ping
check "lost transmit stamps" "$(count received) $(count tx_hw)" "300 0"
knob 0 txts_loss_ppm 0
knob 0 loss_ppm 1000000; ping
check "lost frames" "$(count received)" 0
knob 0 loss_ppm 0

# The payload begins with a count: it looks like a PTP event message if count % 16 < 4.
set_both rxfilter ptp
ping -f 12 -p 319
check "the filter ptp stamps event messages" "$(count tx_hw) $(count rx_hw)" "300 76"
ping -f 12 -p 320
check "and only on their port" "$(count tx_hw) $(count rx_hw)" "300 0"
ping -f 1
check "and refuses to stamp all" $? 1
set_both rxfilter all

echo 25000 >$truth/sys_ppb
before=$(cat $truth/sys_error_ns); sleep 2; after=$(cat $truth/sys_error_ns)
check "the system's oscillator, 25 ppm fast" "$(within $((after - before)) 49000 60000)" yes
echo 0 >$truth/sys_ppb
knob 1 osc_ppb 1000000
before=$(knob 1 error_ns); sleep 1; after=$(knob 1 error_ns)
check "a device's oscillator, 1000 ppm fast" "$(within $((after - before)) 990000 1200000)" yes

for i in 0 1; do ip netns del "n$i"; done
sleep 0.5
rmmod hwtsim
check "the module can be removed" $? 0
check "the kernel has nothing to complain of" "$(dmesg | grep -cE 'BUG|WARNING|Call Trace|Oops')" 0
exit $failed
