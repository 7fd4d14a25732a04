"""While hosts are fenced, the BMCs' password is nowhere where others could read it.

HV_FENCES says how many fences (default 2).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from labkit import TOP

SECRET = "lab-secret"   # the BMCs' password (tests/lab/lib/bmc.sh)
FENCES = int(os.environ.get("HV_FENCES", "2"))


class Spy:
    """A process beside ours; it learns the secret from its standard input."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(TOP / "tests" / "e2e" / "spy.py"), "3600"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(SECRET + "\n")
        self.process.stdin.flush()

    def end(self):
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)


def files_with_secret(folder):
    found = []
    for path in Path(folder).rglob("*"):
        if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes():
            found.append(str(path))
    return found


def test_the_spy_finds_what_it_is_to_find():
    """ipmitool blanks its password as soon as it runs: that moment is what has to be seen."""
    spy = Spy()
    for _ in range(300):
        subprocess.run(["ipmitool", "-P", SECRET, "-V"], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=30)
    seen = spy.end()
    assert any("ipmitool" in what for what in seen["found"]), seen


def test_no_secret_is_to_be_seen_while_hosts_are_fenced(lab, cluster, tmp_path):
    cluster.run("set", "fence_window_s", "0")
    cluster.run("set", "quarantine_fences", "0")
    cluster.run("set", "fence_test_interval_s", "3")
    cluster.run("set", "fence_lost", "always")
    spy = Spy()
    for i in range(FENCES):
        host = lab.hosts[1 + i % 2]
        cluster.run("fence", "node", host, "--yes", "--wait")
        lab.on(host)
        cluster.wait_node(host, "online")
        cluster.run("fence", "test", "--all", check=False)
    seen = spy.end()
    print(f"{FENCES} fences, all processes looked at {seen['rounds']} times")
    assert seen["rounds"] > FENCES * 5, "it was not looked often enough"
    assert not seen["found"], seen["found"]
    assert sum(len(lab.seen_off(host)) for host in lab.hosts) >= FENCES

    for words in (["status"], ["fence", "list"], ["node", "show", "host2"], ["events", "-n", "1000"],
                  ["op", "list"], ["settings"], ["report", "failover"]):
        for form in ([], ["--json"]):
            assert SECRET not in cluster.run(*words, *form).stdout, words
    for host in lab.hosts:
        disk = Path(lab.run("path", host).strip())
        assert not files_with_secret(disk / "var" / "log"), host
        assert not list(disk.rglob("core.*")) and not list(disk.rglob("core")), "a core file"

    cluster.run("debug", "bundle", "/root/bundle.tar.gz")
    bundle = Path(lab.run("path", "host1").strip()) / "root" / "bundle.tar.gz"
    subprocess.run(["tar", "-xzf", str(bundle), "-C", str(tmp_path)], check=True)
    assert any(tmp_path.rglob("*")), "the bundle is empty"
    assert not files_with_secret(tmp_path)
