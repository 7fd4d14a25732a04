"""What goes from host to host for a migration is encrypted, and both ends prove who they are."""

import json
import subprocess
from pathlib import Path

import pytest

from labkit import wait_until
from support import add_guests, assert_alive, assert_once, boots

QEMU_PORTS = range(49152, 49216)     # libvirt's preset for incoming migrations
LIBVIRT_TLS, LIBVIRT_TCP = 16514, 16509


def watched(lab, host, action, seconds=8):
    """What sniff.py sees on `host` while `action` goes on."""
    text = (Path(__file__).parent / "sniff.py").read_text()
    lab.exec(host, "sh", "-c", "cat >/tmp/sniff.py", stdin=text)
    sniffer = lab.start(host, "python3", "/tmp/sniff.py", seconds, stdout=subprocess.PIPE)
    assert sniffer.stdout.readline().strip() == "ready"
    action()
    seen = json.loads(sniffer.communicate(timeout=seconds + 30)[0])
    seen["ports"] = {int(port): size for port, size in seen["ports"].items()}
    return seen


def qemu_ports(seen):
    """Ports of memory streams: what is answered to small numbers of a client's is not one."""
    return [port for port, size in seen["ports"].items() if port in QEMU_PORTS and size > 5000]


def migrate(cluster, name, to, check=True):
    return cluster.run("vm", "migrate", name, "--to", to, "--wait", check=check, timeout=120)


@pytest.mark.hosts(2)
def test_a_migration_is_encrypted(lab, cluster):
    add_guests(lab, cluster, ["vm01"], on="host1")
    seen = watched(lab, "host2", lambda: migrate(cluster, "vm01", "host2"))
    memory = qemu_ports(seen)
    assert memory, f"no memory stream was seen: {seen}"
    assert set(memory) <= set(seen["tls"]) and LIBVIRT_TLS in seen["tls"], seen
    assert LIBVIRT_TCP not in seen["ports"] and not seen["clear"], seen
    assert_once(lab, cluster, ["vm01"])
    assert len(boots(lab, "vm01")) == 1


def allow_clear_text(lab):
    """What an administrator would have to do on every host, beside the cluster's setting."""
    for host in lab.hosts:
        lab.exec(host, "sed", "-i", "s/^listen_tcp.*/listen_tcp = 1/; $ a auth_tcp = \"none\"",
                 "/etc/libvirt/libvirtd.conf")
        lab.exec(host, "sed", "-i", "s/^migrate_tls_force.*/migrate_tls_force = 0/",
                 "/etc/libvirt/qemu.conf")
        lab.signal(host, "libvirtd")
    for host in lab.hosts:
        wait_until(lambda host=host: f":{LIBVIRT_TCP}" in lab.exec(host, "ss", "-ltn").stdout, 20,
                   "libvirtd listens again")


@pytest.mark.hosts(2)
def test_clear_text_only_when_it_was_asked_for(lab, cluster):
    """Refused by every layer; and the sniffer of the test above can see it when it is allowed."""
    add_guests(lab, cluster, ["vm01"], on="host1")
    assert f":{LIBVIRT_TCP}" not in lab.exec("host1", "ss", "-ltn").stdout
    by_hand = ["migrate", "--live", "--p2p", "--unsafe", "vm01", "qemu+tls://host2/system"]
    for words, why in ((["-c", "qemu+tcp://host2/system", "list"], "refused"),
                       (by_hand, "VIR_MIGRATE_TLS")):
        done = lab.exec("host1", "virsh", *words, check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr
    allow_clear_text(lab)
    # the hosts would take it now; the cluster's setting still stands
    seen = watched(lab, "host2", lambda: migrate(cluster, "vm01", "host2"))
    assert not seen["clear"] and qemu_ports(seen), seen
    migrate(cluster, "vm01", "host1")
    cluster.run("set", "migration_tls", "off")
    seen = watched(lab, "host2", lambda: migrate(cluster, "vm01", "host2"))
    assert "QEMU's migration stream" in seen["clear"] and LIBVIRT_TCP in seen["ports"], seen
    assert any("clear text" in text for text in cluster.status()["warnings"])
    assert_once(lab, cluster, ["vm01"])
    assert len(boots(lab, "vm01")) == 1


@pytest.mark.hosts(2)
def test_a_bad_certificate_is_named_with_the_next_step(lab, cluster):
    add_guests(lab, cluster, ["vm01"], on="host1")

    def spoil(host, file, command):
        lab.exec(host, "cp", "-p", file, "/root/saved.pem")
        lab.exec(host, "sh", "-c", command)
        done = migrate(cluster, "vm01", "host2", check=False)
        assert done.returncode != 0, f"{command}: {done.stdout}"
        lab.exec(host, "cp", "-p", "/root/saved.pem", file)
        assert lab.guests() == {"vm01": ["host1"]}
        return done.stdout + done.stderr

    mine, theirs = "/etc/pki/libvirt/clientcert.pem", "/etc/pki/qemu/server-cert.pem"
    their_key = "/etc/pki/qemu/server-key.pem"
    said = spoil("host1", mine, f"rm {mine}")
    assert mine in said and "hvcluster pki issue host1" in said and "pki install" in said, said
    said = spoil("host1", mine, f"cp /etc/pki/CA/cacert.pem {mine}")
    assert "is not the key of" in said and mine in said, said
    said = spoil("host2", theirs, f"rm {theirs}")
    assert theirs in said and "hvcluster pki show" in said, said
    # one that was made for another host: the source's QEMU does not give its memory to it
    lab.exec("host2", "cp", "-p", their_key, "/root/key.pem")
    for name, file in (("cert", "/root/other.pem"), ("key", their_key)):
        text = lab.exec("host1", "cat", f"/etc/hvcluster/pki/host1/{name}.pem").stdout
        lab.exec("host2", "sh", "-c", f"cat >{file}", stdin=text)
    said = spoil("host2", theirs, f"cp /root/other.pem {theirs}")
    assert "TLS" in said and "hvcluster pki show" in said, said
    lab.exec("host2", "cp", "-p", "/root/key.pem", their_key)

    shown = lab.exec("host1", "hvcluster", "pki", "show")
    assert shown.stdout.count("good") == 4
    lab.exec("host1", "rm", mine)
    shown = lab.exec("host1", "hvcluster", "pki", "show", check=False)
    assert shown.returncode == 4 and mine in shown.stderr, shown.stderr
    lab.exec("host1", "hvcluster", "pki", "install")
    migrate(cluster, "vm01", "host2")
    assert_once(lab, cluster, ["vm01"])
    assert_alive(lab, ["vm01"])
    assert len(boots(lab, "vm01")) == 1
