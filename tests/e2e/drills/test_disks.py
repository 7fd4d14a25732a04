"""Storage that does not work on one host (the helpers are tests/e2e/test_storage.py's)."""

import time

from labkit import wait_until
from support import bad_storage, bindfs, guests_on_extra, mount_extra, names


def prepare(drill, vms, on="host1"):
    drill.running(*vms)
    guests_on_extra(drill.lab, drill.cluster, vms, on=on)
    drill.mark()


def test_a_storage_hangs_on_one_host(drill):
    """a storage hangs for 40 s on one host with VMs on it: nobody is moved, stopped or fenced"""
    vms = names(2)
    prepare(drill, vms)
    bindfs(drill.lab, "host1", "STOP")
    wait_until(lambda: bad_storage(drill.cluster), 30, "the probe's word")
    time.sleep(30)
    bindfs(drill.lab, "host1", "CONT")
    wait_until(lambda: not bad_storage(drill.cluster), 30, "good again")
    drill.speak(vms)
    drill.untouched(vms)


def test_a_storage_is_gone_on_one_host(drill):
    """a storage answers with errors on one host with VMs on it: they are told to leave, run on, nobody is fenced"""
    vms = names(2)
    prepare(drill, vms)
    bindfs(drill.lab, "host1", "KILL")
    wait_until(lambda: bad_storage(drill.cluster), 30, "the probe's word")
    time.sleep(15)
    drill.speak(vms)
    drill.untouched(vms)


def test_power_cut_while_a_storage_hangs_elsewhere(drill):
    """a storage hangs on one host, power cut of the host with the VMs: they start where it works"""
    vms = names(2)
    prepare(drill, vms)
    bindfs(drill.lab, "host2", "STOP")
    wait_until(lambda: bad_storage(drill.cluster), 30, "the probe's word")
    drill.cut("host1")
    drill.speak(vms, elsewhere_than=["host1", "host2"])
    bindfs(drill.lab, "host2", "CONT")


def test_the_host_with_a_hanging_storage_loses_its_power(drill):
    """a storage hangs on the host with the VMs, which then loses its power, and comes back"""
    vms = names(2)
    prepare(drill, vms)
    bindfs(drill.lab, "host1", "STOP")
    wait_until(lambda: bad_storage(drill.cluster), 30, "the probe's word")
    drill.cut("host1")
    drill.speak(vms, elsewhere_than=["host1"])
    drill.on("host1")
    mount_extra(drill.lab, "host1")
