# What a host finds in its /etc and /var when it is first switched on. Written once: afterwards
# the disk is the host's own, and what is changed there stays over a power cycle.
# shellcheck shell=bash

conf_write() {
    local disk=$DISKS/host$1
    mkdir -p "$disk"/{etc,work,root} "$disk"/etc/{corosync,libvirt/qemu,libvirt/secrets,hvcluster} \
        "$disk"/var/{lib,log,cache,tmp,lib/libvirt/qemu,lib/corosync,lib/hvcluster} \
        "$disk"/var/log/{corosync,libvirt/qemu,hvcluster} || die "cannot create the disk $disk"
    chmod 1777 "$disk/var/tmp"
    chmod 0700 "$disk/var/lib/hvcluster" "$disk/etc/hvcluster" "$disk/root"
    qemu_capabilities_restore "$disk/var"
    ln -s /run "$disk/var/run"
    ln -s /run/lock "$disk/var/lock"
    conf_names "$1" "$disk/etc"
    conf_users "$disk/etc"
    conf_corosync >"$disk/etc/corosync/corosync.conf"
    cluster_key "$disk/etc/corosync/authkey"
    conf_pki "$1" "$disk/etc/hvcluster"
    conf_libvirt "$1" "$disk/etc/libvirt"
}

# libvirtd looks for this user before it reads that it is to use another one. Only a package that the
# lab does without (libvirt-daemon-system) makes it.
conf_users() {
    local file
    for file in passwd group; do
        grep -q ^libvirt-qemu: /etc/$file || cp /etc/$file "$1/$file"
    done
    [ ! -e "$1/passwd" ] || echo "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin" >>"$1/passwd"
    [ ! -e "$1/group" ] || echo "libvirt-qemu:x:64055:" >>"$1/group"
}

# libvirt asks each QEMU what it can do, which takes a second at a host's first boot, and writes it
# down. It sees by itself when that is out of date, so a new host may have an earlier one's notes.
qemu_capabilities_restore() {
    mkdir -p "$1/cache/libvirt/qemu"
    [ ! -d "$CACHE/capabilities" ] || cp -pr "$CACHE/capabilities" "$1/cache/libvirt/qemu/"
}

qemu_capabilities_keep() {
    local notes=$DISKS/host1/var/cache/libvirt/qemu/capabilities work
    [ -d "$notes" ] && [ ! -d "$CACHE/capabilities" ] || return 0
    mkdir -p "$CACHE" && work=$(mktemp -d "$CACHE/capabilities.XXXXXX") || return 0
    cp -pr "$notes/." "$work/" && mv -T "$work" "$CACHE/capabilities" 2>/dev/null || rm -rf "$work"
}

conf_names() {
    local i
    echo "host$1" >"$2/hostname"
    host_uuid "$1" | tr -d '-' >"$2/machine-id"
    {
        echo "127.0.0.1 localhost"
        for i in $(host_numbers); do
            echo "10.77.0.$i host$i"
            echo "10.77.1.$i host$i-mgmt"
            echo "10.77.1.$((100 + i)) host$i-bmc"
        done
    } >"$2/hosts"
}

# The same for a host of the same lab whenever it is asked, different in every other lab.
host_uuid() {
    local hash
    hash=$(md5sum <<<"$LAB_NAME $(stat -c %W%i "$SHARED") host$1")
    echo "${hash:0:8}-${hash:8:4}-4${hash:13:3}-8${hash:17:3}-${hash:20:12}"
}

cluster_key() {
    local key=$STATE/authkey
    [ -e "$key" ] || (umask 077; head -c 256 /dev/urandom >"$key")
    install -m 0400 "$key" "$1"
}

# The certificate of a host, to be installed at its first boot (host/rc). One CA signs for all labs of
# this machine, and keys are kept: making one takes a second. A lab without hvcluster has no TLS.
conf_pki() {
    local pki=$CACHE/pki
    have_pki || return 0
    mkdir -p -m 0700 "$pki" && (
        flock 8
        export HVCLUSTER_PKI_DIR=$pki
        [ -e "$pki/ca-cert.pem" ] || "$LAB_BINDIR/cli/hvcluster" pki init lab
        [ -e "$pki/host$1/ca-cert.pem" ] || "$LAB_BINDIR/cli/hvcluster" pki issue "host$1"
    ) 8>"$pki.lock" >/dev/null || die "cannot make the certificate of host$1" "rm -r $pki"
    mkdir -m 0700 "$2/pki" && cp -pr "$pki/host$1" "$2/pki/"
}

have_pki() {
    [ -x "$LAB_BINDIR/cli/hvcluster" ]
}

# knet's ping timers follow the token, but below about half a second they make links flap.
conf_corosync() {
    local i timers=""
    [ "$LAB_TOKEN" -ge 600 ] || timers="
    interface {
        linknumber: 0
        knet_ping_interval: 200
        knet_ping_timeout: 500
    }"
    cat <<TEXT
totem {
    version: 2
    cluster_name: $LAB_NAME
    transport: knet
    crypto_cipher: aes256
    crypto_hash: sha256
    token: $LAB_TOKEN
    token_coefficient: 0$timers
}
quorum {
    provider: corosync_votequorum
    $([ "$LAB_HOSTS" != 2 ] || echo "two_node: 1")
$(tr ';' '\n' <<<"$LAB_QUORUM")
$(conf_device)
}
logging {
    to_stderr: no
    to_syslog: no
    to_logfile: yes
    logfile: /var/log/corosync/corosync.log
    timestamp: hires
}
nodelist {
$(for i in $(node_numbers); do
    printf '    node {\n        nodeid: %d\n        name: host%d\n' "$i" "$i"
    printf '        ring0_addr: 10.77.0.%d\n    }\n' "$i"
done)
}
TEXT
}

# libvirt without the services of a whole machine: no cgroups, no security driver. Where there are
# certificates, nothing goes from host to host in clear text.
conf_libvirt() {
    local tls=0
    ! have_pki || tls=1
    cat >"$2/libvirtd.conf" <<TEXT
host_uuid = "$(host_uuid "$1")"
listen_tls = $tls
listen_tcp = $((1 - tls))
listen_addr = "10.77.0.$1"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
max_clients = 500
max_workers = 40
max_client_requests = 40
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
TEXT
    cat >"$2/qemu.conf" <<TEXT
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = [ ]
cgroup_controllers = [ ]
seccomp_sandbox = 0
stdio_handler = "file"
max_core = 0
migrate_tls_x509_verify = 1
migrate_tls_force = $tls
migration_host = "10.77.0.$1"
migration_address = "10.77.0.$1"
TEXT
    [ "$LAB_LOCKS" != lockd ] || conf_lockd "$2"
}

# A lease for each disk in a folder that all hosts see: locks on a block device itself would be the
# host's own.
conf_lockd() {
    echo 'lock_manager = "lockd"' >>"$1/qemu.conf"
    mkdir -p "$SHARED/locks"
    cat >"$1/qemu-lockd.conf" <<TEXT
auto_disk_leases = 1
require_lease_for_disks = 1
file_lockspace_dir = "/srv/vms/locks"
TEXT
    echo 'log_outputs = "3:file:/var/log/libvirt/virtlockd.log"' >"$1/virtlockd.conf"
}
