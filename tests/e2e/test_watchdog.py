"""Hosts with nothing but watchdogs: who is cut off, or whose clusterd stands still, resets itself, and
its VMs run elsewhere by the deadline, never twice."""

import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots, names, qemu_starts

OPTIONS = "--watchdog-timeout 5 --watchdog-lease 2000"
TOKEN = 500
DEADLINE_S = 13.7           # fence/timing.h's worked example; from the loss that is seen
MOST_S = 1.2 * DEADLINE_S
STARTS_S = 15               # libvirt and QEMU, on a busy machine

pytestmark = pytest.mark.watchdog(OPTIONS, TOKEN)


@pytest.fixture
def guarded(lab):
    """A cluster without fence devices, whose hosts have opened their watchdogs and said so."""
    from labkit import Cluster
    made = Cluster(lab)
    wait_until(lambda: all(node.get("watchdog_ms") == 5000 for node in made.nodes().values()), 30,
               "every host's watchdog is known")
    return made


def wait_elsewhere(lab, wanted, victim):
    def moved():
        found = lab.guests()
        return set(wanted) <= set(found) and all(found[name] != [victim] for name in wanted)
    wait_until(moved, MOST_S + STARTS_S, "every VM elsewhere")


def assert_proven_in_time(cluster, victim):
    """By the cluster's own account, from the moment at which it saw the loss."""
    report = cluster.report()
    assert report["victim"] == victim and "watchdog" in report["proof"], report
    assert DEADLINE_S - 0.1 < report["fenced_us"] / 1e6 < MOST_S, report
    assert all(vm["decided_us"] / 1e6 < MOST_S for vm in report["vms"]), report


def assert_reset_before_starts(lab, wanted, victim):
    off = lab.seen_off(victim)
    assert off, f"{victim} was never off"
    for name, when in qemu_starts(lab).items():
        assert name not in wanted or when > off[0] - 0.05, f"{name} started {off[0] - when:.2f} s early"


def test_power_cut(lab, guarded):
    wanted = names(3)
    add_guests(lab, guarded, wanted, on="host3")
    lab.off("host3")
    wait_elsewhere(lab, wanted, "host3")
    guarded.wait_running(wanted)
    assert_proven_in_time(guarded, "host3")
    assert_once(lab, guarded, wanted)
    assert_alive(lab, wanted)
    lab.on("host3")
    guarded.wait_node("host3", "online")
    assert_once(lab, guarded, wanted)


def test_network_cut(lab, guarded):
    wanted = names(3)
    add_guests(lab, guarded, wanted, on="host3")
    began = time.time()
    lab.run("cut", "host3")
    wait_until(lambda: lab.bitten("host3"), 15, "host3's watchdog runs out")
    assert lab.bitten("host3")[0] - began < DEADLINE_S
    wait_elsewhere(lab, wanted, "host3")
    assert_reset_before_starts(lab, wanted, "host3")
    guarded.wait_running(wanted)
    assert_proven_in_time(guarded, "host3")
    assert_once(lab, guarded, wanted)
    lab.run("join", "host3")
    guarded.wait_node("host3", "online")
    assert_once(lab, guarded, wanted)
    assert not lab.bitten("host1") and not lab.bitten("host2")


def test_clusterd_stands_still(lab, guarded):
    """The host resets itself; it may be back, and say that nothing runs there, before the deadline."""
    wanted = names(3)
    add_guests(lab, guarded, wanted, on="host3")
    before = {name: boots(lab, name) for name in wanted}
    lab.signal("host3", "clusterd", "STOP")
    wait_until(lambda: lab.bitten("host3"), 12, "host3's watchdog runs out")
    wait_until(lambda: all(len(boots(lab, name)) > len(before[name]) for name in wanted),
               MOST_S + STARTS_S, "every guest has booted anew")
    guarded.wait_running(wanted)
    assert_once(lab, guarded, wanted)
    assert_reset_before_starts(lab, wanted, "host3")


def test_clusterd_is_killed_and_back(lab, guarded):
    """Within the timeout: nobody notices."""
    wanted = names(3)
    add_guests(lab, guarded, wanted, on="host3")
    for _ in range(2):
        lab.signal("host3", "clusterd", "KILL")
        time.sleep(1)
        guarded.wait_node("host3", "online")
        wait_until(lambda: guarded.nodes()["host3"].get("watchdog_ms") == 5000, 15,
                   "host3's watchdog is known again")
    time.sleep(6)
    assert not lab.bitten("host3")
    assert_once(lab, guarded, wanted)
    assert all(len(boots(lab, name)) == 1 for name in wanted)


def test_clusterd_that_stays_dead(lab, guarded):
    """Nobody feeds it: the host is reset, whatever else works."""
    wanted = names(2)
    add_guests(lab, guarded, wanted, on="host3")
    lab.forbid_restart("host3", "clusterd")
    lab.signal("host3", "clusterd", "KILL")
    wait_until(lambda: lab.bitten("host3"), 8, "host3's watchdog runs out")
    guarded.wait_running(wanted)
    wait_until(lambda: all(len(boots(lab, name)) == 2 for name in wanted), 40, "every guest has booted anew")
    assert_once(lab, guarded, wanted)


def test_disarmed_watchdogs_bite_nobody(lab, guarded):
    guarded.run("disarm")
    wait_until(lambda: not any(node.get("watchdog_ms") for node in guarded.nodes().values()), 10,
               "no watchdog counts")
    time.sleep(1)
    lab.run("cut", "host3")
    time.sleep(9)
    assert not lab.bitten("host3")
    lab.run("join", "host3")
    guarded.wait_node("host3", "online")
    guarded.run("arm")
    wait_until(lambda: all(node.get("watchdog_ms") == 5000 for node in guarded.nodes().values()), 30,
               "every host's watchdog is known again")


def test_figures_that_cannot_hold_are_refused(lab, guarded):
    lab.forbid_restart("host3", "clusterd")
    guarded.run("disarm")
    time.sleep(1)
    lab.signal("host3", "clusterd", "KILL")

    def start(*words):
        return lab.exec("host3", "timeout", 10, "clusterd", "--foreground", "--state-dir",
                        "/var/lib/hvcluster", "--hypervisord", "/run/lab/bin/hypervisord",
                        "--watchdog", "/dev/watchdog", *words, check=False)
    short = start("--watchdog-any-file", "--watchdog-lease", 1000)
    assert short.returncode == 78 and "lease is shorter" in short.stderr, short
    plain = start()
    assert plain.returncode == 78 and "character device" in plain.stderr, plain
    long = start("--watchdog-any-file", "--watchdog-timeout", 60)
    assert long.returncode == 78 and "66 s" in long.stderr, long
