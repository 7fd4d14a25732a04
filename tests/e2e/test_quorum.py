"""Votes, forecasts, and the administrator's override when a majority is gone for good."""

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, names

REFUSED = 4


def force(cluster, *off, host="host1", check=True):
    words = ["--off", ",".join(off)] if off else []
    return cluster.run("quorum", "force", *words, "--yes", host=host, check=check)


def loss_of(report, name):
    return next(loss for loss in report["losses"] if loss["lost"] == name)


def test_quorum_says_what_each_loss_would_mean(lab, cluster):
    report = cluster.json("quorum")
    assert report["quorate"] and report["mode"] == "majority"
    assert (report["votes"], report["votes_needed"], report["votes_expected"]) == (3, 2, 3)
    assert report["may_lose"] == 1 and cluster.status()["may_lose"] == 1
    assert loss_of(report, "host2")["quorate"] and not loss_of(report, "host2")["proof_first"]
    assert "may lose 1 more node" in cluster.run("status").stdout
    assert "its VMs start elsewhere" in cluster.run("quorum").stdout
    lab.off("host3")
    cluster.wait_node("host3", "offline")
    report = cluster.json("quorum")
    assert report["may_lose"] == 0 and not loss_of(report, "host1")["quorate"]
    assert [node["name"] for node in report["nodes"] if not node["present"]] == ["host3"]
    assert "QUORUM IS LOST" in cluster.run("quorum").stdout


def test_two_of_three_hosts_are_destroyed(lab, cluster):
    wanted = names(3)
    add_guests(lab, cluster, wanted)
    assert force(cluster, "host2", check=False).returncode == REFUSED, "the cluster works"
    lab.off("host2", "host3")
    wait_until(lambda: not cluster.status()["quorate"], 20, "quorum lost")
    done = force(cluster, "host2", "host3", check=False)
    assert done.returncode == REFUSED and "10 seconds" in done.stderr
    wait_until(lambda: cluster.json("quorum")["can_force"], 30, "somebody may force it")
    assert cluster.json("quorum")["missing"] == ["host2", "host3"]
    done = force(cluster, "host2", check=False)
    assert done.returncode == REFUSED and "host3" in done.stderr
    assert len(lab.guests()) == 1, "nothing was started without quorum"

    force(cluster, "host2", "host3")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
    assert_alive(lab, wanted)
    assert set(map(tuple, lab.guests().values())) == {("host1",)}
    said = cluster.run("events").stdout
    assert "forced" in said and "root@host1" in said and "host2, host3" in said
    assert force(cluster, "host2", "host3", check=False).returncode == REFUSED
    cluster.run("vm", "stop", "vm01", "--wait")

    # They were not gone after all: they join, and nothing runs twice.
    lab.on("host2", "host3")
    cluster.wait_node("host2", "online")
    cluster.wait_node("host3", "online")
    assert cluster.vms()["vm01"]["state"] == "stopped"
    assert_once(lab, cluster, wanted[1:])


@pytest.mark.hosts(2)
def test_one_of_two_hosts_that_were_both_down(lab, cluster):
    """two_node waits for both; and a rebooted host does not lead alone by itself."""
    wanted = names(2)
    add_guests(lab, cluster, wanted)
    assert cluster.json("quorum")["mode"].startswith("two_node")
    assert loss_of(cluster.json("quorum"), "host2")["proof_first"]
    lab.off("host1", "host2")
    lab.on("host1")
    wait_until(lambda: cluster.run("quorum", check=False).returncode == 0 and
               cluster.json("quorum")["can_force"], 40, "somebody may force it")
    assert not lab.guests()
    force(cluster, "host2")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
    lab.on("host2")
    cluster.wait_node("host2", "online")
    assert_once(lab, cluster, wanted)
