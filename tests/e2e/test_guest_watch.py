"""hypervisord alone and guests that hang, panic, or run out of disk: what it says of them, and its reset.

tests/hvdrive plays clusterd. The guest runs QEMU's own agent; what is done to it is done inside it.
"""

import itertools
import os
import re
import subprocess
import threading
import time

import pytest

import image
from conftest import SANITIZERS, bindir, sanitized, sanitizer_reports
from labkit import Lab, lineage, wait_until

HVDRIVE = "/run/lab/build/tests/hvdrive/hvdrive"
HYPERVISORD = "/run/lab/build/hypervisor/hypervisord"
RUN, STATE = "/run/hvdrive", "/var/lib/hvdrive"
BOOT = 240      # seconds that a guest may take to boot and its agent to answer, on a busy machine
NUMBERS = itertools.count(1)


class Driver:
    """A hypervisord whose clusterd we are."""

    def __init__(self, lab, host="host1"):
        self.lines = []
        self._news = threading.Condition()
        self._jobs = 0
        self.child = lab.start(host, HVDRIVE, HYPERVISORD, "--run-dir", RUN, "--state-dir", STATE,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        self.until(r"inventory complete", 30)

    def _read(self):
        for line in self.child.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def say(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\nsleep 1\n")
        self.child.stdin.flush()

    def listen(self, seconds):
        """hvdrive reads messages only while it waits for something."""
        self.child.stdin.write(f"sleep {int(seconds * 1000)}\n")
        self.child.stdin.flush()

    def until(self, pattern, timeout, since=0):
        """The first line from `since` on that matches, and how many lines there were after it."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for at in range(since, len(self.lines)):
                    if re.search(pattern, self.lines[at]):
                        return self.lines[at], at + 1
                since = max(since, len(self.lines))
                left = deadline - time.monotonic()
                assert left > 0, f"not within {timeout} s: {pattern}\n" + "\n".join(self.lines)
                self.listen(0.2)
                self._news.wait(min(left, 0.25))

    def job(self, *words, timeout=60):
        """Does a job; its result line."""
        self._jobs += 1
        self.say(*words)
        return self.until(rf"result {self._jobs} ", timeout, 0)[0]

    def since(self):
        return len(self.lines)

    def end(self, kill=False):
        self.child.stdin.write("kill\nquit\n" if kill else "quit\n")
        self.child.stdin.close()
        self.child.wait(20)


@pytest.fixture(scope="module")
def lab():
    made = Lab(os.environ.get("LAB_NAME", "e2e"), bindir=bindir(), env=SANITIZERS if sanitized() else "")
    made.down()
    made.up(1)
    made.exec("host1", "mkdir", "-p", STATE)
    yield made
    crashes = sanitizer_reports(made)
    made.down()
    assert not crashes, crashes


@pytest.fixture
def drive(lab):
    made = []

    def begin():
        made.append(Driver(lab))
        return made[-1]
    yield begin
    for one in made:
        if one.child.poll() is None:
            one.end()


class Guest:
    def __init__(self, lab, drive, options, change=None):
        self.lab, self.name = lab, f"sick{next(NUMBERS)}"
        [path] = lab.mkguest(self.name, options=("--agent", *options))
        if change:
            file = lab.shared / f"{self.name}.xml"
            file.write_text(change(file.read_text()))
        self.uuid = re.search("<uuid>(.*)</uuid>", (lab.shared / f"{self.name}.xml").read_text())[1]
        assert " OK RUNNING" in drive.job("start", path)

    def does(self, script):
        self.lab.in_guest("host1", self.name, script)

    def wait_up(self, drive, since=0, heartbeat=4, idle=4):
        drive.say("watch", self.uuid, heartbeat, idle)
        return drive.until("heartbeat ok", BOOT, since)[1]

    def boots(self):
        return lineage(self.lab.beats(self.name))

    def words(self):
        return (self.lab.shared / f"{self.name}.log").read_text(errors="replace")


@pytest.fixture
def guest(lab):
    made = []

    def start(drive, *options, change=None):
        made.append(Guest(lab, drive, options, change))
        return made[-1]
    yield start
    for one in made:
        lab.exec("host1", "virsh", "-q", "destroy", one.name, check=False)


def evidence(lab, result):
    """What was kept: {name: bytes}"""
    folder = re.search(r"evidence (/\S+)", result)[1]
    names = lab.exec("host1", "ls", folder).stdout.split()
    assert lab.exec("host1", "stat", "-c", "%a %U", folder).stdout.split() == ["700", "root"]
    return {name: subprocess.run(lab.command("host1", "cat", f"{folder}/{name}"), env=lab._env,
                                 capture_output=True, check=True).stdout for name in names}


def test_a_guest_that_hangs_is_lost_idle_and_reset_once(lab, drive, guest):
    one = drive()
    vm = guest(one)
    at = one.since()
    vm.wait_up(one)
    vm.does("touch /hang")
    wait_until(lambda: "last words" in vm.words(), 20, "its last words")
    _, at = one.until("heartbeat lost idle", 60, at)
    began = time.monotonic()
    assert " OK RUNNING" in one.job("probe", vm.uuid, vm.name)
    assert time.monotonic() - began < 3, "an agent that hangs holds up no job"

    result = one.job("reset", vm.uuid, vm.name, "lost")
    assert " OK RUNNING" in result, result
    one.until("heartbeat never", 10, at)
    kept = evidence(lab, result)
    width, height, colours = image.look(kept["screen.png"])
    assert width >= 640 and height >= 400 and colours > 1, "there is something on the screen"
    assert f"last words of boot {vm.boots()[0].name}" in kept["serial.txt"].decode()
    assert b"complete" in kept["about.txt"]
    wait_until(lambda: len(vm.boots()) == 2, BOOT, "its second boot")

    # The answer was lost with hypervisord: the same job is sent again, and does nothing a second time.
    one.end(kill=True)
    two = drive()
    for _ in range(int(re.search(r"result (\d+)", result)[1]) - 1):
        two.job("probe", vm.uuid, vm.name)
    again = two.job("reset", vm.uuid, vm.name, "asked")
    assert " OK RUNNING" in again and evidence(lab, again).keys() == kept.keys()
    vm.wait_up(two)
    assert len(vm.boots()) == 2, "it was reset twice"
    folders = lab.exec("host1", "ls", f"{STATE}/evidence").stdout.split()
    assert len([name for name in folders if name.startswith(vm.name + "-")]) == 1


@pytest.mark.drill
def test_a_guest_without_its_agent_is_not_reset_while_it_works(lab, drive, guest):
    one = drive()
    vm = guest(one)
    at = vm.wait_up(one)
    vm.does("killall -9 qemu-ga")
    line, at = one.until("heartbeat lost", 40, at)
    one.listen(8)
    time.sleep(8)
    assert not [line for line in one.lines if " idle" in line], one.lines
    result = one.job("reset", vm.uuid, vm.name, "lost")
    assert " REFUSED RUNNING" in result and "I/O" in result, result
    assert len(vm.boots()) == 1


@pytest.mark.drill
def test_a_libvirtd_that_hangs_says_nothing_of_guests(lab, drive, guest):
    one = drive()
    vm = guest(one)
    at = vm.wait_up(one, heartbeat=3, idle=1)
    vm.does("touch /quiet")
    lab.signal("host1", "libvirtd", "STOP")
    try:
        one.until("health ill", 20, at)
        one.listen(12)
        time.sleep(12)
    finally:
        lab.signal("host1", "libvirtd", "CONT")
    one.until("health ok", 30, at)
    one.listen(5)
    time.sleep(5)
    assert not [line for line in one.lines if "lost" in line], one.lines
    assert len(vm.boots()) == 1


@pytest.mark.drill
def test_a_panic_is_told_and_the_guest_reset(lab, drive, guest):
    one = drive()
    vm = guest(one, "--panic")
    at = vm.wait_up(one)
    vm.does("sleep 1; echo c >/proc/sysrq-trigger")
    _, at = one.until("trouble panicked", 20, at)
    assert "not reset" in one.job("reset", vm.uuid, vm.name, "watchdog")
    result = one.job("reset", vm.uuid, vm.name, "panicked")
    assert " OK RUNNING" in result, result
    assert b"sysrq: Trigger a crash" in evidence(lab, result)["serial.txt"]
    one.until("trouble none own-resets 0", 10, at)
    assert " REFUSED " in one.job("reset", vm.uuid, vm.name, "panicked")
    one.until("heartbeat ok", BOOT, at)
    assert len(vm.boots()) == 2


@pytest.mark.drill
def test_a_watchdog_that_only_tells(lab, drive, guest):
    """action=none: the next hypervisord knows it too; action=pause: the guest stands still until it is reset."""
    one = drive()
    vm, other = guest(one, "--watchdog", "none"), guest(one, "--watchdog", "pause")
    at = one.since()
    one.say("watch", ",".join((vm.uuid, other.uuid)), 4, 4)
    _, at = one.until(f"{vm.uuid} heartbeat ok", BOOT, at)
    vm.does("dog")
    _, at = one.until(f"{vm.uuid}.*trouble watchdog", 20, at)
    one.end(kill=True)
    two = drive()
    two.until(f"{vm.uuid}.*trouble watchdog", 20)
    assert " OK RUNNING" in two.job("reset", vm.uuid, vm.name, "watchdog")
    assert " REFUSED RUNNING" in two.job("reset", vm.uuid, vm.name, "watchdog")
    two.say("watch", other.uuid, 4, 4)
    two.until(f"{other.uuid} heartbeat ok", BOOT)
    other.does("dog")
    _, at = two.until(f"{other.uuid}.*trouble watchdog", 20)
    two.until(f"domain {other.name} PAUSED WATCHDOG", 10)
    assert " OK RUNNING" in two.job("reset", other.uuid, other.name, "watchdog")
    two.until(f"{other.uuid} .*trouble none", 20, at)


@pytest.mark.drill
def test_what_its_own_devices_reset_is_counted(lab, drive, guest):
    one = drive()
    vm = guest(one, "--panic", "--watchdog", "reset",
               change=lambda xml: xml.replace("<on_crash>preserve<", "<on_crash>restart<"))
    at = vm.wait_up(one)
    vm.does("dog")
    _, at = one.until("trouble none own-resets 1", 20, at)
    _, at = one.until("heartbeat ok", BOOT, at)
    vm.does("sleep 1; echo c >/proc/sysrq-trigger")
    one.until("trouble none own-resets 2", 40, at)


SMALL = "/srv/small"


def small_disk(xml):
    disk = f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>" \
           f"<source file='{SMALL}/big.img'/><target dev='vdb' bus='virtio'/></disk>"
    return xml.replace("</devices>", f"{disk}</devices>")


@pytest.mark.drill
def test_a_disk_that_is_full(lab, drive, guest):
    """QEMU pauses the guest; it is said which disk; when there is room again that is said, and it goes on."""
    lab.exec("host1", "sh", "-c", f"mkdir -p {SMALL}; mount -t tmpfs -o size=8m small {SMALL};"
             f"truncate -s 64M {SMALL}/big.img; head -c 4M /dev/zero >{SMALL}/ballast")
    one = drive()
    vm = guest(one, change=small_disk)
    at = vm.wait_up(one)
    vm.does("dd if=/dev/zero of=/dev/vdb bs=64k count=96")
    line, at = one.until("trouble no-space", 40, at)
    assert "vdb" in line and "no space left" in line and "storage-back" not in line
    one.listen(12)
    time.sleep(12)
    assert not [line for line in one.lines if "storage-back" in line], "there is no room yet"
    lab.exec("host1", "rm", f"{SMALL}/ballast")
    _, at = one.until("trouble no-space storage-back", 30, at)
    assert " OK RUNNING" in one.job("resume", vm.uuid, vm.name)
    one.until("trouble none", 10, at)
    beats = len(lab.beats(vm.name))
    wait_until(lambda: len(lab.beats(vm.name)) > beats + 2, 30, "it goes on")
    assert len(vm.boots()) == 1
