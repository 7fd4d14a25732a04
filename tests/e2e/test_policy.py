"""Hosts that go down on purpose, and the whole cluster's hands off."""

import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots, names


def fences(cluster):
    return [event for event in cluster.json("events")["events"] if event["to"] == "fencing"]


def test_a_host_that_is_to_go_down_is_left_live(lab, cluster):
    wanted = names(2)
    cluster.run("set", "node_shutdown", "migrate")
    add_guests(lab, cluster, wanted, on="host2")
    cluster.run("node", "shutdown", "host2", timeout=120)
    assert "host2" not in {host for hosts in lab.guests().values() for host in hosts}
    lab.off("host2")
    cluster.wait_node("host2", "offline")
    assert_once(lab, cluster, wanted)
    assert_alive(lab, wanted)
    assert all(len(boots(lab, name)) == 1 for name in wanted), "a guest was restarted"
    assert not fences(cluster), "who goes as announced is not fenced"


def test_a_host_that_is_to_go_down_hands_its_guests_over(lab, cluster):
    wanted = names(2)
    cluster.run("set", "node_shutdown", "failover")
    add_guests(lab, cluster, wanted, on="host2")
    cluster.run("node", "shutdown", "host2", timeout=240)
    lab.off("host2")
    cluster.wait_running(wanted, timeout=60)
    assert_once(lab, cluster, wanted)
    assert "host2" not in {host for hosts in lab.guests().values() for host in hosts}
    assert not fences(cluster), "who goes as announced is not fenced"


@pytest.mark.parametrize("policy", ["stop", "self-fence"])
def test_a_host_without_quorum_does_not_keep_its_guests(lab, cluster, policy):
    """No fence device is at work here: the host itself ends them."""
    cluster.run("set", "quorum_loss", policy)
    cluster.run("set", "quorum_loss_grace_ms", "3000")
    cluster.run("set", "stop_timeout_s", "3")
    add_guests(lab, cluster, names(1), on="host1")
    lab.off("host2", "host3")
    began = time.monotonic()
    wait_until(lambda: not lab.guests(), 40, "no guest is left")
    assert time.monotonic() - began >= 3, "the grace is granted"
