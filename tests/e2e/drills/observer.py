"""observer.py LAB OUTPUT-FILE: what really runs, seen from outside of all hosts.

Samples about 40 times a second, until SIGTERM, every QEMU process of the lab's hosts, and every other QEMU of this
machine that has the UUID of one of the lab's guests; and reads what the guests say as they say it. It asks nobody but
the kernel. Writes one JSON document a line:

{"ev": "start", "t": .., "pid": .., "host": "host2" or "outside", "vm": .., "began": .., "incoming": bool}
{"ev": "gone", "t": last time it was seen, "pid": .., "began": ..}
{"ev": "beat", "t": .., "vm": .., "boot": .., "up": .., "n": .., "alive": [pid, ..]}     pids that lived just then
{"ev": "end", "t": .., "longest_gap": the longest time it did not look}
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

# pylint: disable=wrong-import-position
from labkit import BEAT  # noqa: E402

PERIOD = 0.025
WHOLE_MACHINE = 10      # every so many samples processes outside of the hosts are looked at
UUID = re.compile(rb"<uuid>([0-9a-f-]{36})</uuid>")


def cgroup_root():
    with open("/proc/mounts", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.split()[2] == "cgroup2")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:     # it has ended meanwhile
        return b""


def life(pid):
    """(state, start in clock ticks) of a process, or None."""
    text = read(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text.rsplit(b")", 1)[1].split()
    return fields[0].decode(), int(fields[19])


class Observer:
    def __init__(self, lab, out):
        self.group = f"hvlab-{lab}"
        self.hosts = Path(cgroup_root()) / self.group / "hosts"
        self.shared = Path(f"/var/lib/hvlab/{lab}/shared")
        self.out = out
        self.uuids = {}         # of the lab's guests -> name
        self.listed = 0
        self.young = {}         # pid -> (looks so far, samples until the next): it may be about to exec QEMU
        self.old = set()        # pids that are no QEMU of ours
        self.qemus = {}         # pid -> (ticks, began, vm)
        self.logs = {}          # vm -> [offset, rest of a line]
        self.before = {}        # vm -> pids at the sample before
        self.last = time.time()
        self.gap = 0.0
        self.samples = 0

    def tell(self, **words):
        self.out.write(json.dumps(words) + "\n")

    def learn_guests(self):
        changed = os.stat(self.shared).st_mtime_ns
        if changed == self.listed:
            return
        self.listed = changed
        for path in self.shared.glob("*.xml"):
            found = UUID.search(read(path))
            if found and path.stem not in self.logs:
                self.uuids[found[1].decode()] = path.stem
                self.logs[path.stem] = [0, b""]
                self.listed = 0     # it may not be written to its end
            elif found:
                self.uuids[found[1].decode()] = path.stem

    def pids(self):
        found = set()
        for group in self.hosts.glob("host*"):
            found.update(int(pid) for pid in read(group / "cgroup.procs").split())
        if self.samples % WHOLE_MACHINE == 0:
            found.update(int(pid) for pid in os.listdir("/proc") if pid.isdigit())
        return found

    def is_qemu(self, pid):
        return read(f"/proc/{pid}/comm").startswith(b"qemu-system")

    def meet(self, pid, now):
        """A process that was not known as a QEMU: is it one of ours?"""
        if not self.is_qemu(pid):
            return False
        words = read(f"/proc/{pid}/cmdline").split(b"\0")
        text = b" ".join(words)
        uuid = next((words[i + 1].decode() for i, word in enumerate(words[:-1]) if word == b"-uuid"), "")
        place = read(f"/proc/{pid}/cgroup").decode()
        where = re.search(rf"/{self.group}/hosts/(host[0-9]+)", place)
        name = self.uuids.get(uuid)
        if not name and where:      # a guest that the lab has no XML of; or libvirt asks a QEMU what it can do
            guest = re.search(rb"guest=([^, ]+)", text)
            name = guest[1].decode() if guest else None
        alive = life(pid)
        if not name or not alive:
            return bool(words[:-1])     # exec may be under way: without words it is looked at again
        began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + alive[1] / os.sysconf("SC_CLK_TCK")
        self.qemus[pid] = (alive[1], began, name)
        self.tell(ev="start", t=now, pid=pid, host=where[1] if where else "outside", vm=name, began=began,
                  incoming=b"-incoming" in words)
        return True

    def look_at_processes(self, now):
        here = self.pids()
        if self.samples % WHOLE_MACHINE == 0:
            self.old &= here
        for pid in here - self.old:
            if pid in self.qemus:
                continue
            looks, wait = self.young.pop(pid, (0, 0))
            if wait > 0:
                self.young[pid] = (looks, wait - 1)
            elif not self.meet(pid, now):
                if looks < 9:
                    self.young[pid] = (looks + 1, 2 ** looks)
                else:
                    self.old.add(pid)
            elif pid not in self.qemus:
                self.old.add(pid)
        for pid in [pid for pid in self.young if pid not in here]:
            del self.young[pid]

    def look_at_qemus(self):
        alive = {}
        for pid, (ticks, began, name) in list(self.qemus.items()):
            state = life(pid)
            if state is None or state[1] != ticks or state[0] in "ZX":
                self.tell(ev="gone", t=self.last, pid=pid, began=began)
                del self.qemus[pid]
            else:
                alive.setdefault(name, set()).add(pid)
        return alive

    def hear(self, now, alive):
        for name, place in self.logs.items():
            path = self.shared / f"{name}.log"
            try:
                if os.stat(path).st_size <= place[0]:
                    continue
                with open(path, "rb") as file:
                    file.seek(place[0])
                    fresh = file.read()
            except OSError:
                continue
            place[0] += len(fresh)
            lines = (place[1] + fresh).split(b"\n")
            place[1] = lines.pop()
            about = sorted(alive.get(name, set()) | self.before.get(name, set()))
            for line in lines:
                beat = BEAT.match(line.decode(errors="replace").replace("\r", ""))
                if beat:
                    self.tell(ev="beat", t=now, vm=name, boot=beat[1], up=float(beat[2]), n=int(beat[3]), alive=about)

    def sample(self):
        now = time.time()
        self.gap = max(self.gap, now - self.last)
        self.learn_guests()
        self.look_at_processes(now)
        alive = self.look_at_qemus()
        self.hear(now, alive)
        self.before, self.last = alive, now
        self.samples += 1
        self.out.flush()


def main():
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        print(f"observer: runs at ordinary priority: {error}", file=sys.stderr)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        observer = Observer(sys.argv[1], out)
        observer.sample()
        print("ready", flush=True)
        while not ended:
            time.sleep(PERIOD)
            observer.sample()
        observer.tell(ev="end", t=time.time(), longest_gap=observer.gap)


main()
