"""hypervisord alone, between two real hosts: what the cluster's tests cannot time so exactly.

tests/hvdrive plays clusterd. The migrations are slowed down, so that there is a middle to hit.
"""

import itertools
import os
import re
import threading

import pytest

from conftest import SANITIZERS, bindir, sanitized, sanitizer_reports
from labkit import Lab, wait_until

HVDRIVE = "/run/lab/build/tests/hvdrive/hvdrive"
HYPERVISORD = "/run/lab/build/hypervisor/hypervisord"
URI = "qemu+tls://host2/system"
MIDDLE = 1.2  # seconds into a migration that takes several


NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def lab():
    """Two hosts for all tests of this file: none of them leaves anything behind."""
    made = Lab(os.environ.get("LAB_NAME", "e2e"), bindir=bindir(),
               env=SANITIZERS if sanitized() else "")
    made.down()
    made.up(2)
    yield made
    crashes = sanitizer_reports(made)
    made.down()
    assert not crashes, crashes


def drive(lab, host, *commands, timeout=120):
    """Runs hvdrive's commands; its output."""
    script = "\n".join(("until complete 20000",) + commands) + "\n"
    done = lab.exec(host, HVDRIVE, HYPERVISORD, "--run-dir", "/run/hvdrive", stdin=script,
                    timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def guest(lab):
    """A Linux guest on host1 whose migration takes some seconds: name and UUID."""
    if lab.exec("host1", "test", "-x", HVDRIVE, check=False).returncode:
        pytest.skip("hvdrive is not built (make check builds it)")
    name = f"slow{next(NUMBERS)}"
    [path] = lab.mkguest(name, mem=256)
    drive(lab, "host1", f"start {path}", "wait 1", "expect 1 OK RUNNING", "sleep 2000")
    lab.exec("host1", "virsh", "-q", "migrate-setspeed", name, "30")
    uuid = re.search("<uuid>(.*)</uuid>", lab.exec("host1", "cat", path).stdout).group(1)
    yield name, uuid
    for host in lab.hosts:
        drive(lab, host, f"destroy {uuid} {name}", "wait 1", "expect 1 OK ABSENT")


def states(lab, name):
    """The state of the guest on each host where it is."""
    found = {}
    for host in lab.hosts:
        text = lab.exec(host, "virsh", "-q", "domstate", name, check=False)
        if text.returncode == 0:
            found[host] = text.stdout.strip()
    return found


def later(seconds, call, *args):
    timer = threading.Timer(seconds, call, args)
    timer.start()
    return timer


def test_a_migration_that_outlives_hypervisord_is_waited_for(lab, guest):
    name, uuid = guest
    drive(lab, "host1", f"migrate {uuid} {name} {URI}", "until progress", "sleep 1000", "kill", "quit")
    out = drive(lab, "host1", f"migrate {uuid} {name} {URI}", "wait 1", "expect 1 OK ABSENT")
    assert "progress 1" in out, "it had ended before"
    assert states(lab, name) == {"host2": "paused"}, "paused until it is told to run"
    drive(lab, "host2", f"resume {uuid} {name}", "wait 1", "expect 1 OK RUNNING")
    assert states(lab, name) == {"host2": "running"}


def test_a_migration_can_be_cancelled_and_has_a_deadline(lab, guest):
    name, uuid = guest
    drive(lab, "host1",
          f"migrate {uuid} {name} {URI}", "until progress", "sleep 500", "cancel 1", "wait 1",
          "expect 1 CANCELLED RUNNING",
          f"migrate {uuid} {name} {URI} 1500", "wait 2", "expect 2 TIMEOUT RUNNING",
          f"migrate {uuid} {name} {URI}", "sleep 700", f"destroy {uuid} {name}", "wait 3", "wait 4",
          "expect 3 SUPERSEDED RUNNING", "expect 4 OK ABSENT")
    assert states(lab, name) == {}


@pytest.mark.parametrize("host", ["host1", "host2"], ids=["source", "destination"])
def test_libvirtd_killed_in_a_migration(lab, guest, host):
    """It is tried again and succeeds, or the guest stays where it was: once, in either case."""
    name, uuid = guest
    timer = later(MIDDLE + 0.5, lab.signal, host, "libvirtd")
    out = drive(lab, "host1", f"migrate {uuid} {name} {URI}", "wait 1")
    timer.join()
    if "result 1 attempt 1 OK ABSENT" in out:
        assert states(lab, name) == {"host2": "paused"}
    else:
        assert "result 1 attempt 1 HYPERVISOR RUNNING" in out, out
        wait_until(lambda: states(lab, name) == {"host1": "running"}, 10, "the guest on its host only")


@pytest.mark.parametrize("host", ["host1", "host2"], ids=["source", "destination"])
def test_libvirtd_frozen_in_a_migration(lab, guest, host):
    name, uuid = guest
    timers = [later(MIDDLE + 0.5, lab.signal, host, "libvirtd", "STOP"),
              later(MIDDLE + 7.5, lab.signal, host, "libvirtd", "CONT")]
    out = drive(lab, "host1", f"migrate {uuid} {name} {URI}", "wait 1")
    for timer in timers:
        timer.join()
    assert "result 1 attempt 1 OK ABSENT" in out, out
    assert ("health ill" in out) == (host == "host1")
    assert states(lab, name) == {"host2": "paused"}


def test_libvirtd_frozen_in_a_migration_that_outlived_hypervisord(lab, guest):
    """Nobody holds the call any more, and the one that looks loses its connection: that is not the end of the migration."""
    name, uuid = guest
    lab.exec("host1", "virsh", "-q", "migrate-setspeed", name, "12")
    drive(lab, "host1", f"migrate {uuid} {name} {URI}", "until progress", "sleep 500", "kill", "quit")
    timers = [later(2, lab.signal, "host1", "libvirtd", "STOP"), later(8, lab.signal, "host1", "libvirtd", "CONT")]
    out = drive(lab, "host1", f"migrate {uuid} {name} {URI}", "wait 1")
    for timer in timers:
        timer.join()
    assert "health ill" in out, "it was not frozen for long enough, or the migration was over"
    assert "result 1 attempt 1 OK ABSENT" in out, out
    assert states(lab, name) == {"host2": "paused"}
