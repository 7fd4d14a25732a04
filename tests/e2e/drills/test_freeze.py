"""corosync stands still (SIGSTOP) on two of three hosts. FREEZES says how often (preset 3), each time 5 to 60 s in turn.

Nobody has quorum meanwhile, so nobody is fenced; the VMs run on; and afterwards all three are one cluster.
"""

import os
import time

import pytest

from labkit import wait_until

from .ring import wait_one

LENGTHS = (5, 30, 12, 60, 20)
PAIRS = (("host2", "host3"), ("host1", "host2"), ("host1", "host3"))


def test_corosync_freezes_on_two_of_three_hosts(drill):
    """corosync stands still on two of three hosts for 5 to 60 s, again and again: nobody is fenced, no VM notices"""
    wanted = drill.guests(3, linux=0)
    for turn in range(int(os.environ.get("FREEZES", "3"))):
        length, pair = LENGTHS[turn % len(LENGTHS)], PAIRS[turn % len(PAIRS)]
        for host in pair:
            drill.lab.signal(host, "corosync", "STOP")
        time.sleep(length)
        drill.speak(wanted, timeout=10)
        for host in pair:
            drill.lab.signal(host, "corosync", "CONT")
        began = time.monotonic()
        wait_one(drill.cluster, 60, f"one cluster after freeze {turn + 1} ({length} s of {pair})")
        drill.note(f"freeze {turn + 1}: {length} s of {' and '.join(pair)}, one cluster {time.monotonic() - began:.1f} s later")
        drill.untouched(wanted)


@pytest.mark.quorum("last_man_standing: 1", "last_man_standing_window: 3000", "wait_for_all: 1")
@pytest.mark.hosts(4)
def test_last_man_standing_and_wait_for_all(drill):
    """one host after the other goes, two are left and work; after a cold start nobody acts before all were seen"""
    cluster = drill.cluster
    drill.set(fence_window_s=10)
    [vm] = drill.guests(1, on="host1", linux=0)
    report = cluster.json("quorum")
    assert report["mode"] == "majority, last_man_standing, wait_for_all" and report["may_lose"] == 2
    for victim in ("host4", "host3"):
        drill.cut(victim)
        cluster.wait_node(victim, "offline", timeout=40)
        wait_until(lambda: cluster.json("quorum")["quorate"], 10, "quorum")
        time.sleep(5)   # its window: what is left is what is expected
    report = cluster.json("quorum")
    assert report["votes"] == 2 and report["may_lose"] == 0
    cluster.run("vm", "stop", vm, "--wait")
    cluster.run("vm", "start", vm, "--wait")
    drill.speak([vm])

    drill.cut("host1", "host2")
    drill.lab.on("host1", "host2", "host3")
    time.sleep(10)
    status = cluster.status()
    assert not status["quorate"] and "wait_for_all" in status["local_reason"]
    assert not drill.where(vm)
    drill.lab.on("host4")
    wait_until(lambda: cluster.status()["active"], 30, "all were seen")
    drill.speak([vm])
