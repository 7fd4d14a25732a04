"""What several end-to-end tests need: filling a host with guests, and judging where they run."""

import os
import time

from labkit import LabError, lineage, wait_until


def names(count, stem="vm"):
    return [f"{stem}{i:02}" for i in range(1, count + 1)]


def add_guests(lab, cluster, wanted, on=None, **kinds):
    """Adds small guests and waits until each runs and has spoken; all on one host if `on` is given."""
    others = [host for host in lab.hosts if on and host != on]
    for host in others:
        cluster.run("node", "drain", host, "--wait")
    cluster.add(*lab.mkguest(*wanted, tiny=kinds.pop("tiny", True), **kinds))
    cluster.wait_running(wanted)
    for host in others:
        cluster.run("node", "resume", host)
    wait_until(lambda: all(lab.beats(name) for name in wanted), 30, "a heartbeat from each guest")


def assert_once(lab, cluster, wanted, settle=10):
    """Each guest runs exactly once, where the cluster says it does, and never ran twice."""
    def agreed():
        real = lab.guests()
        return all(real.get(name) == [vm["node"]] and vm["state"] == "running"
                   for name, vm in ((name, cluster.vms()[name]) for name in wanted))
    try:
        wait_until(agreed, settle, "the cluster's word and the kernel's agree")
    except LabError as error:
        raise AssertionError(f"{error}\ncluster: {cluster.vms()}\nkernel: {lab.guests()}") from None
    for name in wanted:
        lineage(lab.beats(name))


def boots(lab, name):
    """The names of a guest's boots, oldest first."""
    return [boot.name for boot in lineage(lab.beats(name))]


def assert_alive(lab, wanted, timeout=15):
    """Each guest goes on talking."""
    before = {name: len(lab.beats(name)) for name in wanted}
    wait_until(lambda: all(len(lab.beats(name)) >= before[name] + 2 for name in wanted), timeout,
               "two more heartbeats from each guest")


def assert_proof_before_starts(report, victim):
    """By the cluster's own account."""
    assert report["victim"] == victim
    assert report["fenced_us"] is not None
    for vm in report["vms"]:
        assert vm["began_us"] >= report["fenced_us"], vm


def started_at(pid):
    """When a process was started, in seconds since 1970, to about 20 ms."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/uptime", encoding="ascii") as file:
        uptime = float(file.read().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def qemu_starts(lab):
    """{name: when its QEMU was started}"""
    found = {}
    for line in lab.run("guests").splitlines():
        _, name, pid = line.split()
        found[name] = started_at(pid)
    return found


# A storage of a test's own, so that the guests' logs on the shared folder go on.
EXTRA = "/srv/extra"
EXTRA_DISK = f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>" \
       f"<source file='{EXTRA}/NAME.img'/><target dev='vdz' bus='virtio'/></disk>"


def mount_extra(lab, host):
    """The same folder on each host, by a FUSE process of that host, which can be stopped."""
    lab.exec(host, "mkdir", "-p", "/srv/vms/extra", EXTRA)
    lab.start(host, "bindfs", "-f", "-o", "subtype=glusterfs,direct_io,nonempty", "/srv/vms/extra", EXTRA)
    wait_until(lambda: lab.exec(host, "mountpoint", "-q", EXTRA, check=False).returncode == 0, 10,
               f"{EXTRA} on {host}")


def bindfs(lab, host, signal):
    lab.exec(host, "pkill", f"-{signal}", "-x", "bindfs")


def bad_storage(cluster):
    return {name: node.get("bad_storage", []) for name, node in cluster.nodes().items()
            if node.get("bad_storage")}


def guests_on_extra(lab, cluster, wanted, on="host1"):
    for host in lab.hosts:
        mount_extra(lab, host)
    paths = lab.mkguest(*wanted, tiny=True)
    for name, path in zip(wanted, paths):
        lab.exec("host1", "truncate", "-s", "1M", f"{EXTRA}/{name}.img")
        lab.exec("host1", "sed", "-i", f"s|</devices>|{EXTRA_DISK.replace('NAME', name)}</devices>|", path)
    for name, path in zip(wanted, paths):
        cluster.run("vm", "add", path, "--stopped")
        cluster.run("vm", "start", name, "--on", on, "--wait")
    wait_until(lambda: all(lab.beats(name) for name in wanted), 30, "a heartbeat from each guest")
