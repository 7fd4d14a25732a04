"""A daemon dies or hangs: running VMs are not touched, and nobody is fenced for it."""

import time

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots, names


@pytest.fixture
def guests(lab, cluster):
    wanted = names(3)
    add_guests(lab, cluster, wanted)
    return wanted


def assert_untouched(lab, cluster, guests):
    assert_once(lab, cluster, guests, settle=30)
    assert_alive(lab, guests)
    assert all(len(boots(lab, name)) == 1 for name in guests), "a guest was restarted"
    assert not any(lab.seen_off(host) for host in lab.hosts), "a host was fenced"


def still_works(lab, cluster, host):
    """The host takes part again: a new VM can be moved there."""
    add_guests(lab, cluster, ["probe"])
    if lab.guests()["probe"] != [host]:
        cluster.run("vm", "migrate", "probe", "--to", host, "--wait")
    assert lab.guests()["probe"] == [host]


@pytest.mark.parametrize("host", ["host1", "host2"], ids=["coordinator", "other"])
def test_clusterd_is_killed(lab, cluster, guests, host):
    lab.signal(host, "clusterd")
    wait_until(lambda: cluster.run("status", host=host, check=False).returncode == 0, 30, "an answer")
    cluster.wait_node(host, "online")
    assert_untouched(lab, cluster, guests)
    still_works(lab, cluster, host)


def test_hypervisord_is_killed(lab, cluster, guests):
    lab.signal("host2", "hypervisord")
    time.sleep(1)
    cluster.wait_node("host2", "online")
    wait_until(lambda: cluster.nodes()["host2"]["hypervisor_ok"], 30, "the hypervisor layer back")
    assert_untouched(lab, cluster, guests)
    still_works(lab, cluster, "host2")


def test_libvirtd_is_killed(lab, cluster, guests):
    lab.signal("host2", "libvirtd")
    wait_until(lambda: cluster.nodes()["host2"]["hypervisor_ok"], 30, "the hypervisor layer back")
    assert_untouched(lab, cluster, guests)
    still_works(lab, cluster, "host2")


def test_libvirtd_is_frozen(lab, cluster, guests):
    """Unknown is not dead: its VMs are left alone, new ones go elsewhere, and it recovers."""
    lab.signal("host2", "libvirtd", "STOP")
    wait_until(lambda: not cluster.nodes()["host2"]["hypervisor_ok"], 60, "the freeze is noticed")
    time.sleep(3)
    assert all(len(boots(lab, name)) == 1 for name in guests)
    cluster.add(*lab.mkguest("late", tiny=True))
    cluster.wait_running(["late"])
    assert lab.guests()["late"] != ["host2"]
    lab.signal("host2", "libvirtd", "CONT")
    wait_until(lambda: cluster.nodes()["host2"]["hypervisor_ok"], 60, "the hypervisor layer back")
    assert_untouched(lab, cluster, guests + ["late"])


def test_corosync_is_killed(lab, cluster, guests):
    """Corosync is restarted at once; the host may be fenced for it, its VMs must run all the same."""
    lab.signal("host3", "corosync")
    time.sleep(3)
    wait_until(lambda: cluster.nodes()["host3"]["state"] == "online", 60, "host3 back")
    cluster.wait_running(guests)
    assert_once(lab, cluster, guests, settle=30)


def test_a_damaged_log_store_is_not_believed(lab, cluster, guests):
    """The node says so, takes its state from its peers, and no VM is touched."""
    lab.forbid_restart("host2", "clusterd")
    lab.signal("host2", "clusterd")
    lab.exec("host2", "sh", "-c",
             "for f in /var/lib/hvcluster/*; do [ ! -f $f ] || dd if=/dev/urandom of=$f bs=4096"
             " seek=1 count=4 conv=notrunc; done")
    lab.allow_restart("host2", "clusterd")
    cluster.wait_node("host2", "online")
    wait_until(lambda: cluster.vms(host="host2") == cluster.vms(host="host1"), 30, "the same state")
    assert_untouched(lab, cluster, guests)


@pytest.mark.plain
@pytest.mark.hosts(1)
def test_clusterd_starts_from_its_snapshot(lab, cluster):
    """So many entries that the store holds one; before, only its log was read."""
    entries = 2100
    lab.exec("host1", "sh", "-c", f"for i in $(seq {entries}); do "
             "hvcluster set start_timeout_s $((60 + i % 50)) >/dev/null || exit 1; done", timeout=600)
    lab.signal("host1", "clusterd")
    wait_until(lambda: "installed as of entry" in lab.run("logs", "host1", "clusterd"), 30, "it starts from a snapshot")
    wait_until(lambda: cluster.run("status", check=False).returncode == 0 and
               cluster.status()["active"], 30, "an answer")
    assert "status 139" not in lab.run("logs", "host1", "supervise")
    assert cluster.status()["applied"] and int(cluster.status()["applied"]) > entries
    cluster.wait_node("host1", "online")
