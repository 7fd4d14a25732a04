"""Bad input: a clear error with the cause, an exit status by kind, and no change of state."""

import pytest

from support import add_guests, assert_once, names

NOT_FOUND, CONFLICT, UNAVAILABLE, BAD_INPUT, CAPACITY = 3, 4, 5, 7, 9


@pytest.fixture
def refused(lab, cluster):
    """Runs a command that must fail with that status and say that word, and change nothing."""
    def check(status, word, *command):
        before = cluster.vms(), cluster.json("fence", "list")
        done = cluster.run(*command, check=False)
        assert done.returncode == status, (command, done.stdout, done.stderr)
        assert word in done.stderr, (command, done.stderr)
        assert (cluster.vms(), cluster.json("fence", "list")) == before
    return check


def test_each_kind_of_bad_input(lab, cluster, refused):
    add_guests(lab, cluster, names(1))
    xml = (lab.shared / "vm01.xml").read_text()

    def variant(name, text):
        (lab.shared / name).write_text(text)
        return f"/srv/vms/{name}"

    refused(BAD_INPUT, "XML", "vm", "add", variant("broken.xml", xml[:200]))
    refused(BAD_INPUT, "XML", "vm", "add", variant("empty.xml", ""))
    refused(BAD_INPUT, "", "vm", "add",
            variant("entity.xml", '<!DOCTYPE a [<!ENTITY x "y">]>' + xml.replace("vm01", "&x;")))
    refused(CONFLICT, "vm01", "vm", "add", "/srv/vms/vm01.xml")
    same_uuid = variant("same.xml", xml.replace("<name>vm01", "<name>other"))
    refused(CONFLICT, "uuid", "vm", "add", same_uuid)
    refused(1, "nothere.xml", "vm", "add", "/srv/vms/nothere.xml")
    refused(NOT_FOUND, "nobody", "vm", "start", "nobody")
    refused(NOT_FOUND, "host9", "node", "drain", "host9")
    refused(BAD_INPUT, "fence_nothing", "fence", "add", "host1", "x", "--agent", "fence_nothing")
    refused(NOT_FOUND, "host9", "fence", "add", "host9", "x", "--agent", "fence_ipmilan")
    refused(2, "", "vm", "frobnicate")
    assert_once(lab, cluster, names(1))


def test_a_vm_larger_than_any_node(lab, cluster):
    """Refused, or accepted and blocked with a reason: in no case half started."""
    [path] = lab.mkguest("huge", tiny=True, mem=4 * 1024 * 1024)
    done = cluster.run("vm", "add", path, "--wait", check=False)
    assert done.returncode == CAPACITY, done.stderr
    assert "memory" in done.stderr.lower() or "MiB" in done.stderr
    assert not lab.guests()


def test_no_daemon_no_corosync_no_quorum(lab, cluster):
    lab.forbid_restart("host3", "clusterd")
    lab.signal("host3", "clusterd")
    done = cluster.run("status", host="host3", check=False)
    assert done.returncode == UNAVAILABLE and "clusterd" in done.stderr
    lab.allow_restart("host3", "clusterd")
    cluster.wait_node("host3", "online")

    lab.run("cut", "host3", "cluster")
    lab.run("cut", "host3", "mgmt")
    done = cluster.run("vm", "start", "any", host="host3", check=False, timeout=60)
    assert done.returncode in (UNAVAILABLE, NOT_FOUND)


def test_secrets_are_seen_nowhere(lab, cluster):
    secret = lab.bmc("host1")["password"]
    for words in (["fence", "list"], ["fence", "list", "--json"], ["node", "show", "host1"],
                  ["events"], ["status", "--json"]):
        assert secret not in cluster.run(*words).stdout
    cluster.run("fence", "test", "host2", check=False)
    for host in lab.hosts:
        assert secret not in lab.run("logs", host, "clusterd")


def test_an_answer_for_programs_is_json(cluster):
    for words in (["status"], ["vm", "list"], ["node", "list"], ["fence", "list"], ["events"]):
        cluster.json(*words)
