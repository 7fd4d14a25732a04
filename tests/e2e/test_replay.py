"""What was decided is decided again, on the host and elsewhere; a bundle tells no secret."""

import base64
import io
import json
import os
import subprocess
import tarfile

from conftest import bindir
from labkit import wait_until
from support import add_guests, names

HISTORY = "/var/lib/hvcluster/history"


def replay_here(path, *words):
    """hvcluster replay on this machine, which is no host of the cluster: the lines of --json."""
    done = subprocess.run([bindir() / "cli" / "hvcluster", "replay", path, *words, "--json"],
                          text=True, capture_output=True, timeout=60, check=False,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def replay_on(lab, host, *words):
    out = lab.exec(host, "hvcluster", "replay", HISTORY, *words, "--json").stdout
    return [json.loads(line) for line in out.splitlines()]


def fetch(lab, host, command):
    """What a command in a host writes, as bytes."""
    return base64.b64decode(lab.exec(host, "sh", "-c", f"{command} | base64").stdout)


def unpack(data, folder):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder)
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def test_a_failover_is_decided_the_same_again(lab, cluster, tmp_path):
    wanted = names(2)
    add_guests(lab, cluster, wanted, on="host3")
    lab.off("host3")
    wait_until(lambda: set(lab.guests()) == set(wanted), 60, "two QEMUs elsewhere")
    cluster.wait_running(wanted)

    last = min(replay_on(lab, host)[-1]["end"]["index"] for host in ("host1", "host2"))
    there = replay_on(lab, "host1", "--until", str(last))
    end = there[-1]["end"]
    assert end["equal"] is True and end["entries"] > 0
    assert replay_on(lab, "host2", "--until", str(last))[-1]["end"]["digest"] == end["digest"]
    assert any(line.get("what") == "begin" and line["text"].startswith("fence of host3")
               for line in there), there
    for name in wanted:
        assert any(line.get("object") == f"vm {name}" and "recovering" in line["text"]
                   for line in there), name

    folder = tmp_path / "history"
    folder.mkdir()
    unpack(fetch(lab, "host1", f"tar -c -C {HISTORY} ."), folder)
    here = replay_here(folder, "--until", str(last))
    assert here[-1]["end"]["equal"] is True
    assert here[-1]["end"]["digest"] == end["digest"]
    assert here[:-1] == there[:-1]


def test_a_bundle_holds_what_is_needed_and_no_secret(lab, cluster, tmp_path):
    secret = lab.bmc("host1")["password"].encode()
    add_guests(lab, cluster, names(1))
    assert secret in fetch(lab, "host1", f"cat {HISTORY}/*"), "else nothing is shown below"
    said = lab.exec("host1", "env", "HVCLUSTER_STATE_DIR=/var/lib/hvcluster", "hvcluster", "debug",
                    "bundle", "/root/bundle.tar.gz", "--json").stdout
    assert json.loads(said)["secrets_known"] >= 1
    assert json.loads(said)["history"] is True
    files = unpack(fetch(lab, "host1", "cat /root/bundle.tar.gz"), tmp_path)
    assert {"README", "replay.history", "status.json", "vms.json", "nodes.json", "corosync.conf",
            "settings.json", "version.txt", "log-clusterd.log"} <= set(files), sorted(files)
    for name, path in files.items():
        assert secret not in path.read_bytes(), name
    assert len(json.loads(files["nodes.json"].read_text())["nodes"]) == 3
    end = replay_here(files["replay.history"])[-1]["end"]
    assert end["entries"] > 0 and end["equal"] is None
