"""Hands on the cluster's VMs that are not the cluster's: virsh from outside, on real hosts."""

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots

VM = ["vm01"]


def virsh(lab, host, *words):
    return lab.exec(host, "virsh", *words, check=False)


def assert_refused(done):
    assert done.returncode != 0 and "belongs to the cluster" in done.stderr, done.stdout + done.stderr


def without_hook(lab):
    """Hosts on which nobody installed it."""
    for host in lab.hosts:
        lab.exec(host, "rm", "/etc/libvirt/hooks/qemu.d/hvcluster")


def test_a_copy_is_refused_where_the_hook_is(lab, cluster):
    """create, define and start, restore, migrate by hand: on the owner and on others."""
    add_guests(lab, cluster, VM, on="host1")
    for host in ("host2", "host3"):
        assert_refused(virsh(lab, host, "create", "/srv/vms/vm01.xml"))
    assert virsh(lab, "host2", "define", "/srv/vms/vm01.xml").returncode == 0
    assert_refused(virsh(lab, "host2", "start", "vm01"))
    # a persistent one is not started by a reboot either, before clusterd knows anything
    virsh(lab, "host2", "autostart", "vm01")
    assert_refused(virsh(lab, "host1", "migrate", "--live", "--p2p", "--tls", "--unsafe", "vm01",
                         "qemu+tls://host3/system"))
    assert_once(lab, cluster, VM)
    assert_alive(lab, VM)
    assert len(boots(lab, "vm01")) == 1

    cluster.run("vm", "stop", "vm01", "--force", "--wait")
    assert_refused(virsh(lab, "host1", "create", "/srv/vms/vm01.xml"))
    assert lab.guests() == {}
    # what the cluster does itself goes through, also right after a refusal
    cluster.run("vm", "start", "vm01", "--on", "host3", "--wait")
    cluster.run("vm", "migrate", "vm01", "--to", "host2", "--wait")
    assert_once(lab, cluster, VM)


def test_others_vms_and_hands_off_are_let_through(lab, cluster):
    add_guests(lab, cluster, VM, on="host1")
    paths = lab.mkguest("private", tiny=True)
    assert virsh(lab, "host2", "create", *paths).returncode == 0
    virsh(lab, "host2", "destroy", "private")
    cluster.run("disarm", "--ignore")
    assert virsh(lab, "host1", "destroy", "vm01").returncode == 0
    wait_until(lambda: virsh(lab, "host2", "create", "/srv/vms/vm01.xml").returncode == 0, 10,
               "the hook knows that hands are at work")
    cluster.run("arm")
    assert_once(lab, cluster, VM, settle=20)
    assert cluster.vms()["vm01"]["node"] == "host2"


def test_destroyed_from_outside(lab, cluster):
    """It is meant to run: it runs again, once."""
    add_guests(lab, cluster, VM, on="host1")
    virsh(lab, "host1", "destroy", "vm01")
    wait_until(lambda: len(boots(lab, "vm01")) == 2, 30, "it was started again")
    assert_once(lab, cluster, VM)
    assert any("not by the cluster" in event["cause"]
               for event in cluster.json("events")["events"])
    assert not any(lab.seen_off(host) for host in lab.hosts)


def test_migrated_from_outside_where_nobody_refuses_it(lab, cluster):
    """The cluster takes the arriving copy away, or follows when it comes too late for that."""
    add_guests(lab, cluster, VM, on="host1")
    without_hook(lab)
    done = virsh(lab, "host1", "migrate", "--live", "--p2p", "--tls", "--unsafe",
                 "--tls-destination", "host3", "vm01", "qemu+tls://host3/system")
    where = "host3" if done.returncode == 0 else "host1"
    wait_until(lambda: cluster.vms()["vm01"]["node"] == where and
               cluster.vms()["vm01"]["state"] == "running", 30, f"the cluster knows it on {where}")
    assert_once(lab, cluster, VM, settle=20)
    assert_alive(lab, VM)
    assert len(boots(lab, "vm01")) == 1
    assert not any(lab.seen_off(host) for host in lab.hosts)


def test_a_second_copy_where_nobody_refuses_it(lab, cluster):
    """A duplicate UUID: the copy that the cluster did not start is destroyed, its own one is not touched."""
    add_guests(lab, cluster, VM, on="host1")
    without_hook(lab)
    # QEMU's own lock on the disk would hide it; a copy without disks meets nothing
    lab.exec("host2", "sh", "-c",
             "sed '/<disk/,/<\\/disk>/d; /<serial/,/<\\/serial>/d' /srv/vms/vm01.xml >/root/copy.xml")
    assert virsh(lab, "host2", "create", "/root/copy.xml").returncode == 0

    def told():
        return [event for event in cluster.json("events")["events"]
                if event["object"] == "vm vm01" and event["to"] == "destroying"]
    wait_until(told, 20, "an event says that a copy is destroyed")
    assert told()[-1]["severity"] in ("warning", "error") and "host2" in told()[-1]["cause"]
    wait_until(lambda: lab.guests() == {"vm01": ["host1"]}, 30, "one copy is left")
    assert_once(lab, cluster, VM)
    assert len(boots(lab, "vm01")) == 1
    assert not any(lab.seen_off(host) for host in lab.hosts)


@pytest.mark.hosts(2)
def test_the_hook_holds_before_clusterd_is_up(lab, cluster):
    """The list of the cluster's VMs is on the host's disk."""
    add_guests(lab, cluster, VM, on="host1")
    lab.forbid_restart("host2", "clusterd")
    lab.signal("host2", "clusterd")
    assert_refused(virsh(lab, "host2", "create", "/srv/vms/vm01.xml"))
    lab.off("host2")
    lab.on("host2")
    wait_until(lambda: virsh(lab, "host2", "list").returncode == 0, 20, "libvirtd on host2")
    assert_refused(virsh(lab, "host2", "create", "/srv/vms/vm01.xml"))
    assert_once(lab, cluster, VM)
