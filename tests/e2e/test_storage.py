"""Storage that does not work on one host: a folder of disks hangs, or is gone, there alone."""

import time

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots, names

# A storage of this test's own, so that the guests' logs on the shared folder go on.
EXTRA = "/srv/extra"
DISK = f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>" \
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


def prepare(lab, cluster, wanted, on="host1"):
    for host in lab.hosts:
        mount_extra(lab, host)
    paths = lab.mkguest(*wanted, tiny=True)
    for name, path in zip(wanted, paths):
        lab.exec("host1", "truncate", "-s", "1M", f"{EXTRA}/{name}.img")
        lab.exec("host1", "sed", "-i", f"s|</devices>|{DISK.replace('NAME', name)}</devices>|", path)
    for name, path in zip(wanted, paths):
        cluster.run("vm", "add", path, "--stopped")
        cluster.run("vm", "start", name, "--on", on, "--wait")
    wait_until(lambda: all(lab.beats(name) for name in wanted), 30, "a heartbeat from each guest")


def test_a_storage_that_hangs_on_one_host(lab, cluster):
    """Nobody new comes, nobody is moved, stopped or fenced; hypervisord answers all the time; then it goes on."""
    wanted = names(2)
    prepare(lab, cluster, wanted)
    began = time.monotonic()
    bindfs(lab, "host1", "STOP")
    wait_until(lambda: bad_storage(cluster), 30, "the probe's word")
    print(f"storage that hangs: told after {time.monotonic() - began:.1f} s")
    assert list(bad_storage(cluster)) == ["host1"] and EXTRA in bad_storage(cluster)["host1"][0]
    assert any("cannot be used on host1" in text for text in cluster.status()["warnings"])
    path = lab.mkguest("late", tiny=True)[0]
    lab.exec("host2", "sed", "-i", f"s|</devices>|{DISK.replace('NAME', 'vm01')}</devices>|", path)
    cluster.run("vm", "add", path, "--stopped")
    done = cluster.run("vm", "start", "late", "--on", "host1", check=False)
    assert done.returncode != 0 and EXTRA in done.stdout + done.stderr, done.stdout + done.stderr
    time.sleep(20)
    assert cluster.nodes()["host1"]["hypervisor_ok"], "a probe that hangs holds nobody up"
    assert_once(lab, cluster, wanted)
    assert {vm["node"] for vm in cluster.vms().values() if vm["name"] in wanted} == {"host1"}

    bindfs(lab, "host1", "CONT")
    wait_until(lambda: not bad_storage(cluster), 20, "good again")
    cluster.run("vm", "migrate", "vm01", "--to", "host3", "--wait")
    assert_once(lab, cluster, wanted)
    assert_alive(lab, wanted)
    assert all(len(boots(lab, name)) == 1 for name in wanted), "a guest was restarted"
    assert not any(lab.seen_off(host) for host in lab.hosts)


def test_a_storage_that_is_gone_on_one_host(lab, cluster):
    """It answers with errors: who needs it is told to leave; what cannot stays, whole; nobody is fenced.

    QEMU cannot flush what it has open there, so that its migration fails (doc/limits.md).
    """
    wanted = names(2)
    prepare(lab, cluster, wanted)
    began = time.monotonic()
    bindfs(lab, "host1", "KILL")
    wait_until(lambda: bad_storage(cluster), 20, "the probe's word")
    print(f"storage that is gone: told after {time.monotonic() - began:.1f} s")
    assert list(bad_storage(cluster)) == ["host1"]

    def told_to_leave():
        causes = {event["object"] for event in cluster.json("events")["events"]
                  if "leaves a node where storage" in event["cause"]}
        return causes == {f"vm {name}" for name in wanted}
    wait_until(told_to_leave, 30, "each VM was told to leave")
    wait_until(lambda: all(vm["state"] == "running" for vm in cluster.vms().values()), 60,
               "a moment between two tries, or after them")
    assert EXTRA in cluster.run("vm", "explain", "vm01").stdout + str(bad_storage(cluster))
    assert_alive(lab, wanted)
    assert all(len(boots(lab, name)) == 1 for name in wanted), "a guest was restarted"
    assert not any(lab.seen_off(host) for host in lab.hosts)
