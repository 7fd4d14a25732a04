"""Hands that are not the cluster's: virsh, kill, a second copy; and guests that end by themselves."""

import time

import pytest

from labkit import wait_until


def virsh(drill, host, *words):
    return drill.lab.exec(host, "virsh", *words, check=False)


def without_hook(drill):
    for host in drill.lab.hosts:
        drill.lab.exec(host, "rm", "/etc/libvirt/hooks/qemu.d/hvcluster")


def test_virsh_destroys_and_starts(drill):
    """virsh destroy of a VM, and virsh create of others of the cluster on every host"""
    vms = drill.guests(3, on="host1")
    assert virsh(drill, "host1", "destroy", vms[0]).returncode == 0
    for host in drill.lab.hosts:
        for vm in vms[1:]:
            assert virsh(drill, host, "create", f"/srv/vms/{vm}.xml").returncode != 0
    wait_until(lambda: len(drill.boots(vms[0])) == 2, 120, "it was started again")
    drill.speak(vms)
    drill.untouched(vms[1:])


def test_virsh_destroys_all_at_once(drill):
    """virsh destroy of every VM on every host in the same second"""
    vms = drill.guests(5)
    for host in drill.lab.hosts:
        drill.lab.exec(host, "sh", "-c", "for vm in $(virsh -q list --name); do virsh destroy $vm & done; wait")
    drill.speak(vms)


def test_virsh_migrates(drill):
    """virsh migrate of VMs of the cluster, with the hook and without it"""
    vms = drill.guests(2, on="host1")
    words = ["migrate", "--live", "--p2p", "--tls", "--unsafe", "--tls-destination", "host3"]
    assert virsh(drill, "host1", *words, vms[0], "qemu+tls://host3/system").returncode != 0
    without_hook(drill)
    for vm in vms:
        virsh(drill, "host1", *words, vm, "qemu+tls://host3/system")
    time.sleep(5)
    drill.speak(vms)
    drill.untouched(vms)


@pytest.mark.telling
def test_a_second_copy(drill):
    """without the hook: virsh create of a second copy of a VM on another host; the cluster destroys that copy"""
    vms = drill.guests(2, on="host1", linux=0)
    without_hook(drill)
    drill.lab.exec("host2", "sh", "-c",
                   f"sed '/<disk/,/<\\/disk>/d; /<serial/,/<\\/serial>/d' /srv/vms/{vms[0]}.xml >/root/copy.xml")
    with drill.copy_of(vms[0], "host2"):
        assert virsh(drill, "host2", "create", "/root/copy.xml").returncode == 0
        wait_until(lambda: drill.where(vms[0]) == ["host1"], 30, "the copy is gone")
    drill.speak(vms, elsewhere_than=["host2", "host3"])
    drill.untouched(vms)


def test_suspended_from_outside(drill):
    """virsh suspend of a VM: it is left alone and told of; after virsh resume it runs"""
    vms = drill.guests(2, on="host1")
    assert virsh(drill, "host1", "suspend", vms[0]).returncode == 0
    time.sleep(10)
    assert drill.where(vms[0]) == ["host1"] and drill.cluster.vms()[vms[0]]["state"] == "paused"
    assert virsh(drill, "host1", "resume", vms[0]).returncode == 0
    drill.cluster.wait_running(vms)
    drill.speak(vms)
    drill.untouched(vms)


def test_the_kernel_kills_qemu(drill):
    """SIGKILL of three QEMUs, as when memory is short: each is started again, once"""
    vms = drill.guests(4)
    for vm in vms[:3]:
        [host] = drill.where(vm)
        drill.lab.exec(host, "pkill", "-KILL", "-f", f"guest={vm},")
    wait_until(lambda: all(len(drill.boots(vm)) == 2 for vm in vms[:3]), 120, "second boots")
    drill.speak(vms)
    drill.untouched(vms[3:])


def test_qemu_stands_still(drill):
    """SIGSTOP of a QEMU for 30 s: nothing is proven by its silence, it goes on"""
    vms = drill.guests(2, on="host2")
    [host] = drill.where(vms[0])
    drill.lab.exec(host, "pkill", "-STOP", "-f", f"guest={vms[0]},")
    time.sleep(30)
    drill.lab.exec(host, "pkill", "-CONT", "-f", f"guest={vms[0]},")
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)


def test_a_guest_that_crashes_again_and_again(drill):
    """SIGKILL of a QEMU as soon as it speaks, for 40 s: restarts get growing pauses; then it runs"""
    vms = drill.guests(2, linux=0)
    victim, until = vms[0], time.monotonic() + 40
    while time.monotonic() < until:
        for host in drill.where(victim):
            drill.lab.exec(host, "pkill", "-KILL", "-f", f"guest={victim},", check=False)
        time.sleep(0.3)
    starts = [qemu.began for qemu in drill.record().qemus if qemu.vm == victim]
    pauses = [b - a for a, b in zip(starts[1:], starts[2:] + [time.time()])]
    half = len(pauses) // 2
    assert 3 <= len(starts) <= 12, f"{len(starts)} starts in 40 s"
    assert max(pauses[half:]) > 1.5 * max(pauses[:half]) and max(pauses) > 4, f"pauses do not grow: {pauses}"
    drill.speak(vms)
    drill.untouched(vms[1:])


def test_a_guest_that_ends_by_itself(drill):
    """the guest's power button is pressed by virsh shutdown: it is meant to run, and is started again"""
    vms = drill.guests(2, on="host1")
    assert virsh(drill, "host1", "shutdown", vms[1]).returncode == 0
    wait_until(lambda: len(drill.boots(vms[1])) == 2, 120, "a second boot")
    drill.speak(vms)
