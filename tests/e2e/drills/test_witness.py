"""Two hosts and a witness: the real corosync-qnetd, and corosync-qdevice on the hosts."""

import re
import time

import pytest

from labkit import wait_until

pytestmark = [pytest.mark.hosts(3), pytest.mark.witness]


def votes(cluster, host):
    done = cluster.run("quorum", "--json", host=host, check=False)
    return cluster.json("quorum", host=host) if done.returncode == 0 else {}


@pytest.fixture
def pair(drill):
    """A VM on each of the two hosts; the device votes."""
    wait_until(lambda: votes(drill.cluster, "host1").get("device_state") == "votes", 20, "the device's vote")
    drill.pair = drill.guests(2, linux=0)
    assert {drill.where(vm)[0] for vm in drill.pair} == {"host1", "host2"}
    return drill


def quorate_again(lab, host, began):
    """Seconds from `began` (of the wall clock) until that host was in a quorate ring without the other."""
    day = time.strftime("%Y %b %d", time.localtime(began))
    for line in lab.run("logs", host, "clusterd").splitlines():
        found = re.match(r"\w+ +\d+ (\d+:\d+:\d+)(\.\d+) .*log: .* active, .* 1 members", line)
        if found:
            when = time.mktime(time.strptime(f"{day} {found[1]}", "%Y %b %d %H:%M:%S")) + float(found[2])
            if when > began:
                return when - began
    return None


# host1 breaks ties: its loss must not leave the other without quorum for long.
@pytest.mark.parametrize("victim", [pytest.param("host1", marks=pytest.mark.telling), "host2"])
def test_power_cut_of_either_host(pair, drill, victim):
    """two hosts and a witness: power cut of one, and back"""
    other = "host2" if victim == "host1" else "host1"
    report = drill.cluster.json("quorum", host=other)
    assert report["mode"] == "device" and report["votes"] == 3 and report["may_lose"] == 1
    drill.cluster.host = other
    began = time.time()
    drill.cut(victim)
    drill.speak(pair.pair, elsewhere_than=[victim])
    took = quorate_again(drill.lab, other, began)
    drill.note(f"power cut of {victim} of two with a witness: {other} at work after {took:.1f} s")
    assert took < 6
    assert votes(drill.cluster, other)["votes"] == 2 and votes(drill.cluster, other)["may_lose"] == 0
    drill.lab.on(victim)
    drill.cluster.wait_node(victim, "online")


def test_loss_of_the_witness_stops_nothing(pair, drill):
    """two hosts and a witness: the witness is lost, and back"""
    cluster, lab = drill.cluster, drill.lab
    drill.cut(lab.witness)
    wait_until(lambda: votes(cluster, "host1").get("device_state") == "silent", 30, "the device silent")
    assert cluster.status()["quorate"] and cluster.status()["may_lose"] == 0
    assert "MAY LOSE NO MORE NODE" in cluster.run("status").stdout
    drill.speak(pair.pair)
    drill.untouched(pair.pair)
    lab.on(lab.witness)
    wait_until(lambda: votes(cluster, "host1")["device_state"] == "votes", 30, "the device's vote")
    assert cluster.status()["may_lose"] == 1


def test_a_cut_between_the_hosts(pair, drill):
    """two hosts and a witness: the two lose each other, both reach the witness, which votes for one"""
    lab = drill.lab
    drill.must_fence("host2")
    lab.run("drop", "host1", "host2")
    lab.run("drop", "host2", "host1")
    wait_until(lambda: lab.seen_off("host2"), 40, "host2 fenced")
    drill.speak(pair.pair, elsewhere_than=["host2"])
    lab.run("undrop")
    lab.on("host2")
    drill.cluster.wait_node("host2", "online")
