# The network: a switch in a namespace of its own, with two bridges.
#
#   cluster  10.77.0.N       corosync, migration; ports c1, c2, ... (a host's eth0)
#   mgmt     10.77.1.N       the way to the BMCs; ports m1, m2, ... (a host's eth1)
#            10.77.1.100+N   the BMC of host N, which lives in the switch and not in its host
#
# Being in a namespace, all labs use the same addresses and never meet.
# shellcheck shell=bash

host_netns() {
    echo "$PREFIX-host$1"
}

switch_up() {
    local i
    ip netns add "$SWITCH" || die "cannot create the network namespace $SWITCH"
    # A bridge takes the lowest MAC address of its ports unless it has one of its own; without,
    # removing a port makes its addresses go dark.
    ip -n "$SWITCH" -batch - <<TEXT || die "cannot build the lab's switch"
link set lo up
link add cluster address 02:77:00:00:ff:00 type bridge
link add mgmt address 02:77:00:00:ff:01 type bridge
link set cluster up
link set mgmt up
$(for i in $(host_numbers); do echo "address add 10.77.1.$((100 + i))/24 dev mgmt"; done)
TEXT
    ip netns exec "$SWITCH" nft -f - <<'TEXT' || die "cannot set up packet loss in the switch" \
        "see that the kernel has nf_tables for bridges"
table bridge lab {
    set drops { type ifname . ifname; }
    chain forward {
        type filter hook forward priority 0;
        iifname . oifname @drops drop
    }
}
TEXT
}

# No port forwards any more: what dies from now on says no goodbye to anyone.
switch_silence() {
    [ -e "/run/netns/$SWITCH" ] || return 0
    ip -n "$SWITCH" link set cluster down 2>/dev/null
    ip -n "$SWITCH" link set mgmt down 2>/dev/null
    return 0
}

# The network card of a host that is being switched on; removed again by net_unplug.
net_plug() {
    local i=$1 ns mac
    ns=$(host_netns "$i")
    mac=$(printf '%02x' "$i")
    ip netns add "$ns" || return 1
    ip -n "$SWITCH" -batch - <<TEXT || return 1
link add c$i type veth peer name eth0 netns $ns address 02:77:00:00:00:$mac
link add m$i type veth peer name eth1 netns $ns address 02:77:00:00:01:$mac
link set c$i master cluster $(port_state "$i" cluster)
link set m$i master mgmt $(port_state "$i" mgmt)
TEXT
    ip -n "$ns" -batch - <<TEXT
link set lo up
address add 10.77.0.$i/24 dev eth0
address add 10.77.1.$i/24 dev eth1
link set eth0 up
link set eth1 up
TEXT
}

net_unplug() {
    local ns
    ns=$(host_netns "$1")
    ip -n "$SWITCH" link del "c$1" 2>/dev/null
    ip -n "$SWITCH" link del "m$1" 2>/dev/null
    [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
}

# A pulled cable stays pulled over a power cycle.
port_state() {
    if [ -e "$STATE/hosts/host$1.cut-$2" ]; then echo down; else echo up; fi
}

# Both ports of a host, before its power goes.
ports_down() {
    ip -n "$SWITCH" -batch - 2>/dev/null <<TEXT
link set c$1 down
link set m$1 down
TEXT
    return 0
}

# --- verbs

nets_named() {
    case ${1:-all} in
    all) echo cluster mgmt ;;
    cluster|mgmt) echo "$1" ;;
    *) die "there is no network '$1'" "cluster, mgmt or all" ;;
    esac
}

port_apply() {
    local port
    port=${2:0:1}$1
    [ ! -e "/run/netns/$(host_netns "$1")" ] ||
        ip -n "$SWITCH" link set "$port" "$(port_state "$1" "$2")"
}

net_cut() {
    local i nets net
    i=$(host_number "${1:-}") && nets=$(nets_named "${2:-all}") || exit 1
    for net in $nets; do
        touch "$STATE/hosts/host$i.cut-$net"
        port_apply "$i" "$net"
    done
}

net_join() {
    local i nets net
    i=$(host_number "${1:-}") && nets=$(nets_named "${2:-all}") || exit 1
    for net in $nets; do
        rm -f "$STATE/hosts/host$i.cut-$net"
        port_apply "$i" "$net"
    done
}

net_drop() {
    local from to
    from=$(host_number "${1:-}") && to=$(host_number "${2:-}") || exit 1
    [ "$from" != "$to" ] || die "'drop' needs two hosts" "lab drop host1 host2"
    ip netns exec "$SWITCH" nft add element bridge lab drops "{ c$from . c$to }"
    touch "$STATE/hosts/drop-host$from-host$to"
}

net_undrop() {
    local from to
    if [ $# -eq 0 ]; then
        ip netns exec "$SWITCH" nft flush set bridge lab drops
        rm -f "$STATE"/hosts/drop-*
        return
    fi
    from=$(host_number "$1") && to=$(host_number "${2:-}") || exit 1
    [ -e "$STATE/hosts/drop-host$from-host$to" ] ||
        die "nothing is dropped from host$from to host$to" "lab status"
    ip netns exec "$SWITCH" nft delete element bridge lab drops "{ c$from . c$to }"
    rm -f "$STATE/hosts/drop-host$from-host$to"
}
