"""The lab itself: what the other tests rely on."""

import subprocess

import pytest

from labkit import Lab, LabError, lineage, read_beats, wait_until

pytestmark = [pytest.mark.bare]


def fence(lab, host, victim, action):
    """fence_ipmilan as the cluster runs it: options on stdin."""
    options = dict(lab.bmc(victim), action=action)
    text = "".join(f"{key}={value}\n" for key, value in options.items())
    return lab.exec(host, "fence_ipmilan", stdin=text, check=False).returncode


def power(lab, host):
    line = next(line for line in lab.run("status").splitlines() if line.startswith(host + " "))
    return line.split()[1]


def test_fence_agent_switches_a_host(lab):
    assert fence(lab, "host1", "host3", "status") == 0
    assert fence(lab, "host1", "host3", "off") == 0
    assert power(lab, "host3") == "off"
    assert fence(lab, "host1", "host3", "status") == 2
    assert fence(lab, "host1", "host3", "off") == 0, "a host that is off is a success"
    assert fence(lab, "host1", "host3", "on") == 0
    lab.run("wait-ready")


def test_a_hung_host_can_be_fenced_and_returns(lab):
    lab.run("hang", "host2")
    with pytest.raises(LabError, match="hung"):
        lab.exec("host2", "true")
    assert fence(lab, "host3", "host2", "reboot") == 0
    lab.run("wait-ready")


@pytest.mark.hosts(2)
def test_a_disk_survives_a_power_cut_and_run_does_not(lab):
    lab.exec("host1", "touch", "/var/lib/kept", "/etc/kept", "/run/lost")
    boot = lab.exec("host1", "cat", "/proc/sys/kernel/random/boot_id").stdout
    lab.off("host1")
    lab.on("host1")
    lab.exec("host1", "ls", "/var/lib/kept", "/etc/kept")
    assert lab.exec("host1", "ls", "/run/lost", check=False).returncode != 0
    assert lab.exec("host1", "cat", "/proc/sys/kernel/random/boot_id").stdout != boot


def talks(lab, source, target):
    """Does one datagram get through?"""
    catch = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); " \
            "s.bind(('0.0.0.0', 9)); s.settimeout(1.5); print(s.recv(9))"
    throw = "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n" \
            f"for i in range(10): s.sendto(b'x', ('{target}', 9)); time.sleep(0.1)"
    catcher = lab.start(target, "/usr/bin/python3", "-c", catch, stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL)
    lab.exec(source, "/usr/bin/python3", "-c", throw, check=False)
    return catcher.communicate()[0] != ""


@pytest.mark.hosts(2)
def test_loss_is_one_way_and_cables_can_be_pulled(lab):
    lab.run("drop", "host1", "host2")
    assert not talks(lab, "host1", "host2")
    assert talks(lab, "host2", "host1")
    lab.run("undrop")
    assert talks(lab, "host1", "host2")
    lab.run("cut", "host2", "cluster")
    assert not talks(lab, "host1", "host2")
    assert fence(lab, "host1", "host2", "status") == 0, "the other network still works"
    lab.run("join", "host2")
    assert talks(lab, "host1", "host2")


@pytest.mark.parametrize("tiny", [True, False], ids=["rom", "linux"])
@pytest.mark.hosts(2)
def test_guests_migrate_live_and_obey_the_power_button(lab, tiny):
    [path] = lab.mkguest("g", tiny=tiny)
    lab.exec("host1", "virsh", "create", path)
    wait_until(lambda: len(lab.beats("g")) > 2, 20, "heartbeats")
    lab.exec("host1", "virsh", "migrate", "--live", "--p2p", "g", "qemu+tcp://host2/system")
    assert lab.guests() == {"g": ["host2"]}
    wait_until(lambda: len(lab.beats("g")) > 6, 20, "heartbeats on the other host")
    assert len(lineage(lab.beats("g"))) == 1
    lab.exec("host2", "virsh", "shutdown", "g")
    wait_until(lambda: not lab.guests(), 20, "the guest off")


@pytest.mark.hosts(1)
def test_labs_do_not_see_each_other_and_leave_nothing(lab):
    other = Lab(lab.name[:10] + "-other", bindir="/nonexistent")
    try:
        other.up(2)
        other.run("hang", "host2")
        lab.exec("host1", "corosync-quorumtool", "-s")
        with pytest.raises(LabError, match="exists already"):
            other.up(2)
    finally:
        other.down()
    traces = [f"hvlab-{other.name}", f"hvlab/{other.name}"]
    for command in (["ip", "netns"], ["findmnt", "-rno", "TARGET"], ["losetup", "-a"],
                    ["ps", "-eo", "args"], ["find", "/sys/fs/cgroup", "-maxdepth", "2"]):
        seen = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        assert not any(trace in seen for trace in traces), (command, seen)
    lab.run("wait-ready")


def test_a_guest_that_contradicts_itself_is_found_out(tmp_path):
    log = tmp_path / "log"

    def judged(*lines):
        log.write_text("".join(line + "\r\n" for line in lines))
        return lineage(read_beats(log))

    fine = judged("hb boot=a up=0.0 n=0", "noise", "hb boot=a up=1.0 n=1", "hb boot=b up=0.0 n=0")
    assert [boot.name for boot in fine] == ["a", "b"]
    for bad in (["hb boot=a up=0.0 n=0", "hb boot=a up=0.5 n=1", "hb boot=a up=0.5 n=1"],
                ["hb boot=a up=0.0 n=0", "hb boot=b up=0.0 n=0", "hb boot=a up=0.5 n=1"],
                ["hb boot=a up=5.0 n=0", "hb boot=a up=4.0 n=1"]):
        with pytest.raises(LabError):
            judged(*bad)
