"""Fencing with real agents of fence-agents beside fence_ipmilan: one device for several hosts, unfencing."""

import pytest

from labkit import Cluster, wait_until
from support import add_guests, assert_once, names

def devices(cluster):
    return {d["node"]: d for d in cluster.json("fence", "list")["devices"] if d["device"] == "sbd"}


@pytest.mark.sbd
def test_one_lun_is_the_device_of_all_hosts(lab):
    """--map: added to all, each on its own plug; told `on` by each host itself before it gets VMs."""
    cluster = Cluster(lab)
    refused = cluster.run("fence", "add", "sbd", "--map", "host1=host1,nosuch=host2", "--agent", "fence_sbd",
                          "-o", "devices=/dev/lun1", check=False)
    assert refused.returncode and "nosuch" in refused.stderr and not devices(cluster)
    cluster.run("fence", "add", "sbd", "--map", "host1=host1,host2=host2,host3=host3", "--agent", "fence_sbd",
                "-o", "devices=/dev/lun1", "--unfence")
    found = devices(cluster)
    assert {host: [o["value"] for o in d["options"] if o["key"] == "plug"] for host, d in found.items()} == \
        {host: [host] for host in lab.hosts}
    assert all(d["shared"] for d in found.values())
    wait_until(lambda: cluster.status()["fence_able"] == 3, 60, "every slot has answered its test")
    wait_until(lambda: all(d["unfenced"] for d in devices(cluster).values()), 60, "every host is unfenced")
    wanted = names(1)
    add_guests(lab, cluster, wanted, on="host3")
    lab.run("cut", "host3")
    wait_until(lambda: lab.guests().get("vm01", ["host3"]) != ["host3"], 90, "vm01 elsewhere")
    cluster.wait_running(wanted)
    assert not devices(cluster)["host3"].get("unfenced")
    lab.run("join", "host3")
    cluster.wait_node("host3", "online")
    wait_until(lambda: devices(cluster)["host3"].get("unfenced"), 60, "host3 is unfenced again")
    assert_once(lab, cluster, wanted)
