"""libvirt's lock manager as a second line: virtlockd, with leases on the shared storage.

On block devices, where QEMU's own lock on the image does not hold, it is all there is behind libvirt's hook.
"""

import re

import pytest

from labkit import wait_until
from support import assert_alive, assert_once

HOOK = "/etc/libvirt/hooks/qemu.d/hvcluster"
DISK = """<disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source dev='/dev/lun1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial"""


def on_lun(lab):
    """A guest whose disk is a shared LUN; the path of its XML."""
    [path] = lab.mkguest("vm01", tiny=True)
    file = lab.shared / "vm01.xml"
    file.write_text(re.sub("<serial", DISK, file.read_text(), count=1))
    return path


def warnings(cluster, *words):
    return [w for w in cluster.status().get("warnings", []) if all(word in w for word in words)]


def restart_libvirtd(lab, host):
    lab.signal(host, "libvirtd", "TERM")
    wait_until(lambda: lab.exec(host, "virsh", "-c", "qemu:///system", "list", check=False).returncode == 0,
               20, "libvirtd is back")


@pytest.mark.luns(1)
@pytest.mark.locks("lockd")
def test_virtlockd_refuses_a_copy_that_the_hook_does_not(lab, cluster):
    """And frees the disk for a migration, and after a power cut."""
    wait_until(lambda: len(warnings(cluster, "disk_lock is none", "set disk_lock lockd")) == 3, 60,
               "each host says that its libvirt locks")
    cluster.run("set", "disk_lock", "lockd")
    assert not warnings(cluster, "lock") and not warnings(cluster, "hook")
    path = on_lun(lab)
    cluster.add(path)
    cluster.wait_running(["vm01"])
    first = cluster.vms()["vm01"]["node"]
    other = next(host for host in lab.hosts if host != first)

    lab.exec(other, "rm", HOOK)
    restart_libvirtd(lab, other)
    wait_until(lambda: warnings(cluster, f"node {other}:", "hook is not installed"), 60,
               "the missing hook is noticed")
    copy = lab.exec(other, "virsh", "-c", "qemu:///system", "create", path, check=False)
    assert copy.returncode and "is locked" in copy.stderr, copy.stderr
    assert lab.guests() == {"vm01": [first]}
    assert_once(lab, cluster, ["vm01"])

    cluster.run("vm", "migrate", "vm01", "--to", other, "--wait")
    assert lab.guests() == {"vm01": [other]}
    copy = lab.exec(first, "sh", "-c", f"sed 's/vm01/copy/; /<uuid>/d' {path} >/tmp/copy.xml; "
                    "virsh -c qemu:///system create /tmp/copy.xml", check=False)
    assert copy.returncode and "is locked" in copy.stderr, "the lock has come along: " + copy.stderr
    assert_alive(lab, ["vm01"])

    cluster.host = first
    lab.off(other)
    wait_until(lambda: lab.guests().get("vm01", [other]) != [other], 60, "vm01 elsewhere")
    cluster.wait_running(["vm01"])
    assert_once(lab, cluster, ["vm01"])
    assert_alive(lab, ["vm01"])


def test_a_host_that_does_not_lock_as_the_cluster_says_is_named(lab, cluster):
    """With the line that is missing, until it is there and libvirtd has read it."""
    cluster.run("set", "disk_lock", "lockd")
    for host in lab.hosts:
        wait_until(lambda host=host: warnings(cluster, f"node {host}:", 'lock_manager = "lockd"'), 60,
                   f"{host} is named")
    assert 'lock_manager = "lockd"' in cluster.run("node", "show", "host2").stdout
    lab.exec("host2", "sh", "-c", "echo 'lock_manager = \"lockd\"' >>/etc/libvirt/qemu.conf")
    wait_until(lambda: warnings(cluster, "node host2:", "restart libvirtd"), 60, "it is not in force")
    lab.exec("host2", "sh", "-c", "mkdir -p /srv/vms/locks; "
             "echo 'file_lockspace_dir = \"/srv/vms/locks\"' >/etc/libvirt/qemu-lockd.conf")
    lab.start("host2", "virtlockd")
    restart_libvirtd(lab, "host2")
    wait_until(lambda: not warnings(cluster, "node host2:"), 60, "host2 is as it should be")
    assert len(warnings(cluster, 'lock_manager = "lockd"')) == 2
