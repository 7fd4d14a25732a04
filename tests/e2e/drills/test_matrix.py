"""The migration matrix: each actor of a live migration dies in each phase of it (phases.py).

A drill is a row: one actor, all phases, one after the other in one lab. Besides what the oracle says of every drill:
the command ends and says what is true, the VM speaks again, and no host is fenced for a daemon's or a QEMU's death.
"""

import json
import signal
import subprocess
import time

import pytest

from labkit import wait_until
from support import qemu_starts

from .phases import PHASES, Hold, Missed, found, install_hook, lose, processes, qemus, send

# source host and target host (power), both libvirtds, both hypervisords, both clusterds (one of the two is the
# coordinator, in turn), both QEMUs, the network between the two libvirtds and QEMUs; and, to compare with, nobody.
ACTORS = ("source power", "target power", "source libvirtd", "target libvirtd", "source hypervisord", "target hypervisord",
          "source clusterd", "target clusterd", "source QEMU", "target QEMU", "network", "nobody")
# Who is not there (yet, any more) cannot die.
NOBODY = {("source QEMU", "Confirm"), ("source QEMU", "Resume"), ("target QEMU", "Begin")}
# libvirt needs 30 s to see it: only where it matters. In `Answer` two copies are whole, and neither is told of the other.
CUT_IN = ("Perform", "Answer", "Resume")
LINK = "tcp sport { 16514, 49152-49215 }"
ENDS = 150      # a command ends within; two minutes are not enough where nothing comes through
BEAT = 0.5      # the guest speaks twice a second


def rows():
    for actor in ACTORS:
        phases = CUT_IN if actor == "network" else PHASES
        yield pytest.param(actor, [p for p in phases if (actor, p) not in NOBODY], id=actor.replace(" ", "-"),
                           marks=pytest.mark.telling if actor == "source libvirtd" else ())


class Matrix:
    """The guest that moves, the one that does not, and what a cell needs to know."""

    def __init__(self, drill):
        self.drill, self.lab, self.cluster = drill, drill.lab, drill.cluster
        self.cluster.host = "host3"
        drill.brakes_off()
        drill.set(after_fence="on")
        for host in self.lab.hosts:
            install_hook(self.lab, host)
        [self.stayer] = drill.guests(1, on="host3", linux=0, stem="stayer")
        self.mover = "mover"
        self.cluster.add(*self.lab.mkguest("--full", self.mover))
        drill.running(self.mover)
        drill.speak([self.mover])

    def whole(self):
        done = self.cluster.run("status", "--json", check=False)
        nodes = json.loads(done.stdout)["nodes"] if done.returncode == 0 else []
        return len(nodes) == 3 and all(n["state"] == "online" and n["hypervisor_ok"] for n in nodes)

    def place(self, host):
        wait_until(self.whole, 120, "three hosts, all well")
        if self.drill.where(self.mover) != [host]:
            self.cluster.run("vm", "migrate", self.mover, "--to", host, "--wait")
        self.drill.speak([self.mover])
        assert self.drill.where(self.mover) == [host]

    def kill(self, actor, source, target):
        side, _, what = actor.partition(" ")
        host = source if side == "source" else target
        if what == "power":
            self.drill.cut(host)
        elif what == "QEMU":
            self.send_kill(qemus(self.lab, host, self.mover), actor)
        elif what:
            self.send_kill(processes(self.lab, host, what), actor)
        elif actor == "network":
            lose(self.lab, target, LINK, "cut")

    @staticmethod
    def send_kill(pids, actor):
        assert pids, f"no {actor} to kill"
        send(pids, signal.SIGKILL)

    def silence(self, since):
        heard = [h.t for h in self.drill.record().heard[self.mover]]
        times = [max(t for t in heard if t <= since)] + [t for t in heard if t > since]
        return max(b - a for a, b in zip(times, times[1:])) - BEAT

    def agreed(self):
        vm = self.cluster.vms().get(self.mover, {})
        return vm.get("state") == "running" and self.drill.where(self.mover) == [vm["node"]]

    def cell(self, actor, phase, source, target):
        """One death; returns what to write down."""
        self.place(source)
        boots, since = self.drill.boots(self.mover), time.time()
        hold = Hold(self.lab, self.mover, source, target, phase)
        command = self.lab.start("host3", "hvcluster", "vm", "migrate", self.mover, "--to", target, "--wait",
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            try:
                hold.until_there()
                at = time.time()
                self.kill(actor, source, target)
            except Missed:      # nobody has died: it arrives
                hold.let_go()
                command.communicate(timeout=ENDS)
                raise
            finally:
                hold.let_go()
            said, _ = command.communicate(timeout=ENDS)
            ended = time.time()
            there = self.drill.where(self.mover)
        finally:
            if actor == "network":
                found(self.lab, target, "cut")
        self.drill.speak([self.mover])
        if actor.endswith("power"):     # nobody fences it, and switches it on, when nothing depended on it any more
            for host in self.drill.dark():
                self.lab.on(host)
        wait_until(self.agreed, 30, "the cluster says where it is")
        anew = self.drill.boots(self.mover)[len(boots):]
        home = self.drill.where(self.mover)
        assert len(anew) <= 1, f"started more than once: {anew}"
        if command.returncode == 0:
            assert target in there + home, f"not there, but the command said: {said}"
        else:
            assert anew or home != [target], f"it has arrived, but the command said: {said}"
        how = f"started anew {qemu_starts(self.lab)[self.mover] - at:.1f} s later" if anew else "the same boot"
        words = said.strip().splitlines()
        text = "migrated" if command.returncode == 0 else next(w for w in words if "not migrated" in w).split(": ", 2)[2]
        return f"{actor} | {phase} | {'target' if home == [target] else 'source' if home == [source] else 'third'}, {how}" \
               f" | {max(self.silence(since), 0):.1f} s | {text[:90]} | {ended - at:.1f} s"


    def hit(self, *words):
        """A cell whose phase was hit: on a busy machine it may pass unseen."""
        for _ in range(2):
            try:
                return self.cell(*words)
            except Missed as missed:
                self.drill.note(f"(once more: {missed})")
        return self.cell(*words)


@pytest.mark.parametrize("actor,phases", rows())
def test_migration_matrix(drill, actor, phases):
    """dies in each phase of a live migration, one after the other"""
    matrix = Matrix(drill)
    drill.note("MATRIX | who dies | in | where it runs then | silent for | the command said | after")
    for turn, phase in enumerate(phases):
        source, target = ("host1", "host2") if turn % 2 else ("host2", "host1")
        drill.note("MATRIX | " + matrix.hit(actor, phase, source, target))
    wait_until(matrix.whole, 120, "three hosts, all well")
    drill.untouched([matrix.stayer])
