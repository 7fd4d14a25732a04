"""A live migration, stopped in a phase of it, so that somebody can be killed right there.

libvirt's five steps (Begin, Prepare, Perform, Finish, Confirm) and what the cluster adds (Resume: the copy that has
arrived is told to run) pass in well under a second. They are held from outside, by what libvirt itself offers:

    phase     held by                                         what is seen then, and asserted
    Begin     a hook of the target's libvirtd (migrate)       the source has begun; no QEMU at the target
    Prepare   a hook of the target's libvirtd (started)       the target's QEMU is there, no data has come
    Greet     the answers of the target's QEMU are lost       the source's QEMU has its connection, greets (TLS) and stands still
    Perform   migrate-setspeed                                some data has gone, some has not; both QEMUs are there
    Finish    the target's libvirtd is stopped when the       the source is paused for the migration, all data has gone,
              source's QEMU pauses                            nobody has said that it arrived
    Answer    the same, then its answers are lost             as before, and the target's libvirtd has said that it arrived
    Confirm   a hook of the source's libvirtd (release)       the source's QEMU has ended; the target's is paused
    Resume    the target's hypervisord is stopped             the source has confirmed, the cluster has given the VM to the
                                                              target, whose copy is paused

Hold.until_there() returns when the phase is there and raises Missed when it is missed; let_go() ends it. Greet is a part
of Perform and not in PHASES: nobody can be held there for long, since hypervisord ends it (stuck.h).
"""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from labkit import LabError, wait_until

PHASES = ("Begin", "Prepare", "Perform", "Finish", "Answer", "Confirm", "Resume")
HOOKS = {"Begin": ("target", "migrate.begin"), "Prepare": ("target", "started.begin"),
         "Confirm": ("source", "release.end"), "Resume": ("source", "release.end")}
SPEED = 4           # MiB/s: the guest has some 32 MiB that are not zero
HOOK = """#!/bin/sh
# Stands still in the operation that a test has asked for: see tests/e2e/phases.py.
hold=/run/hold/$1.$2.$3
[ -e "$hold" ] || exit 0
: >"$hold.there"
while [ -e "$hold" ]; do sleep 0.02; done
exit 0
"""


# --- what runs in a host, by the kernel's word

def pids(lab, host):
    """The processes of a host, as this machine numbers them."""
    root = next(line.split()[1] for line in open("/proc/mounts", encoding="ascii") if line.split()[2] == "cgroup2")
    try:
        return [int(pid) for pid in Path(root, f"hvlab-{lab.name}", "hosts", host, "cgroup.procs").read_text().split()]
    except OSError:
        return []


def processes(lab, host, program):
    """The pids of a program in a host; works while the host's programs stand still."""
    def name(pid):
        try:
            return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        except OSError:
            return ""
    return [pid for pid in pids(lab, host) if name(pid) == program[:15]]


def qemus(lab, host, guest):
    """The pids of that guest's QEMUs in a host."""
    def is_it(pid):
        try:
            return f"\0guest={guest}," in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    return [pid for pid in pids(lab, host) if is_it(pid)]


def send(numbers, number):
    """A signal, at once and without the help of the host's programs."""
    for pid in numbers:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def inside(lab, host, path):
    """A path of a host, as seen from here."""
    init = Path(f"/run/hvlab/{lab.name}/hosts/{host}.pid").read_text(encoding="ascii").strip()
    return Path(f"/proc/{init}/root{path}")


def net(lab, host, text):
    """Changes the packet filter of a host's own network."""
    subprocess.run(["nsenter", f"--net=/run/netns/hvlab-{lab.name}-{host}", "nft", "-f", "-"], input=text, text=True,
                   check=True, capture_output=True)


def lose(lab, host, what, name="hold"):
    """A host's packets of that kind get lost, until found() of the same name."""
    net(lab, host, f"table inet {name} {{ chain out {{ type filter hook output priority 0; {what} drop; }}; }}")


def found(lab, host, name="hold"):
    net(lab, host, f"table inet {name} {{}}; delete table inet {name}")


def install_hook(lab, host):
    """libvirtd looks into the folder whenever it calls."""
    path = "/etc/libvirt/hooks/qemu.d/zz-hold"
    lab.exec(host, "sh", "-c", f"cat >{path} && chmod +x {path}", stdin=HOOK)


# --- one migration

class Missed(LabError):
    """The phase was over before anything could be done in it."""


class Hold:
    """Holds the next migration of `guest` from source to target in a phase."""

    def __init__(self, lab, guest, source, target, phase):
        self.lab, self.guest, self.phase = lab, guest, phase
        self.source, self.target = source, target
        self._stopped, self._files, self._events = [], [], None
        self._paused = threading.Event()
        self._hook = None
        speed = SPEED if phase == "Perform" else 8796093022207
        lab.exec(source, "virsh", "-q", "migrate-setspeed", guest, speed)
        if phase in HOOKS:
            side, call = HOOKS[phase]
            self._hook = self._hold_file(source if side == "source" else target, call)
        self._lossy = None
        if phase == "Greet":
            lose(lab, target, "tcp sport 49152-49215 meta length > 100")
            self._lossy = target
        if phase in ("Finish", "Answer"):
            self._watch_events()

    def _hold_file(self, host, call):
        path = inside(self.lab, host, f"/run/hold/{self.guest}.{call}")
        path.parent.mkdir(exist_ok=True)
        path.touch()
        self._files.append(path)
        return path.with_name(path.name + ".there")

    def _watch_events(self):
        """Stops the target's libvirtd as soon as the source's QEMU pauses: before it can say that all has arrived."""
        self._events = self.lab.start(self.source, "virsh", "event", "--domain", self.guest, "--event", "lifecycle",
                                      "--loop", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until(lambda: processes(self.lab, self.source, "virsh"), 5, "virsh event")
        time.sleep(1)       # until it has asked libvirtd

        def watch():
            for line in self._events.stdout:
                if "Suspended" in line:
                    self._stop(self.target, "libvirtd")
                    self._paused.set()
                    return
        threading.Thread(target=watch, daemon=True).start()

    def _stop(self, host, program):
        found = processes(self.lab, host, program)
        send(found, signal.SIGSTOP)
        self._stopped += found

    # What libvirt says of the guest in a host: "running", "paused migrating", ..., or None
    def _state(self, host):
        done = self.lab.exec(host, "timeout", 2, "virsh", "-q", "domstate", "--reason", self.guest, check=False)
        return re.sub(r"[^a-z -]", "", done.stdout.strip().lower()) if done.returncode == 0 else None

    def _copied(self):
        """MiB that have gone and that have not, of memory."""
        text = self.lab.exec(self.source, "timeout", 2, "virsh", "-q", "domjobinfo", self.guest, check=False).stdout
        found = dict(re.findall(r"Memory (processed|remaining): +([0-9.]+) MiB", text))
        return float(found.get("processed", 0)), float(found.get("remaining", 0))

    def until_there(self, timeout=40):
        """Returns what is seen: a sentence for the table."""
        source, target = (lambda: qemus(self.lab, self.source, self.guest)), (lambda: qemus(self.lab, self.target, self.guest))

        def must(condition, what):
            if not condition:
                raise Missed(f"{self.phase} was missed: {what}")
        if self._hook:
            wait_until(self._hook.exists, timeout, f"{self.phase}: the hook is called", step=0.005)
        if self.phase == "Begin":
            must(source() and not target(), "a QEMU at the target")
        elif self.phase == "Prepare":
            must(source() and target(), "both QEMUs are not there")
        elif self.phase == "Perform":
            wait_until(lambda: self._copied()[0] > 4, timeout, "data on its way", step=0.05)
            done, left = self._copied()
            must(done > 4 and left > 4 and source() and target(), f"{done} MiB done, {left} left")
        elif self.phase == "Greet":
            wait_until(self._greets, timeout, "the source's QEMU greets", step=0.05)
            must(source() and target(), "both QEMUs are not there")
        elif self.phase in ("Finish", "Answer"):
            must(self._paused.wait(timeout), "the source's QEMU did not pause")
            wait_until(lambda: (self._state(self.source) or "").startswith("paused"), 2, "the source is paused")
            must(source() and target(), "both QEMUs are not there")
            if self.phase == "Answer":
                self._lose_the_answer(timeout)
        elif self.phase == "Confirm":
            must(not source() and target(), "the source's QEMU is there, or the target's is not")
            must((self._state(self.target) or "").startswith("paused"), "the target's copy is not paused")
        elif self.phase == "Resume":
            self._stop(self.target, "hypervisord")
            self._release_files()
            wait_until(lambda: self._given(), timeout, "the cluster gives it to the target", step=0.02)
            must(not source() and target(), "the source's QEMU is there, or the target's is not")
            must((self._state(self.target) or "").startswith("paused"), "the target's copy is not paused")

    def _greets(self):
        """Does the main thread of the source's QEMU wait in recvmsg, for one of the ports that migrations use?"""
        for pid in qemus(self.lab, self.source, self.guest):
            rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
            if any(49152 <= int(row[2].split(":")[1], 16) <= 49215 and row[3] == "01" for row in rows):
                return Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").startswith("47 ")
        return False

    def _lose_the_answer(self, timeout):
        lose(self.lab, self.target, "tcp sport 16514")
        self._lossy = self.target
        send(self._stopped, signal.SIGCONT)
        self._stopped = []
        wait_until(lambda: self._has_arrived(), timeout, "the target's libvirtd has finished", step=0.02)

    def _has_arrived(self):
        text = self.lab.exec(self.target, "timeout", 2, "virsh", "-q", "domjobinfo", self.guest, check=False).stdout
        return "None" in text.split("\n")[0]

    def _given(self):
        """Is the target its owner by the words of the third host?"""
        third = next(host for host in self.lab.hosts if host not in (self.source, self.target))
        out = self.lab.exec(third, "hvcluster", "vm", "show", self.guest, "--json", check=False).stdout
        return '"state":"resuming"' in out.replace(" ", "") and f'"node":"{self.target}"' in out.replace(" ", "")

    def _release_files(self):
        for path in self._files:
            for each in (path, path.with_name(path.name + ".there")):
                try:
                    each.unlink(missing_ok=True)
                except OSError:     # its host is off
                    pass

    def let_go(self):
        self._release_files()
        send(self._stopped, signal.SIGCONT)
        if self._lossy:
            try:
                found(self.lab, self._lossy)
            except subprocess.CalledProcessError:   # its host is off
                pass
        if self._events:
            self._events.kill()
            self._events.wait()
        for host in {self.source, self.target}:
            if self._events and processes(self.lab, host, "virsh"):
                send(processes(self.lab, host, "virsh"), signal.SIGKILL)
