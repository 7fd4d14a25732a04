"""Power: cut where it hurts, given back too soon, and hosts that stand still."""

import time

import pytest

from labkit import wait_until
from support import assert_proof_before_starts


@pytest.mark.telling
def test_a_host_with_vms_loses_its_power(drill):
    """power cut of a host with four VMs, and back"""
    vms = drill.guests(4, on="host3")
    drill.cut("host3")
    drill.speak(vms, elsewhere_than=["host3"])
    drill.on("host3")


@pytest.mark.telling
def test_the_coordinator_loses_its_power(drill):
    """power cut of the coordinator with two VMs, and back"""
    vms = drill.guests(2, on="host1")
    assert drill.cluster.status()["coordinator"] == "host1"
    drill.cut("host1")
    drill.speak(vms, elsewhere_than=["host1"])
    assert drill.cluster.status()["coordinator"] == "host2"
    assert_proof_before_starts(drill.cluster.report(), "host1")
    drill.on("host1")
    drill.all_online()
    assert drill.cluster.vms(host="host1") == drill.cluster.vms(host="host2")


@pytest.mark.hosts(2)
def test_one_of_two_hosts_loses_its_power(drill):
    """power cut of one of two hosts; then of the other, when the first is back"""
    drill.brakes_off()
    vms = drill.guests(2, on="host2")
    drill.cut("host2")
    drill.speak(vms, elsewhere_than=["host2"])
    drill.on("host2")
    drill.all_online()
    drill.cut("host1")
    drill.speak(vms, elsewhere_than=["host1"])
    drill.on("host1")


@pytest.mark.hosts(5)
def test_two_of_five_at_the_same_moment(drill):
    """power cut of two of five hosts with VMs at once: half of them may be lost at once"""
    first, second = drill.guests(2, on="host4"), drill.guests(2, on="host5", stem="b")
    drill.guests(1, on="host1", stem="c", linux=0)
    drill.cut("host4", "host5")
    drill.speak(first + second, elsewhere_than=["host4", "host5"])
    drill.untouched(["c01"])


@pytest.mark.hosts(5)
def test_two_of_five_one_after_the_other_and_then_the_brake(drill):
    """power cut of two of five in turn, both back; a third hangs: the brake holds, an administrator does not"""
    vms = {host: drill.guests(1, on=host, stem=host, linux=0) for host in ("host3", "host4", "host5")}
    drill.set(fence_lost="always")
    for host in ("host5", "host4"):
        drill.cut(host)
        drill.speak(vms[host], elsewhere_than=[host])
        drill.cluster.wait_node(host, "offline")
    drill.on("host4", "host5")
    drill.lab.run("hang", "host3")
    wait_until(lambda: drill.cluster.nodes()["host3"]["braked"], 30, "the brake holds host3")
    time.sleep(3)
    assert drill.where("host301") == ["host3"], "started without proof"
    drill.must_fence("host3")
    drill.cluster.run("fence", "node", "host3", "--yes", "--wait")
    drill.speak(vms["host3"], elsewhere_than=["host3"])


def test_the_whole_site_loses_its_power(drill):
    """power cut of all hosts at once, and back: what ran runs, what was stopped does not"""
    vms = drill.guests(5)
    drill.cluster.run("vm", "stop", vms[4], "--wait")
    drill.stopped(vms[4])
    drill.cut("host1", "host2", "host3")
    drill.on("host1", "host2", "host3", wait=False)
    drill.all_online()
    drill.speak(vms[:4])


def test_the_whole_site_and_one_host_stays_away(drill):
    """power cut of all hosts; two come back, the third with its VMs does not"""
    vms = drill.guests(2, on="host3")
    drill.cut("host1", "host2", "host3")
    drill.cluster.host = "host1"
    drill.lab.on("host1", "host2")
    drill.speak(vms, elsewhere_than=["host3"])


def test_power_that_is_back_at_once(drill):
    """power cut of a host with VMs, and back before anybody can fence it"""
    vms = drill.guests(3, on="host2")
    drill.may_fence("host2")        # it may be lost and hit while it boots
    drill.cut("host2")
    drill.on("host2", wait=False)
    drill.speak(vms)
    drill.on("host2")


def test_power_that_comes_and_goes(drill):
    """a host with VMs loses its power four times, with 0.5 to 4 s between"""
    drill.brakes_off()
    vms = drill.guests(3, on="host3")
    drill.may_fence("host3")
    for pause in (0.5, 4, 1, 2):
        drill.cut("host3")
        drill.lab.run("on", "host3", check=False)
        time.sleep(pause)
    drill.speak(vms)
    drill.on("host3")


def test_a_second_host_while_the_first_ones_vms_start(drill):
    """power cut of a host with eight VMs, and of where half of them just start (fence window off)"""
    drill.brakes_off()
    vms = drill.guests(8, on="host3", linux=0)
    drill.cut("host3")
    wait_until(lambda: any(drill.where(vm) == ["host2"] for vm in vms), 40, "first starts on host2")
    drill.on("host3", wait=False)
    drill.cut("host2")
    drill.speak(vms, elsewhere_than=["host2"])


def test_a_host_stands_still_for_a_second(drill):
    """every process of a host is stopped for 1 s: nobody is fenced, no VM is touched"""
    vms = drill.guests(3, on="host2")
    drill.lab.run("hang", "host2")
    time.sleep(1)
    drill.lab.run("unhang", "host2")
    time.sleep(10)
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)


def test_the_coordinator_stands_still_for_a_second_again_and_again(drill):
    """every process of the coordinator is stopped for 1 s, five times"""
    vms = drill.guests(3, on="host1")
    for _ in range(5):
        drill.lab.run("hang", "host1")
        time.sleep(1)
        drill.lab.run("unhang", "host1")
        time.sleep(1.5)
    time.sleep(5)
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)


def test_a_host_stands_still_for_ten_seconds(drill):
    """every process of a host with VMs is stopped for 10 s: it is off before its VMs start elsewhere"""
    vms = drill.guests(3, on="host2")
    drill.must_fence("host2")
    drill.lab.run("hang", "host2")
    time.sleep(10)
    drill.lab.run("unhang", "host2", check=False)
    drill.speak(vms, elsewhere_than=["host2"])


def test_a_host_without_vms_stands_still_for_a_minute(drill):
    """every process of a host without VMs is stopped for 60 s: nothing depends on it, nobody is fenced"""
    vms = drill.guests(2, on="host1")
    drill.lab.run("hang", "host3")
    drill.cluster.wait_node("host3", "offline")     # not lost: it held nothing
    time.sleep(60)
    drill.lab.run("unhang", "host3")
    drill.all_online()
    drill.untouched(vms)


def test_thawed_when_the_fence_is_held_up(drill):
    """a host with VMs stands still for 15 s and cannot be fenced: its VMs go on there, none starts elsewhere"""
    vms = drill.guests(2, on="host2")
    drill.cluster.run("fence", "remove", "host2", "ipmi")
    drill.lab.run("hang", "host2")
    time.sleep(15)
    assert all(drill.where(vm) == ["host2"] for vm in vms), "started without proof"
    drill.lab.run("unhang", "host2")
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)
