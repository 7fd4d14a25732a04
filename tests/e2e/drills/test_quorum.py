"""Votes, forecasts, and the administrator's override when a majority is gone for good."""

import pytest

from labkit import wait_until

REFUSED = 4


def force(cluster, *off, host="host1", check=True):
    words = ["--off", ",".join(off)] if off else []
    return cluster.run("quorum", "force", *words, "--yes", host=host, check=check)


def loss_of(report, name):
    return next(loss for loss in report["losses"] if loss["lost"] == name)


def test_quorum_says_what_each_loss_would_mean(drill):
    """the forecast of each loss, and a host is lost"""
    cluster = drill.cluster
    report = cluster.json("quorum")
    assert report["quorate"] and report["mode"] == "majority"
    assert (report["votes"], report["votes_needed"], report["votes_expected"]) == (3, 2, 3)
    assert report["may_lose"] == 1 and cluster.status()["may_lose"] == 1
    assert loss_of(report, "host2")["quorate"] and not loss_of(report, "host2")["proof_first"]
    assert "may lose 1 more node" in cluster.run("status").stdout
    assert "its VMs start elsewhere" in cluster.run("quorum").stdout
    drill.cut("host3")
    cluster.wait_node("host3", "offline")
    report = cluster.json("quorum")
    assert report["may_lose"] == 0 and not loss_of(report, "host1")["quorate"]
    assert [node["name"] for node in report["nodes"] if not node["present"]] == ["host3"]
    assert "QUORUM IS LOST" in cluster.run("quorum").stdout


@pytest.mark.telling
def test_two_of_three_hosts_are_destroyed(drill):
    """a majority is destroyed; an administrator says who is gone; then they come back after all"""
    cluster, lab = drill.cluster, drill.lab
    wanted = drill.guests(3, linux=0)
    assert force(cluster, "host2", check=False).returncode == REFUSED, "the cluster works"
    drill.cut("host2", "host3")
    wait_until(lambda: not cluster.status()["quorate"], 20, "quorum lost")
    done = force(cluster, "host2", "host3", check=False)
    assert done.returncode == REFUSED and "10 seconds" in done.stderr
    wait_until(lambda: cluster.json("quorum")["can_force"], 30, "somebody may force it")
    assert cluster.json("quorum")["missing"] == ["host2", "host3"]
    done = force(cluster, "host2", check=False)
    assert done.returncode == REFUSED and "host3" in done.stderr
    assert sum(len(drill.where(vm)) for vm in wanted) == 1, "nothing was started without quorum"

    force(cluster, "host2", "host3")
    drill.speak(wanted, elsewhere_than=["host2", "host3"])
    said = cluster.run("events").stdout
    assert "forced" in said and "root@host1" in said and "host2, host3" in said
    assert force(cluster, "host2", "host3", check=False).returncode == REFUSED
    cluster.run("vm", "stop", wanted[2], "--wait")
    drill.stopped(wanted[2])

    # They were not gone after all: they join, one by one (together they could be a majority that knows nothing of this).
    for host in ("host2", "host3"):
        lab.on(host)
        cluster.wait_node(host, "online")
    assert cluster.vms()[wanted[2]]["state"] == "stopped"


@pytest.mark.hosts(2)
def test_one_of_two_hosts_that_were_both_down(drill):
    """both of two hosts are down, one boots: it waits for the other, or for an administrator"""
    cluster, lab = drill.cluster, drill.lab
    wanted = drill.guests(2, linux=0)
    assert cluster.json("quorum")["mode"].startswith("two_node")
    assert loss_of(cluster.json("quorum"), "host2")["proof_first"]
    drill.cut("host1", "host2")
    cluster.host = "host1"
    lab.on("host1")
    wait_until(lambda: cluster.run("quorum", check=False).returncode == 0 and
               cluster.json("quorum")["can_force"], 40, "somebody may force it")
    assert not any(drill.where(vm) for vm in wanted)
    force(cluster, "host2")
    drill.speak(wanted)
    lab.on("host2")
    cluster.wait_node("host2", "online")
