"""Hosts with nothing but watchdogs: who is cut off, or whose clusterd stands still, resets itself, and
its VMs run elsewhere by the deadline, never twice."""

import time

import pytest

from labkit import wait_until
from support import qemu_starts

OPTIONS = "--watchdog-timeout 5 --watchdog-lease 2000"
TOKEN = 500
DEADLINE_S = 13.7           # fence/timing.h's worked example; from the loss that is seen
MOST_S = 1.2 * DEADLINE_S
STARTS_S = 15               # libvirt and QEMU, on a busy machine

pytestmark = [pytest.mark.watchdog(OPTIONS, TOKEN), pytest.mark.unprotected]


@pytest.fixture
def guarded(drill):
    """A cluster without fence devices, whose hosts have opened their watchdogs and said so."""
    wait_known(drill.cluster)
    return drill


def wait_known(cluster):
    wait_until(lambda: all(node.get("watchdog_ms") == 5000 for node in cluster.nodes().values()), 30,
               "every host's watchdog is known")


def assert_proven_in_time(drill, victim):
    """By the cluster's own account, from the moment at which it saw the loss."""
    report = drill.cluster.report()
    assert report["victim"] == victim and "watchdog" in report["proof"], report
    drill.note(f"watchdog only: {victim} proven off after {report['fenced_us'] / 1e6:.1f} s of {DEADLINE_S} s")
    assert DEADLINE_S - 0.1 < report["fenced_us"] / 1e6 < MOST_S, report
    assert all(vm["decided_us"] / 1e6 < MOST_S for vm in report["vms"]), report


def assert_reset_before_starts(lab, wanted, victim):
    off = lab.seen_off(victim)
    assert off, f"{victim} was never off"
    for name, when in qemu_starts(lab).items():
        assert name not in wanted or when > off[0] - 0.05, f"{name} started {off[0] - when:.2f} s early"


def test_power_cut(guarded, drill):
    """watchdogs only: power cut of a host with three VMs, and back"""
    wanted = drill.guests(3, on="host3", linux=0)
    drill.cut("host3")
    drill.speak(wanted, MOST_S + STARTS_S, elsewhere_than=["host3"])
    assert_proven_in_time(drill, "host3")
    drill.lab.on("host3")
    drill.cluster.wait_node("host3", "online")


@pytest.mark.telling
def test_network_cut(guarded, drill):
    """watchdogs only: a host with three VMs is cut off, and back"""
    lab = drill.lab
    wanted = drill.guests(3, on="host3", linux=0)
    drill.must_fence("host3")
    began = time.time()
    lab.run("cut", "host3")
    wait_until(lambda: lab.bitten("host3"), 15, "host3's watchdog runs out")
    assert lab.bitten("host3")[0] - began < DEADLINE_S
    drill.speak(wanted, MOST_S + STARTS_S, elsewhere_than=["host3"])
    assert_reset_before_starts(lab, wanted, "host3")
    assert_proven_in_time(drill, "host3")
    lab.run("join", "host3")
    drill.cluster.wait_node("host3", "online")
    assert not lab.bitten("host1") and not lab.bitten("host2")


def test_clusterd_stands_still(guarded, drill):
    """watchdogs only: clusterd stands still on a host with three VMs; it resets itself and may be back early"""
    lab = drill.lab
    wanted = drill.guests(3, on="host3", linux=0)
    drill.must_fence("host3")
    lab.signal("host3", "clusterd", "STOP")
    wait_until(lambda: lab.bitten("host3"), 12, "host3's watchdog runs out")
    wait_until(lambda: all(len(drill.boots(vm)) == 2 for vm in wanted), MOST_S + STARTS_S + 10,
               "every guest has booted anew")
    drill.speak(wanted)
    assert_reset_before_starts(lab, wanted, "host3")


def test_clusterd_is_killed_and_back(guarded, drill):
    """watchdogs only: clusterd is killed twice and back within the timeout: nobody notices"""
    wanted = drill.guests(3, on="host3", linux=0)
    for _ in range(2):
        drill.lab.signal("host3", "clusterd", "KILL")
        time.sleep(1)
        drill.cluster.wait_node("host3", "online")
        wait_until(lambda: drill.cluster.nodes()["host3"].get("watchdog_ms") == 5000, 15,
                   "host3's watchdog is known again")
    time.sleep(6)
    drill.untouched(wanted)


def test_clusterd_that_stays_dead(guarded, drill):
    """watchdogs only: clusterd is killed and stays dead: the host is reset, whatever else works"""
    lab = drill.lab
    wanted = drill.guests(2, on="host3", linux=0)
    drill.must_fence("host3")
    lab.forbid_restart("host3", "clusterd")
    lab.signal("host3", "clusterd", "KILL")
    wait_until(lambda: lab.bitten("host3"), 8, "host3's watchdog runs out")
    wait_until(lambda: all(len(drill.boots(vm)) == 2 for vm in wanted), 50, "every guest has booted anew")


def test_disarmed_watchdogs_bite_nobody(guarded, drill):
    """watchdogs only: disarm, a host with two VMs is cut off for 9 s, back, arm: nobody is reset"""
    cluster, lab = drill.cluster, drill.lab
    wanted = drill.guests(2, on="host3", linux=0)
    cluster.run("disarm")
    wait_until(lambda: not any(node.get("watchdog_ms") for node in cluster.nodes().values()), 10,
               "no watchdog counts")
    time.sleep(1)
    lab.run("cut", "host3")
    time.sleep(9)
    lab.run("join", "host3")
    cluster.wait_node("host3", "online")
    cluster.run("arm")
    wait_known(cluster)
    drill.untouched(wanted)


def test_figures_that_cannot_hold_are_refused(guarded, drill):
    """clusterd with timeouts that do not fit together, or a device that is none"""
    drill.lab.forbid_restart("host3", "clusterd")
    drill.cluster.run("disarm")
    time.sleep(1)
    drill.lab.signal("host3", "clusterd", "KILL")

    def start(*words):
        return drill.lab.exec("host3", "timeout", 10, "clusterd", "--foreground", "--state-dir",
                              "/var/lib/hvcluster", "--hypervisord", "/run/lab/bin/hypervisord",
                              "--watchdog", "/dev/watchdog", *words, check=False)
    short = start("--watchdog-any-file", "--watchdog-lease", 1000)
    assert short.returncode == 78 and "lease is shorter" in short.stderr, short
    plain = start()
    assert plain.returncode == 78 and "character device" in plain.stderr, plain
    long = start("--watchdog-any-file", "--watchdog-timeout", 60)
    assert long.returncode == 78 and "66 s" in long.stderr, long
