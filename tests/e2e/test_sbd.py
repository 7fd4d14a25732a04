"""Poison on a shared LUN: fence_sbd, and sbd's own watcher with the watchdog on each host.

Nobody sees a host die here. fence_sbd's word is that msgwait has passed since the poison was written.
"""

import time

import pytest

from labkit import Cluster, wait_until
from support import add_guests, assert_alive, assert_once, names, qemu_starts

MSGWAIT_S = 6

pytestmark = pytest.mark.sbd


def add_sbd(cluster, host, *words):
    cluster.run("fence", "add", host, "sbd", "--agent", "fence_sbd", "-o", "devices=/dev/lun1",
                "-o", f"plug={host}", *words)


@pytest.fixture
def poisoned(lab):
    """A cluster whose only fence devices are slots on the LUN."""
    made = Cluster(lab)
    for host in lab.hosts:
        add_sbd(made, host)
    wait_until(lambda: made.status()["fence_able"] == 3, 40, "every slot has answered its test")
    return made


def wait_elsewhere(lab, wanted, victim, timeout):
    wait_until(lambda: all(lab.guests().get(name, [victim]) != [victim] for name in wanted), timeout,
               "every VM elsewhere")


def assert_waited_for(cluster, victim):
    report = cluster.report()
    assert report["victim"] == victim, report
    assert "sbd" in report["proof"] and "waited for, not seen" in report["proof"], report
    assert report["fenced_us"] / 1e6 > MSGWAIT_S, report


def assert_off_before_starts(lab, wanted, victim, since):
    off = [when for when in lab.seen_off(victim) if when > since]
    assert off, f"{victim} was never off"
    for name, when in qemu_starts(lab).items():
        assert name not in wanted or when > off[0] - 0.05, f"{name} started {off[0] - when:.2f} s early"


def test_a_host_that_is_cut_off_drinks_the_poison(lab, poisoned):
    """The network is gone, the storage is not: its watcher reads the slot and resets the host."""
    status = poisoned.status()
    assert status["fence_waited"] == 3
    assert "3 of them without being seen off" in poisoned.run("status").stdout
    wanted = names(2)
    add_guests(lab, poisoned, wanted, on="host3")
    began = time.time()
    lab.run("cut", "host3")
    wait_elsewhere(lab, wanted, "host3", 60)
    poisoned.wait_running(wanted)
    assert_waited_for(poisoned, "host3")
    assert_off_before_starts(lab, wanted, "host3", began)
    assert not lab.bitten("host3"), "the poison, not the watchdog"
    assert_once(lab, poisoned, wanted)
    assert_alive(lab, wanted)
    lab.run("join", "host3")
    poisoned.wait_node("host3", "online")
    assert lab.exec("host1", "sbd", "-d", "/dev/lun1", "list").stdout.count("clear") == 3
    assert_once(lab, poisoned, wanted)


def test_a_host_that_hangs_is_reset_by_its_watchdog_within_msgwait(lab, poisoned):
    """It cannot read: what kills it is the watchdog that nobody feeds, before msgwait has passed."""
    wanted = names(2)
    add_guests(lab, poisoned, wanted, on="host3")
    began = time.time()
    lab.run("hang", "host3")
    lab.run("cut", "host3")     # it boots within msgwait, and would say itself that nothing runs there
    wait_elsewhere(lab, wanted, "host3", 60)
    assert lab.bitten("host3")
    assert_waited_for(poisoned, "host3")
    assert_off_before_starts(lab, wanted, "host3", began)
    poisoned.wait_running(wanted)
    lab.run("join", "host3")
    poisoned.wait_node("host3", "online")
    assert_once(lab, poisoned, wanted)


def test_poison_that_is_there_already_is_waited_for_anew(lab, poisoned):
    """A fencer wrote it and was killed at once. fence_sbd's `off` would call that "Already OFF"."""
    wanted = names(1)
    add_guests(lab, poisoned, wanted, on="host3")
    began = time.time()
    lab.run("hang", "host3")
    lab.run("cut", "host3")
    lab.exec("host1", "sh", "-c", "printf 'devices=/dev/lun1\\nplug=host3\\naction=off\\n' |"
             " timeout -s KILL 1 fence_sbd", check=False)
    assert "clear" not in lab.exec("host1", "sbd", "-d", "/dev/lun1", "list").stdout.splitlines()[2]
    poisoned.wait_running(wanted)
    wait_elsewhere(lab, wanted, "host3", 60)
    assert_waited_for(poisoned, "host3")
    assert_off_before_starts(lab, wanted, "host3", began)
    assert_once(lab, poisoned, wanted)


def test_a_level_that_demands_a_seen_death_leaves_it_to_the_bmc(lab, poisoned):
    """sbd first, but what counts is that the BMC sees the host off."""
    options = lab.bmc("host3")
    secret = options.pop("password")
    lab.exec("host1", "sh", "-c", "umask 077; cat >/root/pw", stdin=secret)
    poisoned.run("fence", "level", "host3", "1", "--require", "seen")
    def warned():
        return any("fence devices of host3 only wait" in w for w in poisoned.status().get("warnings", []))
    assert warned()
    words = [word for pair in options.items() for word in ("-o", "=".join(pair))]
    poisoned.run("fence", "add", "host3", "ipmi", "--level", "2", "--agent", "fence_ipmilan", *words,
                 "--secret-file", "password=/root/pw")
    poisoned.run("fence", "test", "host3", "ipmi")
    assert not warned()
    assert "does not see: no proof here" in poisoned.run("fence", "list", "host3").stdout
    wanted = names(1)
    add_guests(lab, poisoned, wanted, on="host3")
    lab.run("cut", "host3", "cluster")
    wait_elsewhere(lab, wanted, "host3", 90)
    poisoned.wait_running(wanted)
    report = poisoned.report()
    assert "fence device ipmi" in report["proof"] and "not seen" not in report["proof"], report
    assert_once(lab, poisoned, wanted)
