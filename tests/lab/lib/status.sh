# The hosts at a glance, and waiting until they are one cluster.
# shellcheck shell=bash

# host_processes N NAME: how many processes of that name run in a host; works while it is hung.
host_processes() {
    local pid comm count=0
    while read -r pid; do
        read -r comm 2>/dev/null <"/proc/$pid/comm" || continue
        [ "$comm" != "$2" ] || count=$((count + 1))
    done <"$(host_cgroup "$1")/cgroup.procs"
    echo "$count"
}

# What corosync says on a host: "MEMBERS/EXPECTED quorate|no-quorum", or "-" without an answer.
host_quorum() {
    timeout 2 "$LAB_SRC/lab" exec "host$1" corosync-quorumtool -s 2>/dev/null | awk '
        /^Expected votes:/ { expected = $3 }
        /^Total votes:/    { total = $3 }
        /^Quorate:/        { quorate = $2 }
        END { if (expected == "") print "-"
              else print total "/" expected, quorate == "Yes" ? "quorate" : "no-quorum" }'
}

# The VMs whose QEMU runs, by the kernel's word: one line "HOST NAME PID" each.
lab_guests() {
    local i pid args
    for i in $(host_numbers); do
        [ "$(host_power "$i")" != off ] || continue
        while read -r pid; do
            args=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -m1 '^guest=') || continue
            args=${args#guest=}
            echo "host$i ${args%%,*} $pid"
        done <"$(host_cgroup "$i")/cgroup.procs"
    done
}

up_or_dash() {
    if [ "$(host_processes "$1" "$2")" -gt 0 ]; then echo up; else echo -; fi
}

status_line() {
    local i=$1 power quorum=- losses=""
    power=$(host_power "$i")
    [ ! -e "$STATE/hosts/host$i.cut-cluster" ] || losses+=" cut:cluster"
    [ ! -e "$STATE/hosts/host$i.cut-mgmt" ] || losses+=" cut:mgmt"
    if [ "$power" = off ]; then
        printf '%-8s %-6s %-16s %-9s %-9s %5s %s\n' "host$i" off - - - - "$losses"
        return
    fi
    [ "$power" = hung ] || quorum=$(host_quorum "$i")
    printf '%-8s %-6s %-16s %-9s %-9s %5s %s\n' "host$i" "$power" "$quorum" \
        "$(up_or_dash "$i" libvirtd)" "$(up_or_dash "$i" clusterd)" \
        "$(host_processes "$i" qemu-system-x86)" "$losses"
}

lab_status() {
    local i out drop
    printf '%-8s %-6s %-16s %-9s %-9s %5s %s\n' HOST POWER COROSYNC LIBVIRTD CLUSTERD QEMU NETWORK
    out=$(mktemp -d) || exit 1
    for i in $(host_numbers); do status_line "$i" >"$out/$i" & done
    wait
    for i in $(host_numbers); do cat "$out/$i"; done
    rm -r "$out"
    for drop in "$STATE"/hosts/drop-*; do
        [ ! -e "$drop" ] || sed 's/^.*drop-\(host[0-9]*\)-\(.*\)$/lost: \1 -> \2/' <<<"$drop"
    done
}

# ready N EXPECTED: is this host in a quorate ring of that size, and do its services answer?
host_ready() {
    ! is_witness "$1" || return 0
    [ "$(host_quorum "$1")" = "$2/$LAB_HOSTS quorate" ] || return 1
    timeout 5 "$LAB_SRC/lab" exec "host$1" virsh -q version >/dev/null 2>&1 || return 1
    [ "$(host_processes "$1" supervise)" -lt 3 ] ||
        timeout 5 "$LAB_SRC/lab" exec "host$1" hvcluster status >/dev/null 2>&1
}

wait_host_ready() {
    local deadline=$3
    until host_ready "$1" "$2"; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# wait_ready SECONDS
wait_ready() {
    local i on=() pids=() deadline late=()
    deadline=$(($(date +%s) + $1))
    for i in $(host_numbers); do [ "$(host_power "$i")" != on ] || on+=("$i"); done
    for i in "${on[@]}"; do wait_host_ready "$i" ${#on[@]} "$deadline" & pids+=($!); done
    for i in "${!on[@]}"; do wait "${pids[$i]}" || late+=("host${on[$i]}"); done
    [ ${#late[@]} -eq 0 ] || {
        echo "lab: not ready within $1 s: ${late[*]}" >&2
        lab_status >&2
        tail -n 5 "$DISKS/${late[0]}"/var/log/hvcluster/{supervise,clusterd}.log >&2 2>/dev/null
        echo "     try: lab logs ${late[0]} clusterd|corosync|libvirtd|supervise" >&2
        return 1
    }
}
