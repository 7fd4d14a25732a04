"""Fencing to the end, with real BMCs: duels, self-tests, brakes, quarantine, the second level."""

import pytest

from labkit import wait_until
from support import add_guests, assert_once, names


def settings(cluster, **values):
    for key, value in values.items():
        cluster.run("set", key, str(value))


def off_since(lab, host, before):
    """How often a host was seen off beyond the times in `before`."""
    return len(lab.seen_off(host)) - before.get(host, 0)


def count_off(lab):
    return {host: len(lab.seen_off(host)) for host in lab.hosts}


def fence_and_return(lab, cluster, host):
    """The host's power goes, a device sees it off, and it comes back."""
    lab.off(host)
    cluster.wait_node(host, "offline")
    lab.on(host)
    cluster.wait_node(host, "online")


@pytest.mark.hosts(2)
def test_of_two_hosts_that_lose_each_other_one_stays_on(lab, cluster):
    """Both reach both BMCs. Whose VMs matter more shoots first; the other's shot is never fired."""
    # The machine of a test may be slow: an agent may need longer than the preset's 3 s.
    settings(cluster, fence_priority_delay_ms=10000, fence_window_s=0, quarantine_fences=0)
    wanted = names(2)
    add_guests(lab, cluster, wanted, on="host2")
    cluster.run("vm", "set", "vm01", "priority=10")
    for loser in ("host1", "host2"):
        winner = "host2" if loser == "host1" else "host1"
        before = count_off(lab)
        lab.run("cut", loser, "cluster")
        wait_until(lambda: off_since(lab, loser, before), 40, f"{loser} fenced")
        cluster.host = winner
        cluster.wait_running(wanted)
        assert off_since(lab, winner, before) == 0, "both were switched off"
        assert_once(lab, cluster, wanted)
        lab.run("join", loser)
        lab.on(loser)
        cluster.wait_node(loser, "online")
        assert off_since(lab, winner, before) == 0 and off_since(lab, loser, before) == 1, \
            "the host that came back was fenced for it"
        for name in wanted:     # now the other side has what matters
            cluster.run("vm", "migrate", name, "--to", loser, "--wait")


@pytest.mark.drill
def test_self_tests_find_the_way_that_is_broken(lab, cluster):
    settings(cluster, fence_test_interval_s=6)
    wait_until(lambda: cluster.status()["fence_able"] == 3, 30, "three hosts can be fenced")
    assert "fencing: 3 of 3 hosts can be fenced, checked " in cluster.run("status").stdout

    def paths():
        return {(d["node"], p["node"]): p["ok"] for d in cluster.json("fence", "list")["devices"]
                for p in d.get("paths", [])}
    wait_until(lambda: len(paths()) == 6 and all(paths().values()), 60, "each way has been tried")

    lab.run("cut", "host3", "mgmt")
    failing = {("host1", "host3"), ("host2", "host3")}
    wait_until(lambda: {way for way, ok in paths().items() if not ok} == failing, 120,
               "host3's two ways fail")
    status = cluster.status()
    assert status["fence_able"] == 3, "others can still fence host1 and host2"
    assert any("NODE host1 CANNOT BE FENCED with ipmi by host3" in w for w in status["warnings"])
    assert "ipmi test failed" in cluster.run("events", "-n", "200").stdout

    lab.run("join", "host3", "mgmt")
    wait_until(lambda: all(paths().values()), 120, "the ways work again")
    assert not any("CANNOT BE FENCED" in w for w in cluster.status().get("warnings", []))
    done = cluster.run("fence", "test", "--all")
    assert "3 of 3 fence devices answer" in done.stdout


@pytest.mark.drill
def test_a_host_fenced_too_often_gets_no_vms_until_it_is_released(lab, cluster):
    settings(cluster, quarantine_fences=2, fence_window_s=0, fence_lost="always")
    [path] = lab.mkguest("vm01", tiny=True)
    for _ in range(2):
        assert not cluster.nodes()["host3"]["quarantined"]
        fence_and_return(lab, cluster, "host3")
    assert cluster.nodes()["host3"]["quarantined"]
    assert "NODE host3 IS IN QUARANTINE" in cluster.run("status").stdout
    cluster.add(path)
    cluster.wait_running(["vm01"])
    cluster.run("rule", "add", "home", "nodes", "vm01", "host3")
    refused = cluster.run("vm", "migrate", "vm01", "--to", "host3", check=False)
    assert refused.returncode and "quarantine" in refused.stderr, refused.stderr
    assert "in quarantine" in cluster.run("vm", "explain", "vm01").stdout

    cluster.run("node", "release", "host3")
    wait_until(lambda: cluster.vms()["vm01"]["node"] == "host3" and
               cluster.vms()["vm01"]["state"] == "running", 60, "vm01 goes where its rule wants it")
    assert_once(lab, cluster, ["vm01"])
    again = cluster.run("node", "release", "host3", check=False)
    assert again.returncode and "not in quarantine" in again.stderr


@pytest.mark.drill
def test_the_brake_holds_the_second_host_until_an_administrator_says_so(lab, cluster):
    wanted = names(1)
    add_guests(lab, cluster, wanted, on="host2")
    settings(cluster, fence_lost="always")
    fence_and_return(lab, cluster, "host3")
    before = count_off(lab)
    lab.run("hang", "host2")
    wait_until(lambda: cluster.nodes()["host2"]["braked"], 30, "the brake holds host2")
    assert cluster.vms()["vm01"]["state"] == "recovering"
    status = cluster.run("status").stdout
    assert "NODE host2 IS NOT FENCED, the brake holds" in status
    assert "host3" in cluster.run("vm", "explain", "vm01").stdout
    assert off_since(lab, "host2", before) == 0

    cluster.run("fence", "node", "host2", "--yes", "--wait")
    cluster.wait_running(wanted)
    assert off_since(lab, "host2", before) == 1
    assert_once(lab, cluster, wanted)


@pytest.mark.drill
def test_when_the_first_level_fails_the_second_one_proves_it(lab, cluster):
    """The first device has a password that is wrong; another executor tries, another level succeeds."""
    options = lab.bmc("host3")
    cluster.run("fence", "remove", "host3", "ipmi")
    for level, device, password in ((1, "wrong", "not-its-password"), (2, "right", options["password"])):
        lab.exec("host1", "sh", "-c", "umask 077; cat >/root/pw", stdin=password)
        words = [w for k, v in options.items() if k != "password" for w in ("-o", f"{k}={v}")]
        cluster.run("fence", "add", "host3", device, "--level", level, "--agent", "fence_ipmilan",
                    *words, "--secret-file", "password=/root/pw")
    failed = cluster.run("fence", "test", "host3", check=False)
    assert failed.returncode and "wrong" in failed.stderr
    assert cluster.nodes()["host3"]["fencing"] == "test-failed"
    wanted = names(1)
    add_guests(lab, cluster, wanted, on="host3")
    lab.run("hang", "host3")
    wait_until(lambda: set(lab.guests()) == set(wanted) and
               "host3" not in lab.guests()["vm01"], 60, "vm01 elsewhere")
    cluster.wait_running(wanted)
    report = cluster.report()
    assert "fence device right, run by host2" in report["proof"], report["proof"]
    assert_once(lab, cluster, wanted)
