"""Fence devices that fail, lie, or cannot be reached; brakes, quarantine, and an administrator's word."""

import time

import pytest

from labkit import wait_until

from .liar import install_liar


def ipmi(drill, host, device, level, password=None, **more):
    """Adds a device of a host's BMC, with a wrong password perhaps."""
    options = dict(drill.lab.bmc(host), **more)
    secret = password or options.pop("password")
    options.pop("password", None)
    drill.lab.exec("host1", "sh", "-c", "umask 077; cat >/root/pw", stdin=secret)
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    drill.cluster.run("fence", "add", host, device, "--level", level, "--agent", "fence_ipmilan", *words,
                      "--secret-file", "password=/root/pw")


def hang(drill, host):
    drill.lab.run("hang", host)


@pytest.mark.telling
def test_a_hung_host_is_off_before_its_vms_start(drill):
    """a host hangs for good: its BMC switches it off, then its VMs start elsewhere"""
    vms = drill.guests(3, on="host2")
    drill.must_fence("host2")
    hang(drill, "host2")
    drill.speak(vms, elsewhere_than=["host2"])


def test_the_first_level_is_broken(drill):
    """the first fence device has a wrong password: the second level switches the host off"""
    drill.cluster.run("fence", "remove", "host3", "ipmi")
    ipmi(drill, "host3", "broken", 1, password="not-its-password")
    ipmi(drill, "host3", "good", 2)
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    hang(drill, "host3")
    drill.speak(vms, elsewhere_than=["host3"])


def test_the_first_level_does_not_answer(drill):
    """the first fence device's address is nobody's, it times out: the second level switches the host off"""
    drill.cluster.run("fence", "remove", "host3", "ipmi")
    ipmi(drill, "host3", "nobody", 1, ip="10.77.1.99")
    ipmi(drill, "host3", "good", 2)
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    hang(drill, "host3")
    drill.speak(vms, elsewhere_than=["host3"])


def test_a_device_that_lies_beside_one_that_does_not(drill):
    """of a level's two devices the first says off and does nothing: the second must succeed, too"""
    install_liar(drill)
    drill.cluster.run("fence", "remove", "host3", "ipmi")
    drill.cluster.run("fence", "add", "host3", "liar", "--agent", "fence_liar", "-o", "plug=host3")
    ipmi(drill, "host3", "true", 1)
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    hang(drill, "host3")
    drill.speak(vms, elsewhere_than=["host3"])


def test_a_device_that_lies_beside_one_that_is_broken(drill):
    """one says off and does nothing, the other one of its level fails: no proof, nothing starts; then confirmed"""
    install_liar(drill)
    drill.cluster.run("fence", "remove", "host3", "ipmi")
    drill.cluster.run("fence", "add", "host3", "liar", "--agent", "fence_liar", "-o", "plug=host3")
    drill.cluster.run("fence", "add", "host3", "refuses", "--agent", "fence_liar", "-o", "plug=other", "-o",
                      "mode=refuse")
    vms = drill.guests(2, on="host3")
    hang(drill, "host3")
    drill.cluster.wait_node("host3", "lost", timeout=20)
    time.sleep(20)
    assert all(drill.where(vm) == ["host3"] for vm in vms), "started on a lie"
    drill.cut("host3")
    drill.cluster.run("fence", "confirm", "host3", "--yes")
    drill.speak(vms, elsewhere_than=["host3"])


def test_who_runs_the_agent_dies(drill):
    """a host hangs, and corosync of the coordinator, which is to run the agent, dies in that moment"""
    drill.brakes_off()
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    drill.may_fence("host1")
    hang(drill, "host3")
    time.sleep(2.2)
    drill.lab.exec("host1", "pkill", "-KILL", "-x", "clusterd", check=False)
    drill.cluster.host = "host2"
    drill.speak(vms, elsewhere_than=["host3"])
    drill.all_online()


def test_one_host_cannot_reach_the_bmcs(drill):
    """the coordinator's management network is cut, then a host hangs: another host runs the agent"""
    drill.lab.run("cut", "host1", "mgmt")
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    hang(drill, "host3")
    drill.speak(vms, elsewhere_than=["host3"])


def test_an_administrator_gives_his_word(drill):
    """power cut of a host without a fence device: its VMs wait, and say for what, until it is confirmed"""
    vms = drill.guests(2, on="host3")
    drill.cluster.run("fence", "remove", "host3", "ipmi")
    drill.cut("host3")
    wait_until(lambda: drill.cluster.vms()[vms[0]]["state"] == "recovering", 20, "recovering")
    time.sleep(8)
    assert not any(drill.where(vm) for vm in vms), "started without proof"
    assert "hvcluster fence confirm host3" in drill.cluster.run("vm", "explain", vms[0]).stdout
    drill.cluster.run("fence", "confirm", "host3", "--yes")
    drill.speak(vms, elsewhere_than=["host3"])


def test_a_word_for_a_host_that_lives_is_refused(drill):
    """fence confirm of a host that is online: refused, its VMs go on"""
    vms = drill.guests(2, on="host3")
    done = drill.cluster.run("fence", "confirm", "host3", "--yes", check=False)
    assert done.returncode != 0, done.stdout
    time.sleep(3)
    drill.speak(vms)
    drill.untouched(vms)


def test_a_host_that_is_fenced_too_often(drill):
    """a host hangs twice, quarantine after two fences: it gets no VMs until it is released"""
    drill.set(quarantine_fences=2, fence_window_s=0, fence_lost="always")
    vms = drill.guests(1, on="host1")
    drill.must_fence("host3", 2)
    for _ in range(2):
        assert not drill.cluster.nodes()["host3"]["quarantined"]
        hang(drill, "host3")
        drill.cluster.wait_node("host3", "offline")
        drill.on("host3")
    assert drill.cluster.nodes()["host3"]["quarantined"]
    refused = drill.cluster.run("vm", "migrate", vms[0], "--to", "host3", check=False)
    assert refused.returncode and "quarantine" in refused.stderr, refused.stderr
    drill.cluster.run("node", "release", "host3")
    drill.cluster.run("vm", "migrate", vms[0], "--to", "host3", "--wait")
    drill.speak(vms, elsewhere_than=["host1", "host2"])
    drill.untouched(vms)


def test_self_tests_switch_nothing_off(drill):
    """fence test --all, ten times, and of devices that do not work"""
    vms = drill.guests(3)
    ipmi(drill, "host3", "broken", 2, password="not-its-password")
    for _ in range(10):
        drill.cluster.run("fence", "test", "--all", check=False)
    drill.speak(vms)
    drill.untouched(vms)


def test_switched_off_by_hand(drill):
    """hvcluster fence node of a host that works and has VMs"""
    vms = drill.guests(3, on="host2")
    drill.must_fence("host2")
    drill.cluster.run("fence", "node", "host2", "--yes", "--wait")
    drill.speak(vms, elsewhere_than=["host2"])
