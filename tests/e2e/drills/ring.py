"""What drills about rings and votes ask: does a host work, are all one cluster again, who took its corosync down."""

from labkit import wait_until


def commits(lab, host, value):
    """Does a change get committed there, within two seconds?"""
    return lab.exec(host, "timeout", "2", "hvcluster", "set", "restart_window_s", str(value),
                    check=False).returncode == 0


def gone(lab):
    """The hosts whose corosync was taken down by clusterd."""
    return [host for host in lab.hosts
            if lab.exec(host, "test", "-e", "/var/lib/hvcluster/corosync-taken-down", check=False).returncode == 0]


def one(cluster):
    """Is every node in one cluster that works, by the words of the host that is asked?"""
    if cluster.run("status", check=False).returncode:
        return False
    status = cluster.status()
    return status["active"] and all(n["state"] == "online" and n["hypervisor_ok"]
                                    for n in status["nodes"])


def wait_one(cluster, timeout, what="one cluster again, without help"):
    wait_until(lambda: one(cluster), timeout, what, step=0.3)
