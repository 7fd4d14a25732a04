# A witness: with LAB_WITNESS=1 the last host is no node but runs corosync-qnetd, whose vote the nodes
# get through corosync-qdevice (ffsplit).
# shellcheck shell=bash

is_witness() {
    [ -n "$LAB_WITNESS" ] && [ "$1" = "$LAB_HOSTS" ]
}

# The hosts that are nodes of the cluster.
node_numbers() {
    local i
    for i in $(host_numbers); do is_witness "$i" || echo "$i"; done
}

# With corosync-qdevice's own timeouts the other node is without quorum for 12 s when the one that
# breaks ties is lost: the device must answer before corosync's token and consensus are over.
conf_device() {
    [ -n "$LAB_WITNESS" ] || return 0
    cat <<TEXT
    device {
        model: net
        votes: 1
        timeout: 1300
        sync_timeout: 3000
        net {
            host: 10.77.0.$LAB_HOSTS
            tls: required
            algorithm: ffsplit
            tie_breaker: lowest
        }
    }
TEXT
}

# in_etc N COMMAND...: with the /etc/corosync of a host that is not yet switched on.
in_etc() {
    local disk=$DISKS/host$1
    shift
    unshare --mount bash -c 'mount -n --bind "$0/etc/corosync" /etc/corosync && exec "$@"' "$disk" "$@"
}

# Certificates of qnetd and of its clients, in the order of corosync-qdevice-net-certutil(8).
witness_certificates() {
    local i server=$DISKS/host$LAB_HOSTS/etc/corosync/qnetd/nssdb node=$DISKS/host1/etc/corosync/qdevice/net/nssdb
    [ -n "$LAB_WITNESS" ] || return 0
    touch "$DISKS/host$LAB_HOSTS/etc/corosync/witness"
    {
        in_etc "$LAB_HOSTS" corosync-qnetd-certutil -i -G &&
            for i in $(node_numbers); do
                in_etc "$i" corosync-qdevice-net-certutil -i -c "$server/qnetd-cacert.crt" || return 1
            done &&
            in_etc 1 corosync-qdevice-net-certutil -r -n "$LAB_NAME" &&
            in_etc "$LAB_HOSTS" corosync-qnetd-certutil -s -c "$node/qdevice-net-node.crq" -n "$LAB_NAME" &&
            in_etc 1 corosync-qdevice-net-certutil -M -c "$server/cluster-$LAB_NAME.crt" &&
            for i in $(node_numbers); do
                [ "$i" = 1 ] || in_etc "$i" corosync-qdevice-net-certutil -m -c "$node/qdevice-net-node.p12" || return 1
            done
    } >"$STATE/witness.log" 2>&1 ||
        die "the witness's certificates cannot be made: $(tail -n 2 "$STATE/witness.log")" \
            "apt-get install corosync-qnetd corosync-qdevice"
}
