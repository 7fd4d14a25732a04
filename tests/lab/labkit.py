"""The lab and the cluster in it, for programs: the demonstration and the end-to-end tests.

Lab      the hosts: power, cables, commands inside them; which QEMU really runs where.
Cluster  what the hvcluster program says, as data.
beats()  what the guests say of themselves. `lineage` judges it: a guest that was started twice,
         or ran on two hosts at once, contradicts itself there.
"""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent


class LabError(Exception):
    """A command failed; the text has its words."""


def wait_until(condition, timeout, what, step=0.1):
    """Returns the first true value of condition(), or raises after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout} s: {what}")
        time.sleep(step)


class Lab:
    """One lab, named as LAB_NAME does. Hosts are named by strings: "host1"."""

    def __init__(self, name, bindir=None, token=None, env="", watchdog="", witness=False, quorum="",
                 sbd=False, luns=0, locks=""):
        self.name = name
        self.hosts = []
        self._env = dict(os.environ, LAB_NAME=name, LAB_ENV=env)
        if bindir:
            self._env["LAB_BINDIR"] = str(bindir)
        self.witness = None
        self._env["LAB_WITNESS"] = "1" if witness else ""
        self._env["LAB_QUORUM"] = quorum
        if token:
            self._env["LAB_TOKEN"] = str(token)
        self._env["LAB_WATCHDOG"] = watchdog
        self._env["LAB_LOCKS"] = locks
        self._env["LAB_SBD"] = "1" if sbd else ""
        self._env["LAB_LUNS"] = str(luns or int(sbd))
        self.shared = Path(f"/var/lib/hvlab/{name}/shared")

    def run(self, *words, check=True, timeout=60, **kwargs):
        """Runs the lab program and returns what it prints."""
        done = subprocess.run([str(HERE / "lab"), *map(str, words)], env=self._env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              check=False, **kwargs)
        if check and done.returncode != 0:
            raise LabError(f"lab {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def up(self, count):
        self.run("up", count, timeout=180)
        self.hosts = [f"host{i}" for i in range(1, count + 1)]
        if self._env["LAB_WITNESS"]:
            self.witness = self.hosts.pop()

    def down(self):
        self.run("down")

    def command(self, host, *words):
        """The words that run a command in a host, for subprocess."""
        return [str(HERE / "lab"), "exec", host, *map(str, words)]

    def exec(self, host, *words, timeout=60, check=True, stdin=None):
        """Runs a command in a host; returns the CompletedProcess."""
        done = subprocess.run(self.command(host, *words), env=self._env, text=True, input=stdin,
                              capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise LabError(f"{host}# {' '.join(map(str, words))}\n"
                           f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, host, *words, **kwargs):
        """Starts a command in a host; returns the Popen."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(host, *words), env=self._env, text=True, **kwargs)

    def off(self, *hosts):
        self.run("off", *hosts)

    def on(self, *hosts):
        self.run("on", *hosts)

    def signal(self, host, program, name="KILL"):
        """Sends a signal to every process of that program in a host."""
        self.exec(host, "pkill", f"-{name}", "-x", program[:15])

    def forbid_restart(self, host, program):
        self.exec(host, "touch", f"/run/no-{program}-restart")

    def allow_restart(self, host, program):
        self.exec(host, "rm", "-f", f"/run/no-{program}-restart")

    def bmc(self, host):
        """Options of a host's BMC, as a dict."""
        return dict(line.split("=", 1) for line in self.run("bmc", host).split())

    def mkguest(self, *names, tiny=False, mem=None, options=()):
        """Makes guests; returns the paths of their XML as hosts see them."""
        words = ["--tiny"] if tiny else []
        words += options
        words += ["--mem", mem] if mem else []
        return self.run("mkguest", *words, *names).split()

    def in_guest(self, host, name, script, check=True):
        """Has a shell in a guest run this, through its agent; does not wait for its end."""
        order = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", script]}}
        return self.exec(host, "virsh", "-q", "qemu-agent-command", "--timeout", 10, name, json.dumps(order),
                         check=check)

    def guests(self):
        """{name: [host, ...]}: whose QEMU runs where, by the kernel's word."""
        found = {}
        for line in self.run("guests").splitlines():
            host, name, _ = line.split()
            found.setdefault(name, []).append(host)
        return found

    def seen_off(self, host):
        """The times (seconds since 1970) at which a host was seen to be off."""
        lines = (line.split() for line in self.run("power-log").splitlines())
        return [float(when) for when, name, what in lines if name == host and what == "off"]

    def bitten(self, host):
        """The times at which a host's watchdog ran out."""
        lines = (line.split() for line in self.run("bites", check=False).splitlines())
        return [float(when) for when, name, _ in lines if name == host]

    def beats(self, name):
        return read_beats(self.shared / f"{name}.log")


# --- what guests say


@dataclass(frozen=True)
class Beat:
    boot: str       # names the boot
    up: float       # the guest's uptime in seconds
    n: int          # counts from 0 in each boot


BEAT = re.compile(r"^hb boot=([0-9a-f]+) up=([0-9.]+) n=([0-9]+)(?: |$)")


def read_beats(path):
    """The heartbeats of a guest's serial log; a line torn by a power cut is left out."""
    if not path.exists():
        return []
    lines = path.read_text(errors="replace").replace("\r", "").split("\n")
    found = (BEAT.match(line) for line in lines[:-1])
    return [Beat(m[1], float(m[2]), int(m[3])) for m in found if m]


@dataclass
class Boot:
    """One boot of a guest, as its heartbeats tell it."""
    name: str
    beats: int
    first_up: float
    last_up: float
    longest_gap: float


def lineage(beats):
    """The boots of a guest, oldest first.

    Raises LabError where the guest contradicts itself: within a boot it counts each number once
    and its time never goes back; once it has booted anew, the former boot is silent for ever.
    """
    boots, ended = [], set()
    last = None
    for beat in beats:
        if last is None or beat.boot != last.boot:
            if beat.boot in ended:
                raise LabError(f"two copies ran: boot {beat.boot} spoke after a newer one, {beat}")
            if last is not None:
                ended.add(last.boot)
            boots.append(Boot(beat.boot, 1, beat.up, beat.up, 0.0))
        else:
            if beat.n != last.n + 1 or beat.up < last.up:
                raise LabError(f"two copies ran, or time went back: {beat} came after {last}")
            boot = boots[-1]
            boot.beats += 1
            boot.longest_gap = max(boot.longest_gap, beat.up - last.up)
            boot.last_up = beat.up
        last = beat
    return boots


# --- what the cluster says


class Cluster:
    """The hvcluster program, asked on `host` (which a test may change)."""

    def __init__(self, lab, host="host1"):
        self.lab = lab
        self.host = host

    def run(self, *words, host=None, check=True, timeout=90):
        return self.lab.exec(host or self.host, "hvcluster", *words, check=check, timeout=timeout)

    def json(self, *words, host=None, timeout=30):
        """The answer to a command with --json."""
        return json.loads(self.run(*words, "--json", host=host, timeout=timeout).stdout)

    def status(self, host=None):
        return self.json("status", host=host)

    def nodes(self, host=None):
        """{name: node}"""
        return {node["name"]: node for node in self.status(host)["nodes"]}

    def vms(self, host=None):
        """{name: vm}"""
        return {vm["name"]: vm for vm in self.json("vm", "list", host=host).get("vms", [])}

    def report(self, host=None):
        return self.json("report", "failover", host=host)

    def protect(self):
        """Tells the cluster the BMC of each host."""
        for host in self.lab.hosts:
            options = self.lab.bmc(host)
            secret = options.pop("password")
            self.lab.exec(self.host, "sh", "-c", "umask 077; cat >/root/bmc-password",
                          stdin=secret)
            words = [word for pair in options.items() for word in ("-o", "=".join(pair))]
            self.run("fence", "add", host, "ipmi", "--agent", "fence_ipmilan", *words,
                     "--secret-file", "password=/root/bmc-password")

    def add(self, *paths):
        for path in paths:
            self.run("vm", "add", path)

    def wait_running(self, names, timeout=60, host=None):
        """Waits until these VMs are running by the cluster's word; returns {name: vm}."""
        def running():
            vms = self.vms(host)
            return vms if all(vms.get(name, {}).get("state") == "running" for name in names) else None
        try:
            return wait_until(running, timeout, f"{', '.join(names)} running")
        except LabError as error:
            raise LabError(f"{error}\n{self.run('status', host=host, check=False).stdout}") from None

    def wait_node(self, name, state, timeout=60, host=None):
        return wait_until(lambda: self.nodes(host)[name]["state"] == state, timeout,
                          f"{name} {state}")
