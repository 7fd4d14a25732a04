"""The oracle can say no: each thing that it is to find is done to it, on purpose and for real."""

import subprocess
import time

import pytest

from labkit import Beat, wait_until

from .drill import Drill
from .liar import install_liar
from .oracle import SILENCE, Expected, Heard, Power, Qemu, Record, Stamp, downtimes, judge, judge_stamps, read_stamps

pytestmark = pytest.mark.hosts(1)


@pytest.fixture
def watched(lab, tmp_path):
    """A Drill that no oracle judges at its end: the test does."""
    made = Drill(lab, tmp_path, protect=False)
    yield made
    made.close()


def complaints(made):
    made.close()
    return judge(made.record(), made.power(), made.expected,
                 {vm: read_stamps(made.lab.shared / f"{vm}.img") for vm in made.linux})




def start_outside(made, vm, tmp_path):
    """A QEMU with the VM's UUID, disk and serial log, started by nobody's leave in a mount namespace like the hosts'."""
    shared = str(made.lab.shared)
    xml = (made.lab.shared / f"{vm}.xml").read_text()
    uuid = xml.split("<uuid>")[1].split("<")[0]
    (tmp_path / "name").write_text("elsewhere\n")
    words = ["qemu-system-x86_64", "-name", f"guest={vm}", "-uuid", uuid, "-machine", "pc-i440fx-7.2", "-accel", "tcg",
             "-cpu", "qemu64", "-m", "128", "-display", "none", "-nodefaults", "-no-user-config",
             "-kernel", f"{shared}/guest/vmlinuz", "-initrd", f"{shared}/guest/initrd",
             "-append", "console=ttyS0 quiet panic=1", "-fw_cfg", f"name=opt/hvlab/host,file={tmp_path / 'name'}",
             "-drive", f"file={shared}/{vm}.img,format=raw,if=none,id=d,file.locking=off",
             "-device", "virtio-blk-pci,drive=d",
             "-chardev", f"file,id=c,path={shared}/{vm}.log,append=on", "-serial", "chardev:c"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL)


def test_a_second_copy_of_a_vm_is_found_by_process_by_word_and_by_disk(watched, tmp_path):
    [vm] = watched.guests(1)
    wait_until(lambda: len(watched.record().heard.get(vm, [])) > 3, 30, "it speaks")
    copy = start_outside(watched, vm, tmp_path)
    try:
        wait_until(lambda: len(watched.record().alive(vm)) == 2, 10, "two copies seen")
        wait_until(lambda: len(watched.boots(vm)) == 2, 150, "both speak")
        time.sleep(4)
    finally:
        copy.kill()
        copy.wait()
    time.sleep(3)
    found = complaints(watched)
    assert any("a QEMU was started on outside while that on host1 lived" in text for text in found), found
    assert any("spoke after a newer one" in text for text in found), found
    assert any("its disk has" in text for text in found), found
    assert not any("lost" in text for text in found), found


@pytest.mark.drill
def test_a_power_cut_that_nobody_declared_is_a_needless_fence_and_a_lost_vm(watched):
    [vm] = watched.guests(1, linux=0)
    watched.lab.off("host1")
    time.sleep(0.5)
    found = complaints(watched)
    assert "needless fence: host1 went off 1 times" in found, found
    assert any(text.startswith(f"{vm} lost: ") for text in found), found


@pytest.mark.drill
def test_a_vm_that_is_killed_or_stands_still_is_lost(watched):
    dead, still, fine = watched.guests(3, linux=0)
    watched.lab.forbid_restart("host1", "clusterd")     # nobody is to mend it
    watched.lab.signal("host1", "clusterd")
    watched.lab.exec("host1", "pkill", "-KILL", "-f", f"guest={dead},")
    watched.lab.exec("host1", "pkill", "-STOP", "-f", f"guest={still},")
    time.sleep(SILENCE + 2)
    found = complaints(watched)
    watched.lab.exec("host1", "pkill", "-CONT", "-f", f"guest={still},")
    assert any(text.startswith(f"{dead} lost: in the end it runs nowhere") for text in found), found
    assert any(text.startswith(f"{still} lost: its QEMU on host1 is there") for text in found), found
    assert not any(fine in text for text in found), found


@pytest.mark.drill
def test_a_button_that_nobody_was_to_press_is_a_needless_fence(watched):
    assert not complaints(watched)
    watched.lab.run("press", "host1", "off")
    wait_until(lambda: watched.dark() == ["host1"], 10, "host1 off")
    found = judge(watched.record(), watched.power(), watched.expected)
    assert "needless fence: the BMC or the watchdog of host1 was at work" in found, found


@pytest.mark.drill
@pytest.mark.hosts(2)
def test_a_live_migration_is_no_second_copy(watched):
    vms = watched.guests(2, on="host1")
    for vm in vms:
        watched.cluster.run("vm", "migrate", vm, "--to", "host2", "--wait")
    watched.speak(vms)
    watched.untouched(vms)
    record = watched.record()
    assert all([q.incoming for q in record.qemus if q.vm == vm] == [False, True] for vm in vms), record.qemus
    assert not complaints(watched)


@pytest.mark.drill
@pytest.mark.hosts(3)
def test_what_comes_of_a_lying_fence_device_is_found(watched):
    """It says that a hung host is off; the cluster can but believe it, and the host thaws."""
    install_liar(watched)
    watched.cluster.run("fence", "add", "host3", "liar", "--agent", "fence_liar", "-o", "plug=host3")
    vms = watched.guests(2, on="host3")
    watched.lab.run("hang", "host3")
    wait_until(lambda: all(len(watched.where(vm)) == 2 for vm in vms), 120, "two copies of each")
    wait_until(lambda: all(len(watched.boots(vm)) == 2 for vm in vms), 120, "the second ones speak")
    watched.lab.run("unhang", "host3")
    time.sleep(2)
    found = complaints(watched)
    for vm in vms:
        assert any(text.startswith(f"{vm} twice: a QEMU was started") for text in found), found


# --- what cannot be had for real within a moment


def qemu(host, began, last, incoming=False, pid=None):
    return Qemu("vm01", pid or int(began * 10), host, began, incoming, last)


def heard(t, boot, n, *pids):
    return Heard(t, Beat(boot, float(n), n), pids)


def record(qemus, beats=(), end=100.0, gap=0.1):
    return Record(list(qemus), {"vm01": list(beats)} if beats else {}, gap, end)


def asked(seen, power=Power(), **expected):
    return judge(seen, power, Expected(**expected))


def test_judged_on_paper():
    one = qemu("host1", 1, 50)
    assert not asked(record([one, qemu("host2", 50.05, None)]))
    assert "lived on for 5.00 s" in asked(record([one, qemu("host2", 45, None)]))[0]
    assert not asked(record([one, qemu("host2", 45, None, incoming=True)])), "a migration"
    waiting = qemu("host2", 45, 60, incoming=True, pid=7)
    assert not asked(record([one, waiting, qemu("host3", 55, None)])), "a copy that only waited"
    ran = [heard(51, "b", 3, 7)]
    assert "started on host3 while that on host2" in asked(record([one, waiting, qemu("host3", 55, None)], ran))[0]
    made = {"copies": [(44, 46, "vm01", "host2")]}
    assert not asked(record([one, qemu("host2", 45, None)]), **made), "the drill made it"
    assert asked(record([one, qemu("host3", 45, None)]), **made), "but not that"
    assert "no QEMU of its was seen" in asked(record([one], [heard(2, "a", 0)]))[0]
    assert asked(record([one], end=None)) == ["the observer did not end as it should"]
    assert "blind" in asked(record([one], gap=9.0))[0]


def test_fences_judged_on_paper():
    off = Power(off=[(10.0, "host2"), (20.0, "host2")])
    seen = record([])
    assert asked(seen, off) == ["needless fence: host2 went off 2 times"]
    assert asked(seen, off, must={"host2": 1}) == ["needless fence: host2 went off 2 times, not 1"]
    assert asked(seen, off, must={"host2": 1}, own=[(9.9, 10.1, "host2")]) == []
    assert asked(seen, off, must={"host2": 2}) == [] == asked(seen, off, may={"host2"})
    assert asked(seen, off, must={"host2": 2, "host3": 1})[0].startswith("no fence: host3")
    assert asked(seen, Power(bitten=[(1.0, "host1")]))[0].endswith("host1 was at work")


def test_disks_judged_on_paper():
    spoken = [heard(10, "a", 0, 10), heard(11, "a", 1, 10), heard(12, "a", 2, 10), heard(70, "b", 0, 600),
              heard(71, "b", 1, 600), heard(75, "a", 3, 10)]
    seen = record([qemu("host1", 1, 50), qemu("host2", 60, None)], spoken)

    def told(*stamps):
        return list(judge_stamps(seen, "vm01", [Stamp(boot, n, boots, 0, seq, host)
                                                for boot, n, boots, seq, host in stamps]))
    good = [("a", 0, 1, 0, "host1"), ("a", 1, 1, 1, "host1"), ("b", 0, 2, 101, "host2")]
    assert not told(*good) and not told(*good, ("b", 1, 2, 102, "host2"))
    assert "its disk has" in told(*good, ("a", 2, 1, 102, "host2"))[0], "fewer boots"
    assert "its disk has" in told(*good, ("c", 0, 2, 102, "host2"))[0], "the same number of boots"
    assert "its disk has" in told(*good, ("b", 5, 2, 102, "host2"))[0], "numbers left out"
    assert "no QEMU of its was seen there then" in told(*good, ("b", 1, 2, 102, "host3"))[0]
    assert not told(*good, ("b", 1, 2, 102, "host2"), ("b", 2, 2, 103, "host2")), "its last word was lost"
    assert not told(*good, ("b", 1, 2, 102, "host2"), ("b", 2, 2, 103, "host2"), ("b", 3, 2, 104, "host2")), "too late"
    hidden = [("c", n, 3, 200 + n, "host2") for n in range(4)]
    assert not told(*good, *hidden[:3]) and "never said" in told(*good, *hidden)[0], "by a copy that nobody hears"
    late = told(("a", 2, 1, 2, "host1"), ("a", 3, 1, 3, "host1"), ("b", 0, 2, 101, "host2"))
    assert "written after a newer boot began" in late[0], late


def test_silences_are_measured_from_the_first_fault_to_the_last_word():
    spoken = [heard(t, "a", n, 1) for n, t in enumerate((1, 2, 3, 9, 10))]
    seen = record([], spoken, end=10.5)
    assert downtimes(seen, 2.5) == {"vm01": 6}
    assert downtimes(seen, 9.5) == {"vm01": 1}
    assert downtimes(record([], spoken, end=40), 10.0) == {"vm01": 30}
