"""The wall clock of a host jumps, for clusterd and hypervisord (libfaketime; no other clock is touched).

Time namespaces do not have CLOCK_REALTIME, so that a host of the lab cannot have one of its own.
"""

import time
from pathlib import Path

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots, names

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
WRAPPER = f"""#!/bin/sh
export LD_PRELOAD={LIBRARY} FAKETIME_TIMESTAMP_FILE=/run/clock FAKETIME_NO_CACHE=1
export DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
exec /run/lab/build/clusterd/clusterd "$@"
"""

pytestmark = pytest.mark.plain      # libfaketime cannot be loaded before the sanitizers


@pytest.fixture
def steps(lab, cluster):
    """step(host, "+3600"): the wall clock of that host's daemons is so far off from now on."""
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is missing: apt-get install libfaketime")

    def step(host, offset):
        lab.exec(host, "sh", "-c", f"echo {offset} >/run/clock.new && mv /run/clock.new /run/clock")
    for host in lab.hosts:
        step(host, "+0")
        lab.exec(host, "sh", "-c", "cat >/run/lab/clusterd && chmod +x /run/lab/clusterd && "
                 "ln -sf /run/lab/clusterd /run/lab/bin/clusterd", stdin=WRAPPER)
        lab.signal(host, "clusterd", "KILL")
        wait_until(lambda host=host: "libfaketime" in lab.exec(
            host, "sh", "-c", "cat /proc/$(pgrep -x clusterd)/maps", check=False).stdout, 20,
            f"{host}'s clusterd has another clock")
        cluster.host = next(other for other in lab.hosts if other != host)
        cluster.wait_node(host, "online")
    return step


def test_a_step_of_an_hour_either_way_is_nothing(lab, cluster, steps):
    """Nobody is fenced, nothing stops, requests are carried out, and a real loss is recovered from."""
    wanted = names(3)
    add_guests(lab, cluster, wanted, on="host3")
    before = {name: boots(lab, name) for name in wanted}
    off = {host: lab.seen_off(host) for host in lab.hosts}
    for host, offset in (("host3", "+3600"), ("host1", "-3600"), ("host3", "-3600"), ("host2", "+3600")):
        steps(host, offset)
        time.sleep(4)
        assert all(node["state"] == "online" for node in cluster.nodes().values()), cluster.nodes()
    cluster.run("vm", "migrate", "vm01", "--to", "host2", "--wait")
    assert_alive(lab, wanted)
    assert {name: boots(lab, name) for name in wanted} == before
    assert {host: lab.seen_off(host) for host in lab.hosts} == off
    cluster.host = "host1"
    lab.off("host3")
    cluster.wait_running(wanted)
    assert_once(lab, cluster, wanted)
    report = cluster.report()
    assert report["fenced_us"] < 60e6 and all(vm["running_us"] < 120e6 for vm in report["vms"]), report


def test_certificates_are_told_to_end_30_days_before(lab, cluster, steps):
    """As its clock says: a month before the end, and years before the beginning."""
    def warned(*words):
        return any(all(word in w for word in words) for w in cluster.status().get("warnings", []))
    cluster.host = "host1"
    assert not warned("hvcluster pki")
    steps("host3", "+1810d")
    wait_until(lambda: warned("node host3:", "ends on", "hvcluster pki issue host3"), 60,
               "the end of host3's certificate is told")
    assert "to be mended: " in cluster.run("node", "show", "host3").stdout
    steps("host3", "-3650d")
    wait_until(lambda: warned("node host3:", "is this host's clock right?"), 60, "its clock is suspected")
    assert all(node["state"] == "online" for node in cluster.nodes().values())
    steps("host3", "+0")
    wait_until(lambda: not warned("node host3:"), 60, "all is well again")
