# Names, settings, locks, errors and cgroups of a lab.
# shellcheck shell=bash disable=SC2034

LAB_NAME=${LAB_NAME:-lab}
LAB_RUN=/run/hvlab                  # state that dies with a lab
LAB_STORE=/var/lib/hvlab            # the hosts' disks and the shared storage
CACHE=${XDG_CACHE_HOME:-/var/cache}/hvlab    # may be removed at any time
PREFIX=hvlab-$LAB_NAME
STATE=$LAB_RUN/$LAB_NAME
DISKS=$LAB_STORE/$LAB_NAME
SHARED=$DISKS/shared                # what the hosts see as /srv/vms
SWITCH=$PREFIX-sw

# die CAUSE [NEXT-STEP]
die() {
    echo "lab: $1" >&2
    [ $# -lt 2 ] || echo "     try: $2" >&2
    exit 1
}

[[ $LAB_NAME =~ ^[a-z0-9][a-z0-9-]{0,15}$ ]] ||
    die "LAB_NAME '$LAB_NAME' is not a name for a lab" \
        "1 to 16 lower-case letters, digits and dashes"

# The root of the version-2 cgroups, which a machine may have beside the old ones.
cgroup_root() {
    awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts
}
CGROUP_ROOT=$(cgroup_root)
CGROUP=$CGROUP_ROOT/$PREFIX

need_lab() {
    [ "$(id -u)" = 0 ] || die "a lab needs root" "run it with sudo"
    [ -e "$STATE/settings" ] || die "lab '$LAB_NAME' is not up" "lab up 3"
}

# --- settings: what `up` was told, for later commands and for hosts switched on by their BMC

settings_save() {
    local top
    top=$(cd "$LAB_SRC/../.." && pwd)
    mkdir -p "$STATE/hosts" "$SHARED" ||
        die "cannot create $STATE and $SHARED" "see that /run and /var/lib can be written"
    LAB_HOSTS=$1
    LAB_BINDIR=$(readlink -m "${LAB_BINDIR:-$top}")
    LAB_TOKEN=${LAB_TOKEN:-1000}
    LAB_ENV=${LAB_ENV:-}
    LAB_WITNESS=${LAB_WITNESS:-}
    LAB_QUORUM=${LAB_QUORUM:-}
    LAB_WATCHDOG=${LAB_WATCHDOG:-}
    LAB_SBD=${LAB_SBD:-}
    LAB_LOCKS=${LAB_LOCKS:-}
    LAB_LUNS=${LAB_LUNS:-${LAB_SBD:+1}}
    LAB_LUNS=${LAB_LUNS:-0}
    {
        printf 'LAB_HOSTS=%q\nLAB_BINDIR=%q\n' "$LAB_HOSTS" "$LAB_BINDIR"
        printf 'LAB_WITNESS=%q\nLAB_QUORUM=%q\n' "$LAB_WITNESS" "$LAB_QUORUM"
        printf 'LAB_TOKEN=%q\nLAB_ENV=%q\n' "$LAB_TOKEN" "$LAB_ENV"
        printf 'LAB_WATCHDOG=%q\nLAB_SBD=%q\n' "$LAB_WATCHDOG" "$LAB_SBD"
        printf 'LAB_LUNS=%q\n' "$LAB_LUNS"
    } >"$STATE/settings"
}

settings_load() {
    # shellcheck disable=SC1091
    [ ! -r "$STATE/settings" ] || . "$STATE/settings"
}

# --- hosts by name and number

host_numbers() {
    seq 1 "$LAB_HOSTS"
}

# host_number NAME: prints the number of a host, or explains which hosts there are.
host_number() {
    if [[ ${1:-} =~ ^host([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -ge 1 ] &&
       [ "${BASH_REMATCH[1]}" -le "$LAB_HOSTS" ]; then
        echo "${BASH_REMATCH[1]}"
        return
    fi
    die "there is no host '${1:-}'" "one of host1 to host$LAB_HOSTS"
}

# each_host FUNCTION H...: calls FUNCTION with the number of each host, all at once.
each_host() {
    local call=$1 name number pids=() status=0
    shift
    [ $# -gt 0 ] || die "which host?" "one of host1 to host$LAB_HOSTS"
    for name in "$@"; do host_number "$name" >/dev/null || exit 1; done
    for name in "$@"; do
        number=$(host_number "$name")
        "$call" "$number" & pids+=($!)
    done
    for number in "${pids[@]}"; do wait "$number" || status=1; done
    return $status
}

# with_host_lock N FUNCTION ARGS...: two power switches pressed at once act one after the other.
with_host_lock() {
    local number=$1
    shift
    (
        flock -w 30 9 || die "host$number is busy: another power command has not ended" \
            "lab status, then the same again"
        "$@"
    ) 9>"$STATE/hosts/host$number.lock"
}

# --- cgroups: infra (switch, BMCs, shared storage) and one for each host

host_cgroup() {
    echo "$CGROUP/hosts/host$1"
}

cgroup_make() {
    [ -n "$CGROUP_ROOT" ] || die "no cgroup2 file system is mounted" \
        "mount -t cgroup2 none /sys/fs/cgroup/unified"
    mkdir -p "$CGROUP/infra" "$CGROUP/hosts" || die "cannot create cgroups in $CGROUP_ROOT"
    [ -e "$CGROUP/infra/cgroup.kill" ] || die "this kernel has no cgroup.kill" \
        "Linux 5.14 or later"
}

# cgroup_kill DIR: kills all in it, frozen or not, and returns when nothing is left.
cgroup_kill() {
    local tries
    [ -e "$1/cgroup.kill" ] || return 0
    for tries in $(seq 1 500); do
        echo 1 >"$1/cgroup.kill"
        grep -q '^populated 0' "$1/cgroup.events" && return 0
        sleep 0.02
    done
    return 1
}

cgroup_remove() {
    [ -d "$CGROUP" ] || return 0
    cgroup_kill "$CGROUP" || echo "lab: some processes of lab '$LAB_NAME' do not die" >&2
    find "$CGROUP" -depth -type d -exec rmdir {} +
}

# run_in CGROUP CMD...: replaces this shell by a command that belongs to that cgroup.
run_in() {
    local group=$1
    shift
    echo "$BASHPID" >"$group/cgroup.procs" || exit 1
    exec "$@"
}
