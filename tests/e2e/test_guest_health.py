"""Guests that hang, panic or run out of disk, in a cluster that was told to look after them.

Real guests with QEMU's own agent. One host will do: a guest is reset where it is. What hypervisord alone says and
does, second by second, is in test_guest_watch.py.
"""

import subprocess
import time

import pytest

import image
from labkit import Cluster, LabError, lineage, wait_until

BOOT = 240      # seconds that a guest may take to boot and its agent to answer, on a busy machine
QUICK = ("heartbeat_s=10", "heartbeat_idle_s=10", "heartbeat_uptime_s=0")
EVIDENCE = "/var/lib/hvcluster/evidence"

pytestmark = pytest.mark.hosts(1)


@pytest.fixture
def cluster(lab):
    return Cluster(lab)


def boots(lab, name):
    return lineage(lab.beats(name))


def words(lab, name):
    return (lab.shared / f"{name}.log").read_text(errors="replace")


def guest_of(cluster, name):
    """What `vm show` says of its guest."""
    return cluster.json("vm", "show", name)


def agent_answers(lab, name):
    return lab.exec("host1", "virsh", "-q", "qemu-agent-command", "--timeout", 5, name,
                    '{"execute":"guest-ping"}', check=False).returncode == 0


def add(lab, cluster, name, attributes, options=(), change=None):
    """A guest that is looked after; its agent answers, and the cluster has heard so."""
    [path] = lab.mkguest(name, options=("--agent", *options))
    if change:
        file = lab.shared / f"{name}.xml"
        file.write_text(change(file.read_text()))
    cluster.run("vm", "add", path)
    cluster.run("vm", "set", name, *attributes)


def wait_up(lab, cluster, *names):
    cluster.wait_running(names, timeout=BOOT)
    wait_until(lambda: all(agent_answers(lab, name) for name in names), BOOT, "their agents")


def evidence(lab, name):
    """The folders of evidence of a VM, oldest first: [{file: bytes}]"""
    done = lab.exec("host1", "ls", EVIDENCE, check=False)
    folders = sorted(f for f in done.stdout.split() if f.startswith(name + "-"))
    return [{file: read(lab, f"{EVIDENCE}/{folder}/{file}")
             for file in lab.exec("host1", "ls", f"{EVIDENCE}/{folder}").stdout.split()} for folder in folders]


def read(lab, path):
    return subprocess.run(lab.command("host1", "cat", path), env=lab._env, capture_output=True,
                          check=True).stdout


def events(cluster, name):
    return [event for event in cluster.json("events")["events"] if event["object"] == f"vm {name}"]


def test_a_hung_guest_is_reset_once_and_one_without_agent_is_not(lab, cluster):
    add(lab, cluster, "hung", QUICK)
    add(lab, cluster, "mute", QUICK)
    wait_up(lab, cluster, "hung", "mute")
    time.sleep(12)      # each was asked, and has answered: only then is silence a loss
    lab.in_guest("host1", "mute", "killall -9 qemu-ga")
    lab.in_guest("host1", "hung", "touch /hang")
    wait_until(lambda: "last words" in words(lab, "hung"), 30, "its last words")
    began = time.monotonic()
    wait_until(lambda: len(evidence(lab, "hung")) == 1, 120, "it is reset")
    print(f"hung guest: evidence after {time.monotonic() - began:.1f} s")
    wait_until(lambda: len(boots(lab, "hung")) == 2, BOOT, "its second boot")
    wait_up(lab, cluster, "hung")

    [kept] = evidence(lab, "hung")
    width, height, colours = image.look(kept["screen.png"])
    assert width >= 640 and height >= 400 and colours > 1
    assert f"last words of boot {boots(lab, 'hung')[0].name}" in kept["serial.txt"].decode()
    assert any(EVIDENCE in str(event) for event in events(cluster, "hung")), events(cluster, "hung")
    time.sleep(25)
    assert len(boots(lab, "hung")) == 2, "once"
    assert len(boots(lab, "mute")) == 1 and not evidence(lab, "mute"), "it works: it wrote to its disk all the time"


def test_attributes_want_their_devices(lab, cluster):
    [path] = lab.mkguest("bare")
    cluster.run("vm", "add", path, "--stopped")
    for attribute, element in (("heartbeat_s=30", "<channel type='unix'>"), ("guest_panic=reset", "<panic model="),
                               ("guest_watchdog=reset", "<watchdog model=")):
        done = cluster.run("vm", "set", "bare", attribute, check=False)
        assert done.returncode != 0 and element in done.stdout + done.stderr, done.stdout + done.stderr


SMALL = "/srv/small"


def small_disk(xml):
    disk = f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>" \
           f"<source file='{SMALL}/big.img'/><target dev='vdb' bus='virtio'/></disk>"
    return xml.replace("</devices>", f"{disk}</devices>")


def test_a_panic_is_reset_and_a_full_disk_waited_for(lab, cluster):
    lab.exec("host1", "sh", "-c", f"mkdir -p {SMALL}; mount -t tmpfs -o size=8m small {SMALL};"
             f"truncate -s 64M {SMALL}/big.img; head -c 4M /dev/zero >{SMALL}/ballast")
    add(lab, cluster, "panic", ("guest_panic=reset",), options=("--panic",))
    add(lab, cluster, "full", ("io_error=resume",), change=small_disk)
    wait_up(lab, cluster, "panic", "full")
    lab.in_guest("host1", "full", "dd if=/dev/zero of=/dev/vdb bs=64k count=96")
    lab.in_guest("host1", "panic", "sleep 1; echo c >/proc/sysrq-trigger")
    wait_until(lambda: "no space left" in cluster.run("status").stdout, 60, "the full disk in status")
    assert "vdb" in cluster.run("vm", "explain", "full").stdout
    wait_until(lambda: len(evidence(lab, "panic")) == 1, 60, "the panicked guest is reset")
    assert b"sysrq: Trigger a crash" in evidence(lab, "panic")[0]["serial.txt"]
    time.sleep(5)
    assert cluster.vms()["full"]["state"] == "paused"
    lab.exec("host1", "rm", f"{SMALL}/ballast")
    wait_until(lambda: cluster.vms()["full"]["state"] == "running", 60, "it goes on by itself")
    wait_until(lambda: len(boots(lab, "panic")) == 2, BOOT, "the panicked guest's second boot")
    cluster.wait_running(["panic", "full"])
    assert len(boots(lab, "full")) == 1
    assert "no space left" not in cluster.run("status").stdout


@pytest.mark.drill
def test_a_guest_that_hangs_again_and_again_is_left_alone(lab, cluster):
    add(lab, cluster, "panic", ("guest_panic=reset", "reset_limit=2"), options=("--panic",))
    for boot in (1, 2, 3):
        wait_until(lambda boot=boot: len(boots(lab, "panic")) == boot, BOOT, f"boot {boot}")
        wait_up(lab, cluster, "panic")
        lab.in_guest("host1", "panic", "sleep 1; echo c >/proc/sysrq-trigger")
        wait_until(lambda: "sysrq: Trigger a crash" in words(lab, "panic"), 30, "the panic")
    time.sleep(30)
    assert len(evidence(lab, "panic")) == 2 and len(boots(lab, "panic")) == 3
    assert "panic" in cluster.run("status").stdout
    cluster.run("vm", "reset", "panic", "--wait")
    wait_until(lambda: len(boots(lab, "panic")) == 4, BOOT, "an administrator's reset counts anew")


@pytest.mark.drill
def test_a_libvirtd_that_hangs_resets_nobody(lab, cluster):
    add(lab, cluster, "quiet", QUICK)
    wait_up(lab, cluster, "quiet")
    time.sleep(12)
    lab.in_guest("host1", "quiet", "touch /quiet")
    lab.signal("host1", "libvirtd", "STOP")
    try:
        wait_until(lambda: not cluster.nodes()["host1"]["hypervisor_ok"], 30, "libvirtd hangs")
        time.sleep(40)
    finally:
        lab.signal("host1", "libvirtd", "CONT")
    wait_until(lambda: cluster.nodes()["host1"]["hypervisor_ok"], 30, "libvirtd answers")
    time.sleep(25)
    assert len(boots(lab, "quiet")) == 1 and not evidence(lab, "quiet")
    assert cluster.vms()["quiet"]["state"] == "running"


@pytest.mark.drill
def test_hypervisord_dies_while_a_guest_is_reset(lab, cluster):
    """Whenever it dies: the guest is reset, and boots no more often than it must."""
    add(lab, cluster, "panic", ("guest_panic=reset", "reset_limit=10"), options=("--panic",))
    for boot, delay in enumerate((1.05, 1.3, 1.8), 1):
        wait_until(lambda boot=boot: len(boots(lab, "panic")) >= boot, BOOT, f"boot {boot}")
        wait_up(lab, cluster, "panic")
        before = len(boots(lab, "panic"))
        lab.in_guest("host1", "panic", "sleep 1; echo c >/proc/sysrq-trigger")
        time.sleep(delay)
        lab.signal("host1", "hypervisord")
        wait_until(lambda before=before: len(boots(lab, "panic")) > before, BOOT, "it boots again")
        time.sleep(5)
        assert len(boots(lab, "panic")) == before + 1
    cluster.wait_running(["panic"])


@pytest.mark.drill
def test_a_watchdog_that_fires(lab, cluster):
    """Told to do nothing: the cluster resets. Told to reset: QEMU does, which is an event, and no more."""
    add(lab, cluster, "told", ("guest_watchdog=reset",), options=("--watchdog", "none"))
    add(lab, cluster, "self", ("heartbeat_s=0",), options=("--watchdog", "reset"))
    wait_up(lab, cluster, "told", "self")
    for name in ("told", "self"):
        lab.in_guest("host1", name, "dog")
    wait_until(lambda: len(evidence(lab, "told")) == 1, 60, "the cluster resets it")
    for name in ("told", "self"):
        wait_until(lambda name=name: len(boots(lab, name)) == 2, BOOT, f"the second boot of {name}")
    assert not evidence(lab, "self"), "QEMU was faster"
    wait_until(lambda: any("reset" in str(event) for event in events(cluster, "self")), 10, "it is an event")
    with pytest.raises(LabError):
        cluster.run("vm", "set", "self", "guest_watchdog=reset")
