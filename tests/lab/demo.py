"""The demonstration's story: see ../../demo, which builds first and then starts this."""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time

from labkit import Cluster, Lab, LabError, lineage, wait_until

VMS = ["web", "mail", "db"]
HOSTS = 3


class Teller:
    """What the person in front of the terminal sees: chapters, commands, their output."""

    def __init__(self, quick):
        self.fancy = sys.stdout.isatty()
        self.colour = self.fancy and "NO_COLOR" not in os.environ
        self.quick = quick or not self.fancy
        self.began = time.monotonic()
        self.chapters = 0

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def out(self, text=""):
        print(text, flush=True)

    def chapter(self, title):
        self.chapters += 1
        clock = time.monotonic() - self.began
        self.out()
        self.out(self.paint("1;36", f"━━ {self.chapters}. {title} ") +
                 self.paint("2", f"({clock:.0f} s)"))

    def say(self, text):
        """A paragraph; its line breaks are as written."""
        self.out()
        for line in text.strip().splitlines():
            self.out(line.strip())
        self.pause(0.4 + len(text) / 120)

    def pause(self, seconds):
        if not self.quick:
            time.sleep(seconds)

    def prompt(self, host, words):
        self.out()
        self.out(self.paint("2", f"{host}# ") + self.paint("1", " ".join(words)))

    def line(self, text):
        self.out(self.paint("2", "│ ") + text)

    def good(self, text):
        self.out(self.paint("1;32", "✔ ") + text)

    def bad(self, text):
        self.out(self.paint("1;31", "✘ ") + text)


class Demo:
    def __init__(self, lab, teller):
        self.lab = lab
        self.cluster = Cluster(lab)
        self.tell = teller
        self.failures = 0

    # --- commands, shown with what they print

    def show(self, *words, host=None, secret=()):
        """Runs a command in a host and shows it, line by line as it comes."""
        host = host or self.cluster.host
        self.tell.prompt(host, words)
        command = self.lab.start(host, *words, *secret, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        for line in command.stdout:
            self.tell.line(line.rstrip().split("\r")[-1])
        if command.wait() != 0:
            raise LabError(f"that command failed (exit status {command.returncode})")

    def hv(self, *words):
        self.show("hvcluster", *words)

    def check(self, true, text):
        if true:
            self.tell.good(text)
        else:
            self.tell.bad(text)
            self.failures += 1

    # --- the story

    def hosts(self):
        self.tell.chapter(f"{HOSTS} hosts on this machine")
        self.tell.say("""Each is a set of namespaces with its own network, disks and process table, and runs
            the real corosync, libvirt and clusterd. Each has a BMC, too, to be powered off by.""")
        self.tell.prompt("machine", ["tests/lab/lab", "up", str(HOSTS)])
        self.lab.up(HOSTS)
        for line in self.lab.run("status").splitlines():
            self.tell.line(line.rstrip())

    def fencing(self):
        self.tell.chapter("Fencing: how the cluster makes sure that a lost host is off")
        self.tell.say("""A host that is silent may still run its VMs. Before they are started elsewhere it is
            powered off through its BMC, and seen to be off. So the cluster is told the BMCs.""")
        self.cluster.protect()
        self.hv("fence", "list")
        self.hv("fence", "test", "host2")

    def guests(self):
        self.tell.chapter("Three virtual machines")
        self.tell.say("""Each boots a small real Linux, which writes a heartbeat to its serial log once a
            second: which boot it is, and how long it has been up. We shall hold that against
            what the cluster claims.""")
        for path in self.lab.mkguest(*VMS):
            self.hv("vm", "add", path)
        self.cluster.wait_running(VMS)
        wait_until(lambda: all(self.lab.beats(name) for name in VMS), 60,
                   "a heartbeat from each guest")
        self.hv("status")
        self.heartbeats()

    def heartbeats(self):
        for name in VMS:
            beat = self.lab.beats(name)[-1]
            self.tell.line(f"{name:5} boot {beat.boot}  up {beat.up:7.2f} s")

    def power_cut(self):
        victim = self.cluster.vms()["web"]["node"]
        self.cluster.host = next(host for host in self.lab.hosts if host != victim)
        self.tell.chapter(f"{victim} loses power")
        lost = [name for name, hosts in self.lab.guests().items() if victim in hosts]
        self.tell.say(f"""{', '.join(lost)} {'runs' if len(lost) == 1 else 'run'} there. The plug is pulled: no goodbye, not even a last packet.
            Here is what {self.cluster.host} sees.""")
        events = Follower(self, self.cluster.host)
        boots = {name: len(lineage(self.lab.beats(name))) for name in lost}
        self.tell.prompt("machine", ["tests/lab/lab", "off", victim])
        began = time.monotonic()
        self.lab.off(victim)
        wait_until(lambda: all(len(lineage(self.lab.beats(name))) > boots[name] for name in lost),
                   60, f"{', '.join(lost)} alive elsewhere")
        alive = time.monotonic() - began
        self.cluster.wait_running(lost)
        events.stop()
        self.tell.good(f"{', '.join(lost)}: running Linux again {alive:.1f} s after the power cut")
        self.hv("report", "failover")
        self.hv("vm", "explain", lost[0])
        return victim

    def comes_back(self, victim):
        self.tell.chapter(f"{victim} comes back")
        self.tell.say("""It starts nothing by itself: what it ran belongs to others now. It reports what it
            runs (nothing), gets what it missed of the log, and is a member again.""")
        self.tell.prompt("machine", ["tests/lab/lab", "on", victim])
        self.lab.on(victim)
        self.cluster.wait_node(victim, "online")
        self.hv("node", "list")

    def drained(self):
        where = self.cluster.vms()
        load = {host: [name for name in VMS if where[name]["node"] == host] for host in self.lab.hosts}
        host = max(self.lab.hosts, key=lambda name: len(load[name]))
        self.cluster.host = next(name for name in self.lab.hosts if name != host)
        self.tell.chapter(f"Maintenance: {host} is drained")
        self.tell.say(f"""{', '.join(load[host])} must leave, running. This is live migration: the guests are not told.""")
        before = {name: self.lab.beats(name)[-1] for name in load[host]}
        self.hv("node", "drain", host, "--wait")
        self.tell.pause(2)
        wait_until(lambda: all(self.lab.beats(name)[-1].n >= before[name].n + 3 for name in load[host]),
                   30, "three more heartbeats of each")
        self.hv("status")
        self.tell.say("What the guests say:")
        now = self.lab.guests()
        for name in load[host]:
            self.judge_moved(name, host, before[name], now.get(name, []))
        self.tell.say("Maintenance is over: they come home the same way.")
        self.hv("node", "resume", host)
        self.came_home(load[host], host)

    def came_home(self, names, host):
        """Live, and of their own: the cluster remembers whom it sent away (setting maintenance_return)."""
        def home():
            vms = self.cluster.vms()
            return all(vms[name]["node"] == host and vms[name]["state"] == "running" for name in names)
        wait_until(home, 30, f"{', '.join(names)} back on {host}")
        copies = self.lab.guests()
        for name in names:
            boot = lineage(self.lab.beats(name))[-1]
            self.check(copies.get(name) == [host], f"{name}: home on {host}, still boot {boot.name}")

    def judge_moved(self, name, source, before, hosts):
        boot = lineage(self.lab.beats(name))[-1]
        self.check(boot.name == before.boot and len(hosts) == 1 and hosts[0] != source,
                   f"{name}: {source} -> {', '.join(hosts)}, still boot {boot.name}, "
                   f"up {before.up:.1f} s before and {boot.last_up:.1f} s now, "
                   f"{boot.beats} heartbeats without a gap")

    def summing_up(self):
        self.tell.chapter("Summing up")
        copies = self.lab.guests()
        self.check(all(len(copies.get(name, [])) == 1 for name in VMS),
                   "each VM runs exactly once")
        for name in VMS:
            boots = lineage(self.lab.beats(name))
            self.tell.good(f"{name}: {len(boots)} boot{'s' if len(boots) > 1 else ''} in its life, never two at a time")
        self.tell.out()

    def run(self):
        self.hosts()
        self.fencing()
        self.guests()
        victim = self.power_cut()
        self.comes_back(victim)
        self.drained()
        self.summing_up()
        return 1 if self.failures else 0


class Follower:
    """`hvcluster events --follow` in the background, each line with the seconds gone by."""

    def __init__(self, demo, host):
        self.tell = demo.tell
        self.tell.prompt(host, ["hvcluster", "events", "--follow"])
        self.began = time.monotonic()
        self.command = demo.lab.start(host, "hvcluster", "events", "--follow",
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.thread = threading.Thread(target=self.pump, daemon=True)
        self.thread.start()
        time.sleep(0.5)

    def pump(self):
        for line in self.command.stdout:
            self.tell.line(line.rstrip())

    def stop(self):
        time.sleep(0.3)
        self.command.terminate()
        self.command.wait()
        self.thread.join(2)


def farewell(lab, teller, keep):
    if keep:
        enter = f"LAB_NAME={lab.name} tests/lab/lab"
        teller.say("The lab is still there.")
        for what, command in (("enter a host", "shell host1"), ("ask the cluster", "exec host1 hvcluster status"),
                              ("pull a plug", "off host2"), ("remove it all", "down")):
            teller.line(f"{what:16} {enter} {command}")
    else:
        lab.down()
        teller.good("all of it is gone: hosts, networks, disks")


def main():
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("bindir")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    teller = Teller(options.quick)
    lab = Lab("demo", bindir=os.path.abspath(options.bindir))
    if os.path.exists("/run/hvlab/demo"):
        print("demo: a lab of that name is still there, from an earlier --keep\n"
              "  try: LAB_NAME=demo tests/lab/lab down", file=sys.stderr)
        return 1
    status = 1
    keep = False
    try:
        status = Demo(lab, teller).run()
        keep = options.keep
    except (LabError, subprocess.TimeoutExpired) as error:
        teller.bad(re.sub(r"\n\s*", "\n  ", str(error)))
        teller.out("  " + lab.run("status", check=False).replace("\n", "\n  "))
    except KeyboardInterrupt:
        status = 130
        teller.out("\ninterrupted")
    finally:
        farewell(lab, teller, keep)
    return status


if __name__ == "__main__":
    sys.exit(main())
