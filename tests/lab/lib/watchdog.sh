# Watchdogs (LAB_WATCHDOG, LAB_SBD): one labdog for each host, outside of it, whose file is the host's
# /dev/watchdog.
# shellcheck shell=bash

dog_up() {
    local i=$1 dir=$STATE/watchdog/host$1 program tries holder
    [ -n "$LAB_WATCHDOG$LAB_SBD" ] || return 0
    program=$LAB_BINDIR/tests/lab/labdog
    [ -x "$program" ] || die "a watchdog needs $program" \
        "apt-get install libfuse3-dev, then configure and make again"
    holder=$(cat "$STATE/storage.pid")
    mkdir -p "$dir"
    (
        exec 9>&-
        run_in "$CGROUP/infra" "$program" "$dir" "/proc/$holder/ns/mnt" "$dir.pid" \
            "$LAB_SRC/host/bite" "$LAB_NAME" "host$i" </dev/null >>"$dir.log" 2>&1
    ) &
    disown
    for tries in $(seq 1 250); do
        ! nsenter --mount="/proc/$holder/ns/mnt" test -e "$dir/watchdog" || return 0
        sleep 0.02
    done
    die "the watchdog of host$i did not come up: $(tail -n 2 "$dir.log")" "see that /dev/fuse exists"
}

# No power, no timer.
dog_off() {
    [ ! -s "$STATE/watchdog/host$1.pid" ] ||
        kill -USR1 "$(cat "$STATE/watchdog/host$1.pid")" 2>/dev/null || true
}
