# A host: its power, its hang, and commands inside it.
#
#            on                       hang
#   [off] ---------> [on]         <--------> [hung]
#     ^                |  off         unhang    |  off
#     +----------------+------------------------+
#
# The cgroup is the truth: a host is on while a process of its is left, and hung while it is
# frozen. The BMC answers from the same place, so a confirmed "off" cannot be wrong.
# shellcheck shell=bash

host_power() {
    local group
    group=$(host_cgroup "$1")
    if ! grep -qs '^populated 1' "$group/cgroup.events"; then
        echo off
    elif grep -qs '^1' "$group/cgroup.freeze"; then
        echo hung
    else
        echo on
    fi
}

# --- the part all hosts share: the storage, in a mount namespace that nobody else sees

infra_up() {
    local tries
    (
        exec 9>&-
        run_in "$CGROUP/infra" unshare --mount --propagation slave \
            "$LAB_SRC/host/storage" "$SHARED" "$STATE" </dev/null >"$STATE/storage.log" 2>&1
    ) &
    disown
    for tries in $(seq 1 250); do
        [ ! -s "$STATE/storage.pid" ] || return 0
        sleep 0.02
    done
    die "the shared storage did not come up: $(tail -n 2 "$STATE/storage.log")" \
        "see that /dev/fuse exists and bindfs works"
}

# --- power

host_boot() {
    with_host_lock "$1" host_boot_locked "$1"
}

host_boot_locked() {
    local i=$1 group state=$STATE/hosts/host$1 tries
    [ ! -e "$STATE/going-down" ] || die "lab '$LAB_NAME' is going down" "lab up $LAB_HOSTS"
    group=$(host_cgroup "$i")
    mkdir -p "$group"
    echo 0 >"$group/cgroup.freeze"
    net_unplug "$i"
    net_plug "$i" || die "cannot plug the network of host$i" "lab off host$i, lab on host$i"
    rm -f "$state.pid" "$state.booted"
    host_start "$i" "$group" &
    disown
    for tries in $(seq 1 1000); do
        [ ! -s "$state.booted" ] || { power_log "$i" on; return 0; }
        sleep 0.01
        [ "$tries" -lt 50 ] || [ "$(host_power "$i")" = on ] || break
    done
    host_kill "$i"
    die "host$i did not boot: $(tail -n 2 "$state.boot.log" 2>/dev/null)" \
        "lab logs host$i boot"
}

# Runs as a process of its own, outside of the host, and sees how it ends.
host_start() {
    local i=$1 group=$2 holder status
    exec 9>&- </dev/null >>"$STATE/hosts/host$i.boot.log" 2>&1
    echo "$BASHPID" >"$STATE/hosts/host$i.run"
    echo "--- host$i is switched on at $(date '+%F %T')"
    holder=$(cat "$STATE/storage.pid")
    (
        run_in "$group" setsid nsenter --mount="/proc/$holder/ns/mnt" \
            ip netns exec "$(host_netns "$i")" \
            unshare --fork --kill-child --pid --mount --propagation slave --uts --ipc \
            "$LAB_SRC/host/init" "host$i" "$DISKS/host$i" "$STATE" "$LAB_SRC"
    )
    status=$?
    case $status in
    129|130) with_host_lock "$i" host_went "$i" "$BASHPID" $status ;;
    esac
}

# It called reboot(2) itself, which ends the first process of a pid namespace by SIGHUP (restart) or by
# SIGINT (halt, power off). Nothing is done when somebody has pressed its button meanwhile.
host_went() {
    [ "$(cat "$STATE/hosts/host$1.run" 2>/dev/null)" = "$2" ] && [ ! -e "$STATE/going-down" ] || return 0
    echo "host$1 $([ "$3" = 129 ] && echo restarts || echo "switches itself off") at $(date '+%T.%N')"
    ports_down "$1"
    cgroup_kill "$(host_cgroup "$1")"
    dog_off "$1"
    power_log "$1" off
    net_unplug "$1"
    rm -f "$STATE/hosts/host$1.pid"
    [ "$3" != 129 ] || host_boot_locked "$1"
}

# Ports first: otherwise the dying host's sockets would say goodbye, which no power cut does.
host_kill() {
    local was
    was=$(host_power "$1")
    ports_down "$1"
    cgroup_kill "$(host_cgroup "$1")" || die "host$1 does not die" \
        "look at the processes in $(host_cgroup "$1")/cgroup.procs"
    dog_off "$1"
    [ "$was" = off ] || power_log "$1" off
    net_unplug "$1"
    rm -f "$STATE/hosts/host$1.pid"
}

# When which host was seen to be on or off: what fencing is judged by.
power_log() {
    echo "$(date +%s.%N) host$1 $2" >>"$STATE/power.log"
}

host_off() {
    with_host_lock "$1" host_kill "$1"
}

host_on() {
    with_host_lock "$1" host_on_locked "$1"
}

host_on_locked() {
    [ "$(host_power "$1")" = off ] || return 0
    host_boot_locked "$1"
}

host_reset() {
    with_host_lock "$1" host_reset_locked "$1"
}

host_reset_locked() {
    host_kill "$1"
    host_boot_locked "$1"
}

host_hang() {
    [ "$(host_power "$1")" != off ] || die "host$1 is off, it cannot hang" "lab on host$1"
    echo 1 >"$(host_cgroup "$1")/cgroup.freeze"
    local tries
    for tries in $(seq 1 100); do
        grep -q '^frozen 1' "$(host_cgroup "$1")/cgroup.events" && return 0
        sleep 0.01
    done
    die "host$1 did not freeze within a second" "lab hang host$1"
}

host_unhang() {
    [ "$(host_power "$1")" != off ] || die "host$1 is off, not hung" "lab on host$1"
    echo 0 >"$(host_cgroup "$1")/cgroup.freeze"
}

# --- inside

# Refuses what would wait for ever, then becomes the command. It belongs to the host and dies
# with its power.
host_exec() {
    local i pid
    i=$(host_number "${1:-}") || exit 1
    shift
    [ $# -gt 0 ] || die "what shall host$i run?" "lab exec host$i hvcluster status"
    case $(host_power "$i") in
    off)  die "host$i is off" "lab on host$i" ;;
    hung) die "host$i is hung, it would never answer" "lab unhang host$i" ;;
    esac
    pid=$(cat "$STATE/hosts/host$i.pid")
    run_in "$(host_cgroup "$i")" nsenter --target "$pid" --mount --net --pid --uts --ipc \
        --wd=/ env -i "TERM=${TERM:-dumb}" ${NO_COLOR+NO_COLOR=$NO_COLOR} \
        "$LAB_SRC_IN_HOST/host/enter" "$@"
}
LAB_SRC_IN_HOST=/run/lab/src

host_logs() {
    local i what=${2:-clusterd} file
    i=$(host_number "${1:-}") || exit 1
    case $what in
    clusterd|hvcluster) file=$DISKS/host$i/var/log/hvcluster/clusterd.log ;;
    supervise)          file=$DISKS/host$i/var/log/hvcluster/supervise.log ;;
    corosync)           file=$DISKS/host$i/var/log/corosync/corosync.log ;;
    libvirtd)           file=$DISKS/host$i/var/log/libvirt/libvirtd.log ;;
    pki)                file=$DISKS/host$i/var/log/hvcluster/pki.log ;;
    boot)               file=$STATE/hosts/host$i.boot.log ;;
    *) die "there is no log '$what'" "clusterd, corosync, libvirtd, supervise, pki or boot" ;;
    esac
    [ -e "$file" ] || die "host$i has not written $what's log yet" "lab status"
    cat "$file"
}
