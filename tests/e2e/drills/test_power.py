"""Power: cut where it hurts, and given back."""

import time

import pytest

from labkit import wait_until


@pytest.mark.telling
def test_a_host_with_vms_loses_its_power(drill):
    """power cut of a host with four VMs, and back"""
    vms = drill.guests(4, on="host3")
    drill.cut("host3")
    drill.speak(vms, elsewhere_than=["host3"])
    drill.lab.on("host3")
    drill.cluster.wait_node("host3", "online")


@pytest.mark.telling
def test_the_coordinator_loses_its_power(drill):
    """power cut of the coordinator with two VMs, and back"""
    vms = drill.guests(2, on="host1")
    assert drill.cluster.status()["coordinator"] == "host1"
    drill.cut("host1")
    drill.speak(vms, elsewhere_than=["host1"])
    assert drill.cluster.status()["coordinator"] == "host2"
    drill.lab.on("host1")
    drill.cluster.wait_node("host1", "online")
