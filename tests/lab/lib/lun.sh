# Shared LUNs (LAB_LUNS): every host has them as /dev/lun1, /dev/lun2 ... And sbd on the
# first of them (LAB_SBD), whose watcher has the host's /dev/watchdog for itself.
# shellcheck shell=bash

LUN_MIB=16
SBD_WATCHDOG_S=3
SBD_MSGWAIT_S=6     # twice the watchdog, as sbd(8) wants it

lun_numbers() {
    seq 1 "$LAB_LUNS"
}

# A loop device for each host, on one file: as on a SAN, no lock on the device itself reaches another
# host. With direct I/O at both ends what one writes the others read.
luns_up() {
    local k i file
    mkdir -p "$STATE/luns"
    for k in $(lun_numbers); do
        file=$DISKS/lun$k.img
        truncate -s "${LUN_MIB}M" "$file" || die "cannot make $file"
        for i in $(host_numbers); do
            losetup --direct-io=on --find --show "$file" >"$STATE/luns/host$i.$k" ||
                die "cannot make shared LUN $k" "losetup -a; detach what is left of earlier labs"
        done
    done
    [ -z "$LAB_SBD" ] || sbd_create
}

luns_down() {
    local file
    for file in "$STATE"/luns/*; do
        [ ! -s "$file" ] || losetup --detach "$(cat "$file")" 2>/dev/null
    done
}

# Every slot is there before the first watcher starts: two that allocate at once may get the same one.
sbd_create() {
    local device i
    device=$(cat "$STATE/luns/host1.1")
    {
        sbd -d "$device" -1 $SBD_WATCHDOG_S -3 1 -4 $SBD_MSGWAIT_S create &&
            for i in $(host_numbers); do sbd -d "$device" allocate "host$i" || exit 1; done
    } >"$STATE/sbd.log" 2>&1 ||
        die "sbd cannot use the LUN: $(tail -n 2 "$STATE/sbd.log")" "apt-get install sbd"
}
