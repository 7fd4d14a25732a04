"""Work on the cluster while something fails: drains, shutdowns, hands off, VMs that come and go."""

import subprocess
import time

import pytest

from labkit import wait_until

from .oracle import downtimes
from .phases import Hold, install_hook


def begin(drill, *words):
    """A command that is still at work while the drill goes on."""
    return drill.lab.start("host1", "hvcluster", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.telling
def test_the_target_of_a_drain_loses_its_power(drill):
    """a host with six VMs is drained, power cut of one of the hosts they go to"""
    vms = drill.guests(6, on="host2", linux=0)
    drain = begin(drill, "node", "drain", "host2", "--wait")
    wait_until(lambda: any(drill.where(vm) == ["host3"] for vm in vms), 60, "one is on host3")
    drill.cut("host3")
    drain.wait(180)
    drill.speak(vms, elsewhere_than=["host2", "host3"])


def test_the_host_that_is_drained_loses_its_power(drill):
    """a host with six VMs is drained, and loses its power in the middle of it"""
    vms = drill.guests(6, on="host2", linux=0)
    drain = begin(drill, "node", "drain", "host2", "--wait")
    wait_until(lambda: any(drill.where(vm) == ["host3"] for vm in vms), 60, "one is on host3")
    drill.cut("host2")
    drain.wait(180)
    drill.speak(vms, elsewhere_than=["host2"])


def test_the_coordinator_is_lost_during_a_drain(drill):
    """a host is drained, and the coordinator loses its power"""
    vms = drill.guests(6, on="host2", linux=0)
    drain = begin(drill, "node", "drain", "host2")
    drain.wait(30)
    time.sleep(1)
    drill.cut("host1")
    drill.cluster.host = "host3"
    drill.speak(vms, elsewhere_than=["host1", "host2"])


@pytest.mark.parametrize("phase", ["Prepare", pytest.param("Greet", marks=pytest.mark.telling)])
def test_the_target_is_lost_and_the_drain_goes_on(drill, phase):
    """power cut of a migration's target, in a phase in which libvirt cannot abort it; then the source is drained"""
    for host in drill.lab.hosts:
        install_hook(drill.lab, host)
    [vm] = drill.guests(1, on="host2", linux=0)
    drill.cluster.host = "host3"
    hold = Hold(drill.lab, vm, "host2", "host1", phase)
    drill.cluster.run("vm", "migrate", vm, "--to", "host1")
    hold.until_there()
    drill.cut("host1")
    cut = time.time()
    hold.let_go()
    drill.cluster.run("node", "drain", "host2", "--wait", timeout=120)
    took = time.time() - cut
    drill.speak([vm], elsewhere_than=["host1", "host2"])
    drill.untouched([vm])
    silence = downtimes(drill.record(), drill.began)[vm]
    drill.note(f"the target is lost in {phase}: {vm} was silent for {silence:.1f} s, host2 is drained after {took:.1f} s")
    assert silence < 15
    assert took < 25        # libvirt's keepalive alone takes 30 s


def test_a_greeting_that_is_not_answered(drill):
    """nothing comes back from the target's QEMU in the TLS handshake, though the target is well: the guest goes on"""
    [vm] = drill.guests(1, on="host2", linux=0)
    hold = Hold(drill.lab, vm, "host2", "host1", "Greet")
    done = drill.cluster.run("vm", "migrate", vm, "--to", "host1", "--wait", timeout=120, check=False)
    hold.let_go()
    assert done.returncode != 0 and "stood still" in done.stdout + done.stderr, done.stdout + done.stderr
    drill.speak([vm], elsewhere_than=["host1", "host3"])
    drill.untouched([vm])
    assert downtimes(drill.record(), drill.began)[vm] < 15


def test_a_drained_host_stays_empty_when_another_is_lost(drill):
    """one host is in maintenance, power cut of another: the third runs all, the drained one nothing"""
    vms = drill.guests(3, on="host3")
    drill.cluster.run("node", "drain", "host2", "--wait")
    drill.cut("host3")
    drill.speak(vms, elsewhere_than=["host2", "host3"])


def test_a_host_in_maintenance_loses_its_power(drill):
    """a drained host loses its power: nothing depends on it"""
    vms = drill.guests(3)
    drill.cluster.run("node", "drain", "host3", "--wait", timeout=180)
    drill.cut("host3")
    time.sleep(8)
    drill.speak(vms, elsewhere_than=["host3"])
    drill.untouched(vms)
    drill.on("host3")


def test_a_host_is_shut_down_with_its_vms(drill):
    """node shutdown of a host with VMs (they leave live), then its power goes: nobody is fenced"""
    drill.set(node_shutdown="migrate")
    vms = drill.guests(3, on="host2")
    drill.cluster.run("node", "shutdown", "host2", timeout=180)
    drill.cut("host2")
    time.sleep(5)
    drill.speak(vms, elsewhere_than=["host2"])
    drill.untouched(vms)


def test_a_host_that_says_it_reboots_and_does(drill):
    """node shutdown with failover of a host with VMs, power cut, and back"""
    drill.set(node_shutdown="failover")
    vms = drill.guests(2, on="host2", linux=0)
    drill.cluster.run("node", "shutdown", "host2", timeout=240)
    drill.cut("host2")
    drill.speak(vms, elsewhere_than=["host2"])
    drill.on("host2")


def test_hands_off_around_a_power_cut(drill):
    """disarm, power cut of a host with VMs: nothing happens; arm: its VMs start elsewhere"""
    vms = drill.guests(2, on="host3", linux=0)
    drill.cluster.run("disarm")
    assert "DISARMED" in drill.cluster.run("status").stdout
    drill.cut("host3")
    drill.cluster.wait_node("host3", "lost")
    time.sleep(5)
    assert "fencing" not in {event["to"] for event in drill.cluster.json("events")["events"]}
    assert not any(drill.where(vm) for vm in vms)
    drill.cluster.run("arm")
    drill.speak(vms, elsewhere_than=["host3"])


def test_hands_off_while_the_network_is_gone(drill):
    """disarm, every host's cluster network is cut for 20 s, joined, arm: nobody fenced, no VM touched"""
    vms = drill.guests(3)
    drill.cluster.run("disarm")
    for host in drill.lab.hosts:
        drill.lab.run("cut", host, "cluster")
    time.sleep(20)
    for host in drill.lab.hosts:
        drill.lab.run("join", host, "cluster")
    wait_until(lambda: drill.cluster.run("arm", check=False).returncode == 0, 60, "armed")
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)


def test_vms_come_and_go_while_a_host_dies(drill):
    """VMs are added, stopped and removed in the seconds around a power cut"""
    vms = drill.guests(4, on="host3", linux=0)
    drill.cut("host3")
    late = drill.lab.mkguest("late1", "late2", tiny=True)
    for name, path in zip(("late1", "late2"), late):
        wait_until(lambda path=path: drill.cluster.run("vm", "add", path, check=False).returncode == 0, 20, "added")
        drill.running(name)
    drill.cluster.run("vm", "remove", vms[0], "--stop", check=False)
    drill.cluster.run("vm", "stop", vms[1], "--force", check=False)
    drill.speak(["late1", "late2"] + vms[2:], elsewhere_than=["host3"])
    drill.cluster.run("vm", "stop", vms[1], "--force", "--wait", check=False)
    drill.stopped(vms[0], vms[1])
    wait_until(lambda: vms[0] not in drill.cluster.vms() or drill.cluster.vms()[vms[0]]["state"] == "stopped", 60,
               "the first is stopped or gone")
    assert drill.cluster.vms()[vms[1]]["state"] == "stopped"


def test_a_vm_is_asked_to_stop_on_a_host_that_dies(drill):
    """power cut of a host while its VMs are being shut down: they are not started elsewhere"""
    vms = drill.guests(3, on="host2", linux=0)
    for vm in vms[:2]:
        drill.cluster.run("vm", "stop", vm)
    drill.cut("host2")
    drill.stopped(*vms[:2])
    drill.speak(vms[2:], elsewhere_than=["host2"])
    time.sleep(5)
