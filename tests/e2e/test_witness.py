"""Two hosts and a witness: the real corosync-qnetd, and corosync-qdevice on the hosts."""

import re
import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once

pytestmark = [pytest.mark.hosts(3), pytest.mark.witness]
WANTED = ["vm01", "vm02"]


def votes(cluster, host):
    done = cluster.run("quorum", "--json", host=host, check=False)
    return cluster.json("quorum", host=host) if done.returncode == 0 else {}


@pytest.fixture
def pair(lab, cluster):
    """A VM on each of the two hosts; the device votes."""
    wait_until(lambda: votes(cluster, "host1").get("device_state") == "votes", 20, "the device's vote")
    add_guests(lab, cluster, WANTED)
    assert set(map(tuple, lab.guests().values())) == {("host1",), ("host2",)}
    return cluster


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


@pytest.mark.parametrize("victim", ["host1", "host2"])
def test_power_cut_of_either_host(lab, pair, victim):
    """host1 breaks ties: its loss must not leave the other without quorum for long."""
    other = "host2" if victim == "host1" else "host1"
    report = pair.json("quorum", host=other)
    assert report["mode"] == "device" and report["votes"] == 3 and report["may_lose"] == 1
    pair.host = other
    began = time.time()
    lab.off(victim)
    wait_until(lambda: set(lab.guests()) == set(WANTED), 60, "both VMs on the other")
    pair.wait_running(WANTED)
    took = quorate_again(lab, other, began)
    print(f"power cut of {victim}: {other} at work after {took:.1f} s")
    assert took < 6
    assert_once(lab, pair, WANTED)
    assert votes(pair, other)["votes"] == 2 and votes(pair, other)["may_lose"] == 0
    lab.on(victim)
    pair.wait_node(victim, "online")
    assert_once(lab, pair, WANTED)


def test_loss_of_the_witness_stops_nothing(lab, pair):
    lab.off(lab.witness)
    wait_until(lambda: votes(pair, "host1").get("device_state") == "silent", 30, "the device silent")
    assert pair.status()["quorate"] and pair.status()["may_lose"] == 0
    assert "MAY LOSE NO MORE NODE" in pair.run("status").stdout
    assert_alive(lab, WANTED)
    assert_once(lab, pair, WANTED)
    assert not lab.seen_off("host1") and not lab.seen_off("host2")
    lab.on(lab.witness)
    wait_until(lambda: votes(pair, "host1")["device_state"] == "votes", 30, "the device's vote")
    assert pair.status()["may_lose"] == 1


def test_a_cut_between_the_hosts(lab, pair):
    """Both still reach the witness: it gives its vote to one of them, and only that one fences."""
    lab.run("drop", "host1", "host2")
    lab.run("drop", "host2", "host1")
    wait_until(lambda: lab.seen_off("host2"), 40, "host2 fenced")
    wait_until(lambda: lab.guests().get("vm01") == ["host1"] and lab.guests().get("vm02") == ["host1"], 60,
               "both VMs on host1")
    assert not lab.seen_off("host1")
    pair.wait_running(WANTED)
    assert_once(lab, pair, WANTED)
    lab.run("undrop")
    lab.on("host2")
    pair.wait_node("host2", "online")
    assert_once(lab, pair, WANTED)
