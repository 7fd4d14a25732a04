"""What a drill has in its hands. See Drill; how one is written: HACKING.md, "Drills"."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

from labkit import Cluster, LabError, wait_until
from support import names

from .oracle import Expected, Power, downtimes, judge, read_record, read_stamps

HERE = Path(__file__).resolve().parent
SETTLE = 180    # a VM has so long to run after a fault: a Linux guest boots for a minute on a machine that does much else


class Drill:
    """A lab, a cluster in it, and the words in which a drill says what it does.

    What is not said is not allowed: a host that goes off without `cut`, `must_fence` or `may_fence`, and a VM made by
    `guests` that does not run in the end without `stopped`, are complaints.
    """

    def __init__(self, lab, folder, protect=True):
        self.lab = lab
        self.cluster = Cluster(lab)
        self.expected = Expected()
        self.began = time.time()
        self.out = Path(folder) / "observed"
        self.linux = []
        self.notes = []
        self.observer = subprocess.Popen([sys.executable, str(HERE / "observer.py"), lab.name, str(self.out)],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.observer.stdout.readline().strip() != "ready":
            raise LabError("the observer did not start")
        if protect:
            self.cluster.protect()

    def note(self, text):
        """A line below the table at the end of the run."""
        self.notes.append(text)
        print(text)

    # --- preparing

    def set(self, **values):
        for key, value in values.items():
            self.cluster.run("set", key, str(value))

    def brakes_off(self):
        """For drills whose topic is something else: any number of fences."""
        self.set(fence_window_s=0, quarantine_fences=0)

    def guests(self, count=3, on=None, linux=1, stem="vm"):
        """Adds guests, the first `linux` of which have a disk that they stamp (QEMU does not lock it: nothing is
        hidden); waits until each speaks; all on host `on`, if given. Their names."""
        made = names(count, stem)
        paths = self.lab.mkguest("--shareable", *made[:linux]) if linux else []
        paths += self.lab.mkguest(*made[linux:], tiny=True) if made[linux:] else []
        self.linux += made[:linux]
        self.expected.running |= set(made)
        for name, path in zip(made, paths):
            self.cluster.run("vm", "add", path, *(["--stopped"] if on else []))
            if on:
                self.cluster.run("vm", "start", name, "--on", on)
        self.cluster.wait_running(made, timeout=120)
        wait_until(lambda: all(self.lab.beats(name) for name in made), 120, "a heartbeat from each guest")
        self.mark()
        return made

    def mark(self):
        """From now on silences count: what was before was preparation."""
        self.began = time.time()

    # --- saying what is done

    def cut(self, *hosts):
        """The power of these hosts goes, at once."""
        since = time.time()
        self.lab.off(*hosts)
        self.expected.own += [(since, time.time(), host) for host in hosts]
        if self.cluster.host in hosts:
            self.cluster.host = next((host for host in self.lab.hosts if host not in self.dark()), self.cluster.host)

    def on(self, *hosts, wait=True):
        """These hosts get power again, and are members again."""
        self.lab.on(*hosts)
        for host in hosts if wait else ():
            self.cluster.wait_node(host, "online", timeout=90)

    def signal(self, host, program, name="KILL"):
        self.lab.signal(host, program, name)

    def stand_still(self, host, program, seconds):
        """SIGSTOP, and SIGCONT after so long; whether the host still lives then."""
        self.lab.signal(host, program, "STOP")
        time.sleep(seconds)
        if host in self.dark():
            return False
        self.lab.exec(host, "pkill", "-CONT", "-x", program[:15], check=False)  # it may lose its power just now
        return host not in self.dark()

    def all_online(self, timeout=120):
        """Every host that has power is a member whose hypervisor layer works."""
        def good():
            dark = self.dark()
            done = self.cluster.run("status", "--json", check=False)
            if done.returncode != 0:
                return False
            nodes = {node["name"]: node for node in json.loads(done.stdout)["nodes"]}
            return all(nodes.get(host, {}).get("state") == "online" and nodes[host]["hypervisor_ok"]
                       for host in self.lab.hosts if host not in dark)
        wait_until(good, timeout, "every host with power online", step=0.3)

    def dark(self):
        """The hosts that are off now."""
        return [host for host in self.lab.hosts if self.lab.run("power", host).strip() == "off"]

    def must_fence(self, host, times=1):
        """The cluster is to switch this host off, so often and not more."""
        self.expected.must[host] = times

    def may_fence(self, *hosts):
        self.expected.may |= set(hosts)

    def stopped(self, *vms):
        """These are not to run in the end."""
        self.expected.running -= set(vms)
        self.expected.stopped |= set(vms)

    def running(self, *vms):
        """These are to run in the end (guests made by other means than `guests`)."""
        self.expected.running |= set(vms)
        self.expected.stopped -= set(vms)

    @contextlib.contextmanager
    def copy_of(self, vm, host):
        """Within, the drill itself makes a copy of this VM on that host."""
        since = time.time()
        try:
            yield
        finally:
            self.expected.copies.append((since, time.time(), vm, host))

    # --- asking, without believing the cluster

    def record(self):
        return read_record(self.out)

    def where(self, vm):
        """The hosts on which a QEMU of this VM lives."""
        return [qemu.host for qemu in self.record().alive(vm)]

    def boots(self, vm):
        seen = []
        for heard in self.record().heard.get(vm, []):
            if heard.beat.boot not in seen:
                seen.append(heard.beat.boot)
        return seen

    def speak(self, vms, timeout=SETTLE, elsewhere_than=()):
        """Waits until each of these has exactly one QEMU, on none of those hosts, and speaks."""
        since = time.time()

        def speaking():
            record = self.record()
            for vm in vms:
                alive = record.alive(vm)
                if len(alive) != 1 or alive[0].host in elsewhere_than:
                    return False
                if sum(h.t > since and alive[0].pid in h.alive for h in record.heard.get(vm, [])) < 2:
                    return False
            return True
        wait_until(speaking, timeout, f"{', '.join(vms)} run once and speak", step=0.2)

    def untouched(self, vms):
        """These were not started anew."""
        for vm in vms:
            assert len(self.boots(vm)) == 1, f"{vm} was started anew: {self.boots(vm)}"

    # --- the end

    def power(self):
        def lines(text, *words):
            rows = (line.split() for line in text.splitlines())
            return [(float(when), host) for when, host, what in rows if what in words]
        return Power(lines(self.lab.run("power-log"), "off"), lines(self.lab.run("presses"), "off", "reset"),
                     lines(self.lab.run("bites", check=False), "bitten"))

    def judge(self):
        """Waits until what is to run runs, ends the observer, and returns every complaint."""
        with contextlib.suppress(LabError):     # the oracle says it better
            self.speak(sorted(self.expected.running))
        self.close()
        complaints = judge(self.record(), self.power(), self.expected,
                           {vm: read_stamps(self.lab.shared / f"{vm}.img") for vm in self.linux})
        return complaints + self.crashes()

    def crashes(self):
        """A daemon that ended itself with an abort or a bad access, by the word of what supervises it."""
        found = []
        for host in self.lab.hosts:
            text = self.lab.run("logs", host, "supervise", check=False)
            found += [f"{host}: {line}" for line in text.splitlines()
                      if line.endswith(("status 134", "status 139")) and "clusterd" in line]
        return found

    def close(self):
        if self.observer.poll() is None:
            self.observer.terminate()
        self.observer.wait(10)

    def summary(self):
        """(the longest silence of a VM and its name, how often hosts were fenced), for the table."""
        silences = downtimes(self.record(), self.began)
        vm = max(silences, key=silences.get, default=None)
        return (silences[vm], vm) if vm else (0.0, "-"), fences(self.power(), self.expected)


def fences(power, expected):
    """{host: how often it went off by the cluster's hand, or its BMC was told to while it was off}"""
    def own(when, host):
        return any(since - 0.1 <= when <= until + 0.1 and host == name for since, until, name in expected.own)
    found = {}
    for when, host in power.off:
        if not own(when, host):
            found[host] = found.get(host, 0) + 1
    for _, host in power.pressed:
        found.setdefault(host, 1)
    return found
