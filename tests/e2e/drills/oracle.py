"""The oracle: was a VM twice, is one lost, was a host fenced without need?

It believes what was seen from outside (observer.py), what the guests wrote to the shared storage, and the power log of
the lab: neither the cluster nor libvirt is asked. `judge` is a function of these; tests/e2e/drills/test_oracle.py
shows that it can say no.

    twice   two QEMU processes of one VM live at a time, and the later one is not the waiting end of a live migration;
            or the guest contradicts itself (labkit.lineage); or its disk was written by a host where none was seen
    lost    a VM that is to run has not exactly one QEMU in the end, or does not speak any more
    fence   a host went off, or its BMC was told to, that neither the drill nor its declared victims explain
"""

import json
import re
from dataclasses import dataclass, field

from labkit import Beat, LabError, lineage

SLACK = 0.06        # two samples and a clock tick: two processes that overlap for less do not count
UNHEARD = 3         # words of a boot that nobody heard: its kernel cut in, or it began when the observer ended
MOMENT = 1.5        # between the guest's question where it is and its word, over a migration
BLIND = 3.0         # an observer that did not look for so long proves nothing


@dataclass
class Qemu:
    """The life of one QEMU process; `last` is when it was last seen."""
    vm: str
    pid: int
    host: str
    began: float
    incoming: bool
    last: float = None


@dataclass
class Heard:
    """A heartbeat, when it was heard, and the processes of that VM which lived just then."""
    t: float
    beat: Beat
    alive: tuple


@dataclass
class Record:
    qemus: list = field(default_factory=list)
    heard: dict = field(default_factory=dict)       # vm -> [Heard]
    longest_gap: float = None
    end: float = None

    def alive(self, vm):
        return [qemu for qemu in self.qemus if qemu.vm == vm and qemu.last is None]


def read_record(path):
    """What the observer has written so far; a line that is being written is left out."""
    record, living = Record(), {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        word = json.loads(line)
        if word["ev"] == "start":
            qemu = Qemu(word["vm"], word["pid"], word["host"], word["began"], word["incoming"])
            living[qemu.pid] = qemu
            record.qemus.append(qemu)
        elif word["ev"] == "gone":
            living.pop(word["pid"]).last = word["t"]
        elif word["ev"] == "beat":
            beat = Beat(word["boot"], word["up"], word["n"])
            record.heard.setdefault(word["vm"], []).append(Heard(word["t"], beat, tuple(word["alive"])))
        else:
            record.longest_gap, record.end = word["longest_gap"], word["t"]
    return record


@dataclass
class Power:
    """What the lab's power log, its BMCs and its watchdogs say: (time, host)."""
    off: list = field(default_factory=list)
    pressed: list = field(default_factory=list)     # a BMC was told to switch off or to reset
    bitten: list = field(default_factory=list)


@dataclass
class Expected:
    """What a drill says of itself."""
    running: set = field(default_factory=set)       # VMs that are to run in the end
    stopped: set = field(default_factory=set)       # VMs that are not to run in the end
    own: list = field(default_factory=list)         # (from, to, host): the drill itself switched it off
    must: dict = field(default_factory=dict)        # host -> how often it is to be fenced
    may: set = field(default_factory=set)           # hosts that may be fenced
    copies: list = field(default_factory=list)      # (from, to, vm, host): a copy that the drill itself made


def interval(qemu, end):
    return qemu.began, end if qemu.last is None else qemu.last


def executed(record, qemu):
    """Has it spoken while no other process of its VM lived? An incoming copy that waits has not."""
    return any(heard.alive == (qemu.pid,) for heard in record.heard.get(qemu.vm, []))


def made_by_drill(qemu, expected):
    return any(since <= qemu.began <= until and (vm, host) == (qemu.vm, qemu.host)
               for since, until, vm, host in expected.copies)


def twice_by_processes(record, vm, expected):
    """Pairs of processes that lived at the same time without being the two ends of a migration."""
    lives = [qemu for qemu in record.qemus if qemu.vm == vm and not made_by_drill(qemu, expected)]
    lives.sort(key=lambda qemu: qemu.began)
    for i, later in enumerate(lives):
        for earlier in lives[:i]:
            over = interval(earlier, record.end)[1] - later.began
            if over <= SLACK or later.incoming:
                continue    # whether both ends of a migration ran is told by the stamps
            if earlier.incoming and not executed(record, earlier):
                continue    # a copy that only ever waited
            yield f"{vm} twice: a QEMU was started on {later.host} while that on {earlier.host} lived on for {over:.2f} s"


def twice_by_beats(record, vm):
    try:
        lineage([heard.beat for heard in record.heard.get(vm, [])])
    except LabError as error:
        yield f"{vm} twice: {error}"


def spoke_from_nowhere(record, vm):
    for heard in record.heard.get(vm, []):
        if not heard.alive:
            yield f"{vm} twice: it spoke ({heard.beat}) when no QEMU of its was seen"
            return


STAMP = re.compile(r"hb boot=([0-9a-f]+) up=([0-9.]+) n=([0-9]+) boots=([0-9]+) t=([0-9]+) seq=([0-9]+) host=(\S+)")


@dataclass(frozen=True)
class Stamp:
    """What a guest wrote to its disk."""
    boot: str
    n: int
    boots: int
    t: int
    seq: int
    host: str


def read_stamps(image):
    text = image.read_bytes().replace(b"\0", b"").decode(errors="replace")
    found = [Stamp(m[1], int(m[3]), int(m[4]), int(m[5]), int(m[6]), m[7]) for m in STAMP.finditer(text)]
    return sorted(found, key=lambda stamp: stamp.seq)


def hosts_about(record, vm, t):
    """Where a QEMU of this VM lived just then or a moment before: a guest may ask where it is, migrate, and say it."""
    return {qemu.host for qemu in record.qemus
            if qemu.vm == vm and qemu.began <= t + SLACK and (qemu.last is None or qemu.last >= t - MOMENT)}


def judge_stamps(record, vm, stamps):
    """The disk tells one story, and it is the one that was heard and seen. The guest's clock is not asked: the same
    words came over its serial line, and when those were heard is known."""
    for last, this in zip(stamps, stamps[1:]):
        if this.boot == last.boot and this.n - last.n != this.seq - last.seq or this.boots < last.boots or \
                this.boot != last.boot and this.boots == last.boots:
            yield f"{vm} twice: its disk has {this} after {last}"
    heard = {(h.beat.boot, h.beat.n): h for h in record.heard.get(vm, [])}
    last_word = {boot: n for boot, n in sorted(heard)}
    unheard = {}
    first = {}      # when each number of boots was first heard
    for stamp in stamps:
        when = heard.get((stamp.boot, stamp.n))
        if when:
            first[stamp.boots] = min(when.t, first.get(stamp.boots, when.t))
    for stamp in stamps:
        when = heard.get((stamp.boot, stamp.n))
        if not when:
            # What it says last may be lost with the power, or came after the observer's end.
            if stamp.n < last_word.get(stamp.boot, stamp.n + 1):
                unheard[stamp.boot] = unheard.get(stamp.boot, 0) + 1
            if unheard.get(stamp.boot, 0) > UNHEARD:
                yield f"{vm} twice: its disk has {stamp}, which it never said"
                return
        elif when.t > first.get(stamp.boots + 1, when.t) + SLACK:
            yield f"{vm} twice: its disk has {stamp}, which was written after a newer boot began"
            return
        elif stamp.host != "-" and stamp.host not in hosts_about(record, vm, when.t):
            yield f"{vm} twice: its disk has {stamp}, and no QEMU of its was seen there then"
            return


def lost(record, vm):
    alive = record.alive(vm)
    if len(alive) != 1:
        where = ", ".join(qemu.host for qemu in alive) or "nowhere"
        yield f"{vm} lost: in the end it runs {where}" if not alive else f"{vm} twice: in the end it runs on {where}"
        return
    spoken = [heard for heard in record.heard.get(vm, []) if heard.t > record.end - SILENCE and alive[0].pid in heard.alive]
    if len(spoken) < 2:
        yield f"{vm} lost: its QEMU on {alive[0].host} is there, but it has been silent"


SILENCE = 10.0      # a guest speaks once or twice a second


def needless_fences(power, expected):
    seen = {}
    for when, host in power.off:
        if not any(since - 0.1 <= when <= until + 0.1 and host == own for since, until, own in expected.own):
            seen[host] = seen.get(host, 0) + 1
    for host, count in seen.items():
        if host not in expected.must and host not in expected.may:
            yield f"needless fence: {host} went off {count} times"
        elif host in expected.must and count > expected.must[host]:
            yield f"needless fence: {host} went off {count} times, not {expected.must[host]}"
    for host, count in expected.must.items():
        if seen.get(host, 0) < count:
            yield f"no fence: {host} was to be switched off {count} times, and was {seen.get(host, 0)} times"
    explained = set(expected.must) | expected.may | {own for _, _, own in expected.own}
    for host in sorted({host for _, host in power.pressed + power.bitten} - explained):
        yield f"needless fence: the BMC or the watchdog of {host} was at work"


def judge(record, power, expected, stamps=None):
    """Every complaint, as a sentence. `stamps` = {vm: what its disk says} of the guests that have one."""
    if record.end is None:
        return ["the observer did not end as it should"]
    complaints = []
    if record.longest_gap > BLIND:
        complaints.append(f"the observer was blind for {record.longest_gap:.1f} s: this drill proves nothing")
    for vm in sorted({qemu.vm for qemu in record.qemus} | set(record.heard)):
        complaints += twice_by_processes(record, vm, expected)
        complaints += twice_by_beats(record, vm)
        complaints += spoke_from_nowhere(record, vm)
    for vm in sorted(stamps or {}):
        complaints += judge_stamps(record, vm, stamps[vm])
    for vm in sorted(expected.running):
        complaints += lost(record, vm)
    complaints += [f"{vm} runs on {qemu.host}, and is not to" for vm in sorted(expected.stopped)
                   for qemu in record.alive(vm)]
    complaints += needless_fences(power, expected)
    return complaints


def downtimes(record, since):
    """{vm: its longest silence after `since`}; one that never spoke again is silent to the end."""
    found = {}
    for vm, heard in record.heard.items():
        times = [h.t for h in heard]
        first = next((t for t in reversed(times) if t <= since), since)
        later = [t for t in times if t > since]
        points = [first] + later + ([record.end] if record.end and not later else [])
        found[vm] = max((b - a for a, b in zip(points, points[1:])), default=0.0)
    return found
