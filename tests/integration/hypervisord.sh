#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hypervisord against a real libvirtd and QEMU, in namespaces of its own. Each step is a script for
# tests/hvdrive, which plays clusterd. Skipped (77) where that cannot be.
#
#   hypervisord.sh [STEP...]     from the build directory; without STEP: all
set -u
self=$(readlink -f "$0")
build=${HV_BUILD:-$PWD}
pid_file=/run/libvirtd.pid

skip() {
    echo "SKIP: $*"
    exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root (namespaces)"
for tool in unshare libvirtd virsh qemu-system-x86_64 ip; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done

if [ "${1:-}" != inside ]; then
    unshare --mount --net --pid --uts --ipc true 2>/dev/null || skip "namespaces cannot be made here"
    exec env HV_BUILD="$build" timeout -k 5 180 unshare --mount --propagation private --net --uts --ipc \
        --pid --fork --kill-child "$self" inside "$@"
fi
shift

# ---- inside: a host of our own

for dir in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do
    mkdir -p "$dir" && mount -t tmpfs -o mode=0755 tmpfs "$dir" || skip "no tmpfs on $dir"
done
mount -t proc proc /proc || skip "no /proc"
# libvirtd looks for this user before it reads that it is to use another one.
for file in passwd group; do
    grep -q ^libvirt-qemu: /etc/$file && continue
    { cat /etc/$file; [ $file = group ] && echo "libvirt-qemu:x:64055:" ||
        echo "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin"; } >/run/$file
    mount -n --bind /run/$file /etc/$file
done
ip link set lo up
mkdir -p /run/libvirt /run/lock /run/t /etc/libvirt/qemu /var/log/libvirt/qemu /var/lib/libvirt/qemu
cat >/etc/libvirt/libvirtd.conf <<TEXT
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
auth_unix_rw = "none"
unix_sock_group = "root"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
TEXT
cat >/etc/libvirt/qemu.conf <<TEXT
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
TEXT

# A machine whose whole firmware is: stop, for ever. It costs next to nothing, with KVM or without.
{
    head -c 65520 /dev/zero
    printf '\xfa\xf4\xeb\xfd'
    head -c 12 /dev/zero
} >/run/t/halt.rom

guest() { # NAME NUMBER [EXTRA]
    cat >"/run/t/$1.xml" <<XML
<domain type='kvm'><name>$1</name><uuid>00000000-0000-4000-8000-00000000000$2</uuid>
<memory unit='MiB'>2</memory><os><type arch='x86_64' machine='pc'>hvm</type>
<loader readonly='yes' type='rom'>/run/t/halt.rom</loader></os><cpu mode='custom' match='exact'
check='none'><model fallback='forbid'>qemu64</model></cpu>
<devices><controller type='usb' model='none'/><memballoon model='none'/>${3:-}</devices></domain>
XML
}
uuid() { echo "00000000-0000-4000-8000-00000000000$1"; }
guest a 1
guest b 2
guest c 3
guest bad 4 "<disk type='file'><source file='/nowhere/at/all'/><target dev='vda'/></disk>"
a=$(uuid 1) b=$(uuid 2) c=$(uuid 3) bad=$(uuid 4)

# As systemd would: up again shortly after it died.
while :; do
    libvirtd </dev/null >>/var/log/libvirt/out 2>&1
    sleep 0.1
done 2>/dev/null &
for _ in $(seq 1 200); do
    virsh -q connect 2>/dev/null && break
    sleep 0.1
done

drive() {
    "$build/tests/hvdrive/hvdrive" "$build/hypervisor/hypervisord" --run-dir /run/t "$@" 2>/run/t/log
}

# ---- steps: each leaves nothing running

step_life_of_a_vm() {
    drive <<END
until complete 20000
start /run/t/a.xml
wait 1
expect 1 OK RUNNING
start /run/t/a.xml
wait 2
expect 2 OK RUNNING
pause $a a
wait 3
expect 3 OK PAUSED
start /run/t/a.xml
wait 4
expect 4 REFUSED PAUSED
resume $a a
wait 5
expect 5 OK RUNNING
probe $a a
wait 6
expect 6 OK RUNNING
stop $a a 300
wait 7
expect 7 OK ABSENT
destroy $a a
wait 8
expect 8 OK ABSENT
resume $a a
wait 9
expect 9 NOT_FOUND ABSENT
migrate $a a qemu+tls://localhost/system
wait 10
expect 10 NOT_FOUND ABSENT
END
}

step_what_cannot_start_says_why() {
    sed "s/<uuid>.*<.uuid>/<uuid>$c<\/uuid>/" /run/t/a.xml >/run/t/a-as-c.xml
    drive <<END
until complete
start /run/t/bad.xml
wait 1
expect 1 HYPERVISOR ABSENT
start /run/t/a.xml
start /run/t/a-as-c.xml
wait 2
expect 2 OK RUNNING
wait 3
expect 3 HYPERVISOR ABSENT
destroy $a a
wait 4
END
    grep -q "/nowhere/at/all" /run/t/log || { echo "the cause is not named"; return 1; }
}

step_libvirtd_killed() {
    drive <<END
until complete
start /run/t/a.xml
wait 1
signal $pid_file 9
until complete 3000
probe $a a
wait 2
expect 2 OK RUNNING
signal $pid_file 9
start /run/t/b.xml
wait 3
expect 3 OK RUNNING
destroy $a a
destroy $b b
wait 4
wait 5
expect 4 OK ABSENT
expect 5 OK ABSENT
END
}

step_libvirtd_frozen() {
    drive <<END
until complete
start /run/t/a.xml
wait 1
signal $pid_file 19
probe $a a 1500
wait 2 4500
expect 2 TIMEOUT UNKNOWN
until ill 6000
start /run/t/b.xml
sleep 300
signal $pid_file 18
until ok 3000
wait 3
expect 3 OK RUNNING
probe $a a
wait 4
expect 4 OK RUNNING
destroy $a a
destroy $b b
wait 5
wait 6
END
}

# What a killed hypervisord was about to create is not taken for absent too early.
step_hypervisord_killed_in_a_start() {
    drive <<END
until complete
start /run/t/a.xml
sleep 20
kill
quit
END
    drive <<END
until complete
start /run/t/a.xml
wait 1
expect 1 OK RUNNING
destroy $a a
wait 2
expect 2 OK ABSENT
END
}

step_a_definition_is_taken_away() {
    virsh -q define /run/t/a.xml && virsh -q autostart a || return 1
    drive <<END
until complete
probe $a a
wait 1
expect 1 OK ABSENT
start /run/t/a.xml
wait 2
expect 2 OK RUNNING
destroy $a a
wait 3
expect 3 OK ABSENT
END
    [ -z "$(virsh -q list --all --name)" ] || { echo "it is still defined"; return 1; }
}

# A QEMU that libvirt has lost sight of: never started a second time, and DESTROY ends it.
step_an_orphan() {
    drive <<END || return 1
until complete
start /run/t/a.xml
wait 1
quit
END
    kill -9 "$(cat $pid_file)"
    rm -f /run/libvirt/qemu/a.*
    drive <<END
until complete 5000
start /run/t/a.xml
wait 1
expect 1 REFUSED UNKNOWN
probe $a a
wait 2
expect 2 OK UNKNOWN
destroy $a a
wait 3
expect 3 OK ABSENT
END
}

step_many_at_once() {
    for i in 1 2 3 4 5 6 7 8; do
        guest "m$i" "$i"
        echo "start /run/t/m$i.xml"
    done >/run/t/starts
    {
        echo "until complete"
        cat /run/t/starts
        for i in 1 2 3 4 5 6 7 8; do echo "wait $i"; echo "expect $i OK RUNNING"; done
        for i in 1 2 3 4 5 6 7 8; do echo "destroy $(uuid $i) m$i"; done
        for i in 9 10 11 12 13 14 15 16; do echo "wait $i"; echo "expect $i OK ABSENT"; done
    } | drive
}

step_garbage_on_the_socket() {
    printf 'until ready\nraw 485646310500000000000000aabbccddee\nsleep 2000\n' | drive &&
        { echo "it was swallowed"; return 1; }
    grep -q "frame is damaged" /run/t/log
}

failed=0
steps=$*
[ -n "$steps" ] || steps=$(declare -F | sed -n 's/^declare -f step_//p')
for step in $steps; do
    began=$(date +%s%N)
    if "step_$step" >/run/t/out 2>&1; then
        echo "ok   $step $((($(date +%s%N) - began) / 1000000)) ms"
    else
        echo "FAIL $step"
        cat /run/t/out /run/t/log
        failed=1
    fi
    for name in $(virsh -q list --name); do virsh -q destroy "$name"; done
done
exit $failed
