"""Daemons that die, stand still, or cannot write: running VMs are not touched, and nobody is fenced but where the
host's own clusterd stays silent for longer than its grace (manager_grace_ms, 10 s)."""

import time

import pytest

from labkit import wait_until

ROLES = pytest.mark.parametrize("host", ["host1", "host2"], ids=["coordinator", "other"])


def settle(drill, vms):
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms)


@pytest.mark.telling
def test_clusterd_is_killed_on_all_hosts_at_once(drill):
    """kill -9 of clusterd on all three hosts at once"""
    vms = drill.guests(3)
    for host in drill.lab.hosts:
        drill.signal(host, "clusterd")
    settle(drill, vms)


@ROLES
def test_clusterd_is_killed_five_times(drill, host):
    """kill -9 of clusterd, five times with a second between"""
    vms = drill.guests(3, on=host)
    for _ in range(5):
        drill.lab.exec(host, "pkill", "-KILL", "-x", "clusterd", check=False)   # it may be dead just now
        time.sleep(1)
    settle(drill, vms)


@ROLES
@pytest.mark.parametrize("seconds", [1, 5])
def test_clusterd_stands_still(drill, host, seconds):
    """clusterd is stopped for less than its grace: nothing happens to its VMs"""
    vms = drill.guests(3, on=host)
    other = "host3"
    drill.cluster.host = other
    assert drill.stand_still(host, "clusterd", seconds)
    settle(drill, vms)


@ROLES
def test_clusterd_stands_still_for_a_minute(drill, host):
    """clusterd is stopped for 60 s: its host is fenced after the grace, once, and its VMs start elsewhere"""
    vms = drill.guests(3, on=host)
    drill.cluster.host = "host3"
    drill.must_fence(host)
    assert not drill.stand_still(host, "clusterd", 60)
    drill.speak(vms, elsewhere_than=[host])


def test_clusterd_of_an_empty_host_stands_still_for_a_minute(drill):
    """clusterd of a host without VMs is stopped for 60 s: nothing depends on it, nobody is fenced"""
    vms = drill.guests(2, on="host1")
    assert drill.stand_still("host3", "clusterd", 60)
    settle(drill, vms)


def test_clusterd_stays_dead(drill):
    """clusterd is killed and not started again: its host is fenced after the grace"""
    vms = drill.guests(2, on="host3")
    drill.must_fence("host3")
    drill.lab.forbid_restart("host3", "clusterd")
    drill.signal("host3", "clusterd")
    drill.speak(vms, elsewhere_than=["host3"])


@pytest.mark.telling
def test_everything_but_the_vms_is_killed(drill):
    """kill -9 of clusterd, hypervisord and libvirtd on all hosts, three times"""
    vms = drill.guests(4)
    for _ in range(3):
        for host in drill.lab.hosts:
            drill.lab.exec(host, "pkill", "-KILL", "-x", "clusterd|hypervisord|libvirtd", check=False)
        time.sleep(2)
    settle(drill, vms)


def test_hypervisord_stands_still(drill):
    """hypervisord is stopped for 25 s on a host with VMs: unknown is not dead"""
    vms = drill.guests(3, on="host2")
    drill.stand_still("host2", "hypervisord", 25)
    settle(drill, vms)


def test_hypervisord_is_killed_again_and_again(drill):
    """kill -9 of hypervisord, eight times, while VMs are started and stopped there"""
    vms = drill.guests(3, on="host2")
    for turn in range(8):
        drill.cluster.run("vm", ("stop", "start")[turn % 2], vms[2], "--wait" if turn % 2 else "--force", check=False)
        drill.lab.exec("host2", "pkill", "-KILL", "-x", "hypervisord", check=False)
        time.sleep(1)
    drill.cluster.run("vm", "start", vms[2], check=False)
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms[:2])


def test_libvirtd_stands_still(drill):
    """libvirtd is stopped for 30 s on a host with VMs: they are left alone, a new one goes elsewhere"""
    vms = drill.guests(3, on="host2")
    drill.signal("host2", "libvirtd", "STOP")
    wait_until(lambda: not drill.cluster.nodes()["host2"]["hypervisor_ok"], 60, "the freeze is noticed")
    [late] = drill.guests(1, stem="late", linux=0)
    assert drill.where(late) != ["host2"]
    time.sleep(15)
    drill.signal("host2", "libvirtd", "CONT")
    settle(drill, vms + [late])


def test_a_vm_dies_behind_a_libvirtd_that_stands_still(drill):
    """libvirtd is stopped, a QEMU there is killed meanwhile: it is started again, once, when that is certain"""
    vms = drill.guests(2, on="host2")
    drill.signal("host2", "libvirtd", "STOP")
    drill.lab.exec("host2", "pkill", "-KILL", "-f", f"guest={vms[0]},")
    time.sleep(20)
    drill.signal("host2", "libvirtd", "CONT")
    drill.all_online()
    drill.speak(vms)
    drill.untouched(vms[1:])


def test_libvirtd_is_killed_under_load(drill):
    """kill -9 of libvirtd on both hosts that start ten VMs, three times meanwhile"""
    vms = drill.guests(10, on="host3", linux=0)
    drill.cut("host3")
    for _ in range(3):
        time.sleep(1.5)
        for host in ("host1", "host2"):
            drill.lab.exec(host, "pkill", "-KILL", "-x", "libvirtd", check=False)
    drill.speak(vms, elsewhere_than=["host3"])


def test_corosync_is_killed(drill):
    """kill -9 of corosync on a host with VMs: it may be fenced for it, its VMs run once all the same"""
    vms = drill.guests(3, on="host3")
    drill.may_fence("host3")
    drill.signal("host3", "corosync")
    time.sleep(5)
    drill.speak(vms)
    drill.all_online()


def test_corosync_stands_still_for_a_second(drill):
    """corosync is stopped for 1 s on a host with VMs, below the token and consensus: nobody notices"""
    vms = drill.guests(3, on="host3")
    assert drill.stand_still("host3", "corosync", 1)
    time.sleep(5)
    settle(drill, vms)


# --- the disk under clusterd's log

STATE = "/var/lib/hvcluster"


def small_disk(drill, host):
    """clusterd's folder lies on a disk of its own, of 16 MiB."""
    drill.lab.forbid_restart(host, "clusterd")
    drill.signal(host, "clusterd")
    drill.lab.exec(host, "sh", "-ec", f"mkdir -p /run/small; mount -t tmpfs -o size=16m,mode=0700 small /run/small;"
                                      f"cp -a {STATE}/. /run/small/; mount --bind /run/small {STATE}")
    drill.lab.allow_restart(host, "clusterd")
    drill.all_online()


def write_something(drill, count=3):
    for value in range(count):
        drill.cluster.run("set", "restart_window_s", str(601 + value), timeout=30)


def test_clusterds_disk_is_full(drill):
    """the disk under clusterd's log is full on one host: the others go on; freed, it is back"""
    vms = drill.guests(2, on="host1") + drill.guests(1, on="host2", stem="b", linux=0)
    small_disk(drill, "host3")
    drill.lab.exec("host3", "sh", "-c", f"dd if=/dev/zero of={STATE}/fill bs=64k; true", check=False)
    write_something(drill)
    time.sleep(5)
    write_something(drill)
    assert "restart clusterd" in drill.lab.run("logs", "host3", "clusterd"), "the next step is said"
    drill.lab.exec("host3", "rm", f"{STATE}/fill")
    drill.signal("host3", "clusterd")
    settle(drill, vms)


def test_clusterds_disk_is_full_where_vms_run(drill):
    """the disk under clusterd's log is full on the coordinator, which has VMs: they leave it live, it is not fenced"""
    vms = drill.guests(3, on="host1")
    small_disk(drill, "host1")
    drill.lab.exec("host1", "sh", "-c", f"dd if=/dev/zero of={STATE}/fill bs=64k; true", check=False)
    write_something(drill)
    drill.speak(vms, elsewhere_than=["host1"])
    drill.untouched(vms)
    refused = drill.cluster.run("vm", "migrate", vms[0], "--to", "host1", check=False)
    assert refused.returncode and "log" in refused.stderr, f"{refused}"
    assert "DOES NOT TAKE THE CLUSTER'S LOG" in drill.cluster.run("status").stdout, "status says so"
    write_something(drill)
    drill.lab.exec("host1", "rm", "-f", f"{STATE}/fill")
    drill.signal("host1", "clusterd")
    drill.all_online()
    settle(drill, vms)


def fuse_disk(drill, host):
    """clusterd's folder lies on a disk that can fail, or hang."""
    drill.lab.forbid_restart(host, "clusterd")
    drill.signal(host, "clusterd")
    drill.lab.exec(host, "sh", "-ec", f"mkdir -p /run/real; mount --bind {STATE} /run/real")
    drill.lab.start(host, "bindfs", "-f", "-o", "nonempty", "/run/real", STATE)
    wait_until(lambda: "fuse" in drill.lab.exec(host, "findmnt", "-no", "FSTYPE", STATE, check=False).stdout, 10,
               "the disk is mounted")
    drill.lab.allow_restart(host, "clusterd")
    drill.all_online()


def test_clusterds_disk_fails(drill):
    """the disk under clusterd's log answers with errors on a host with VMs: they leave it live, it is not fenced"""
    vms = drill.guests(3, on="host2")
    fuse_disk(drill, "host2")
    drill.signal("host2", "bindfs")
    write_something(drill)
    drill.speak(vms, elsewhere_than=["host2"])
    drill.untouched(vms)
    write_something(drill)


def test_clusterds_disk_hangs_for_five_seconds(drill):
    """the disk under clusterd's log does not answer for 5 s on a host with VMs: they are not touched"""
    vms = drill.guests(3, on="host2")
    fuse_disk(drill, "host2")
    drill.signal("host2", "bindfs", "STOP")
    write_something(drill)
    time.sleep(5)
    drill.signal("host2", "bindfs", "CONT")
    settle(drill, vms)
