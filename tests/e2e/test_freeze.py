"""corosync stands still (SIGSTOP) on two of three hosts. FREEZES says how often; each time 5 to 60 s, in turn.

Nobody has quorum meanwhile, so nobody is fenced; the VMs run on; and afterwards all three are one cluster.
"""

import os
import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once

LENGTHS = (5, 60, 12, 30, 20)
WANTED = ["vm01", "vm02", "vm03"]
PAIRS = (("host2", "host3"), ("host1", "host2"), ("host1", "host3"))


def all_one(cluster):
    done = cluster.run("status", "--json", check=False)
    if done.returncode != 0:
        return False
    status = cluster.status()
    return status["active"] and status["votes"] == 3 and all(n["state"] == "online" for n in status["nodes"])


def test_corosync_freezes_on_two_of_three_hosts(lab, cluster):
    add_guests(lab, cluster, WANTED)
    before = lab.guests()
    for turn in range(int(os.environ.get("FREEZES", "2"))):
        length, pair = LENGTHS[turn % len(LENGTHS)], PAIRS[turn % len(PAIRS)]
        for host in pair:
            lab.signal(host, "corosync", "STOP")
        time.sleep(length)
        assert_alive(lab, WANTED, timeout=10)
        for host in pair:
            lab.signal(host, "corosync", "CONT")
        began = time.monotonic()
        wait_until(lambda: all_one(cluster), 60, f"one cluster after freeze {turn + 1} ({length} s of {pair})")
        print(f"freeze {turn + 1}: {length} s of {' and '.join(pair)}, one cluster {time.monotonic() - began:.1f} s later")
        assert not any(lab.seen_off(host) for host in lab.hosts), lab.run("power-log")
        assert lab.guests() == before, "no VM was touched"
        assert_once(lab, cluster, WANTED)


@pytest.mark.quorum("last_man_standing: 1", "last_man_standing_window: 3000", "wait_for_all: 1")
@pytest.mark.hosts(4)
def test_last_man_standing_and_wait_for_all(lab, cluster):
    """One host after the other goes; two are left and work. After a cold start nobody acts before all are seen."""
    wanted = ["vm01"]
    cluster.run("set", "fence_window_s", "10", check=False)
    add_guests(lab, cluster, wanted, on="host1")
    report = cluster.json("quorum")
    assert report["mode"] == "majority, last_man_standing, wait_for_all" and report["may_lose"] == 2
    for victim in ("host4", "host3"):
        lab.off(victim)
        cluster.wait_node(victim, "offline", timeout=40)
        wait_until(lambda: cluster.json("quorum")["quorate"], 10, "quorum")
        time.sleep(5)  # its window: what is left is what is expected
    report = cluster.json("quorum")
    assert report["votes"] == 2 and report["may_lose"] == 0
    cluster.run("vm", "stop", "vm01", "--wait")
    cluster.run("vm", "start", "vm01", "--wait")
    assert_once(lab, cluster, wanted)

    lab.off("host1", "host2")
    lab.on("host1", "host2", "host3")
    time.sleep(10)
    status = cluster.status()
    assert not status["quorate"] and "wait_for_all" in status["local_reason"]
    assert not lab.guests()
    lab.on("host4")
    wait_until(lambda: cluster.status()["active"], 30, "all were seen")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
