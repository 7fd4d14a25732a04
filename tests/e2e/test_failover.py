"""A host is lost: its VMs run elsewhere, each once, and none before the host was proven off."""

import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, assert_proof_before_starts, boots, names


def test_power_cut_of_a_host_with_ten_vms(lab, cluster):
    wanted = names(10)
    add_guests(lab, cluster, wanted, on="host3")
    assert set(map(tuple, lab.guests().values())) == {("host3",)}
    lab.off("host3")
    wait_until(lambda: set(lab.guests()) == set(wanted), 60, "ten QEMUs elsewhere")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
    assert_alive(lab, wanted)
    assert all(len(boots(lab, name)) == 2 for name in wanted)
    report = cluster.report()
    assert_proof_before_starts(report, "host3")
    assert report["done"] and len(report["vms"]) == 10


@pytest.mark.hosts(2)
def test_one_of_two_hosts_acts_only_after_the_other_is_off(lab, cluster):
    """A minority of the votes: behind its barrier nothing starts before the proof."""
    wanted = names(2)
    add_guests(lab, cluster, wanted, on="host2")
    lab.off("host2")
    wait_until(lambda: set(lab.guests()) == set(wanted), 60, "two QEMUs on the other host")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
    assert_proof_before_starts(cluster.report(), "host2")
    lab.on("host2")
    cluster.wait_node("host2", "online")
    assert cluster.vms(host="host1") == cluster.vms(host="host2")


def test_a_host_cut_off_is_fenced_by_the_majority_and_fences_nobody(lab, cluster):
    """The cut-off host still reaches every BMC."""
    wanted = names(6)
    add_guests(lab, cluster, wanted)
    lab.run("cut", "host3", "cluster")
    wait_until(lambda: lab.seen_off("host3"), 30, "host3 fenced")
    assert not lab.seen_off("host1") and not lab.seen_off("host2")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)

    lab.run("join", "host3")
    lab.on("host3")
    cluster.wait_node("host3", "online")
    assert_once(lab, cluster, wanted)
    assert not lab.seen_off("host1") and not lab.seen_off("host2")


def test_a_wiped_fence_device_holds_the_vms_until_the_administrator_confirms(lab, cluster):
    wanted = names(1)
    add_guests(lab, cluster, wanted, on="host3")
    cluster.run("fence", "remove", "host3", "ipmi")
    lab.off("host3")
    wait_until(lambda: cluster.vms()["vm01"]["state"] == "recovering", 20, "vm01 recovering")
    time.sleep(5)
    assert not lab.guests(), "started without proof"
    explained = cluster.run("vm", "explain", "vm01").stdout
    assert "hvcluster fence confirm host3" in explained
    cluster.run("fence", "confirm", "host3", "--yes")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)


def test_the_whole_cluster_loses_power_and_starts_again(lab, cluster):
    wanted = names(4)
    add_guests(lab, cluster, wanted)
    before = {name: vm["uuid"] for name, vm in cluster.vms().items()}
    cluster.run("vm", "stop", "vm04", "--wait")
    lab.off(*lab.hosts)
    assert not lab.guests()
    lab.on(*lab.hosts)
    wait_until(lambda: cluster.run("status", check=False).returncode == 0, 30, "an answer")
    cluster.wait_running(wanted[:3])
    assert_once(lab, cluster, wanted[:3])
    assert cluster.vms()["vm04"]["state"] == "stopped"
    assert {name: vm["uuid"] for name, vm in cluster.vms().items()} == before
    assert all(len(boots(lab, name)) == 2 for name in wanted[:3])


def test_a_vm_that_cannot_start_says_why_and_starts_when_it_can(lab, cluster):
    """Its disk is not there; nothing else suffers, and there is no error to be cleared."""
    [path] = lab.mkguest("lame")
    disk = lab.shared / "lame.img"
    disk.rename(lab.shared / "lame.away")
    add_guests(lab, cluster, names(1))
    cluster.run("vm", "add", path)
    wait_until(lambda: cluster.vms()["lame"]["state"] in ("failed", "blocked"), 30, "lame failed")
    assert "lame.img" in cluster.run("vm", "explain", "lame").stdout
    assert cluster.vms()["lame"]["reason"]
    (lab.shared / "lame.away").rename(disk)
    cluster.wait_running(["lame"], timeout=120)
    assert_once(lab, cluster, ["lame", "vm01"])
