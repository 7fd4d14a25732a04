"""Storage that does not work on one host: a folder of disks hangs, or is gone, there alone."""

import time

from labkit import wait_until
from support import EXTRA, EXTRA_DISK, assert_alive, assert_once, bad_storage, bindfs, boots, guests_on_extra, names

def test_a_storage_that_hangs_on_one_host(lab, cluster):
    """Nobody new comes, nobody is moved, stopped or fenced; hypervisord answers all the time; then it goes on."""
    wanted = names(2)
    guests_on_extra(lab, cluster, wanted)
    began = time.monotonic()
    bindfs(lab, "host1", "STOP")
    wait_until(lambda: bad_storage(cluster), 30, "the probe's word")
    print(f"storage that hangs: told after {time.monotonic() - began:.1f} s")
    assert list(bad_storage(cluster)) == ["host1"] and EXTRA in bad_storage(cluster)["host1"][0]
    assert any("cannot be used on host1" in text for text in cluster.status()["warnings"])
    path = lab.mkguest("late", tiny=True)[0]
    lab.exec("host2", "sed", "-i", f"s|</devices>|{EXTRA_DISK.replace('NAME', 'vm01')}</devices>|", path)
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
    guests_on_extra(lab, cluster, wanted)
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
