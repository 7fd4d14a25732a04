"""What the cluster costs: the figures the README promises, measured on an ordinary build."""

import os
import time

import pytest

from labkit import wait_until
from support import add_guests, names

pytestmark = [pytest.mark.timing]


def test_our_own_share_of_a_failover(lab, cluster):
    add_guests(lab, cluster, names(10), on="host3")
    lab.off("host3")
    wait_until(lambda: set(lab.guests()) == set(names(10)), 60, "ten QEMUs elsewhere")
    cluster.wait_running(names(10))
    report = cluster.report()
    print(f"own share: first VM {report['own_first_us'] / 1000:.1f} ms, "
          f"last {report['own_last_us'] / 1000:.1f} ms")
    assert report["own_first_us"] < 150_000


def processes(lab, host, program):
    out = lab.exec(host, "pgrep", "-x", program[:15]).stdout
    return [int(pid) for pid in out.split()]


def cpu_and_memory(lab, host):
    """Seconds of CPU used so far, and MiB resident, of our daemons on a host."""
    seconds = mib = 0.0
    for program in ("clusterd", "hypervisord"):
        for pid in processes(lab, host, program):
            stat = lab.exec(host, "cat", f"/proc/{pid}/stat").stdout.rsplit(")", 1)[1].split()
            seconds += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            mib += int(stat[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return seconds, mib


def test_idle_and_status_at_a_hundred_vms(lab, cluster):
    """A hundred VMs, of which ten run: what is not running costs as much to know."""
    wanted = names(100)
    paths = lab.mkguest(*wanted, tiny=True)
    for path in paths[10:]:
        cluster.run("vm", "add", path, "--stopped")
    cluster.add(*paths[:10])
    cluster.wait_running(wanted[:10])
    time.sleep(3)

    before = {host: cpu_and_memory(lab, host) for host in lab.hosts}
    time.sleep(10)
    for host in lab.hosts:
        used, mib = cpu_and_memory(lab, host)
        percent = (used - before[host][0]) * 10
        print(f"{host}: {percent:.2f} % of a core, {mib:.1f} MiB resident")
        assert percent < 1.0
        assert mib < 40

    script = "import subprocess, time\nbest = 9\nfor i in range(20):\n t = time.monotonic()\n" \
             " subprocess.run(['hvcluster', 'status'], stdout=subprocess.DEVNULL, check=True)\n" \
             " best = min(best, time.monotonic() - t)\nprint(best * 1000)"
    best = float(lab.exec("host1", "/usr/bin/python3", "-c", script).stdout)
    print(f"hvcluster status: {best:.1f} ms from start to exit")
    assert best < 20
