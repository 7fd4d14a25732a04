"""Fixtures of the end-to-end tests: real hosts, real corosync, libvirt, QEMU and fence agent.

Needs root and a build: LAB_BINDIR says where (default: build-check, build or the source folder,
whichever has clusterd). Every test has a lab of its own, so that it starts from nothing.
"""

import os
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lab"))

# pylint: disable=wrong-import-position
from labkit import Cluster, Lab, LabError  # noqa: E402

# A crash must not look like an orderly end, and leaks are the unit tests' business.
SANITIZERS = ("ASAN_OPTIONS=abort_on_error=1:detect_leaks=0 "
              "UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1")


def bindir():
    given = os.environ.get("LAB_BINDIR")
    places = [Path(given)] if given else [TOP / "build-check", TOP / "build", TOP]
    return next((place for place in places if (place / "clusterd" / "clusterd").exists()), None)


def pytest_configure(config):
    config.addinivalue_line("markers", "hosts(n): how many hosts the lab has (default 3)")
    config.addinivalue_line("markers", "witness: the last host is no node, but a witness with a quorum device")
    config.addinivalue_line("markers", "quorum(line, ...): lines for corosync.conf's quorum section")
    config.addinivalue_line("markers", "bare: without clusterd")
    config.addinivalue_line("markers", "watchdog(options, token): each host has one")
    config.addinivalue_line("markers", "luns(n): shared block devices /dev/lun1 to /dev/lunN")
    config.addinivalue_line("markers", "locks(which): libvirt's lock manager, lockd")
    config.addinivalue_line("markers", "sbd: each host runs sbd's watcher on /dev/lun1")
    config.addinivalue_line("markers", "drill: takes minutes; ./check leaves it out (pytest -m drill runs them)")
    config.addinivalue_line("markers", "timing: measures, and is left out for a sanitized build")
    config.addinivalue_line("markers", "plain: a sanitized build cannot do it, or not in time; ./check runs it with the figures")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        reason = "the lab needs root"
    elif bindir() is None:
        reason = "clusterd is not built (LAB_BINDIR says where to look)"
    else:
        reason = None
    for item in items:
        if reason and (os.geteuid() != 0 or not item.get_closest_marker("bare")):
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("timing") and sanitized():
            item.add_marker(pytest.mark.skip(reason="figures of a sanitized build mean nothing"))
        if item.get_closest_marker("plain") and sanitized():
            item.add_marker(pytest.mark.skip(reason="on the ordinary build"))


def sanitized():
    place = bindir()
    return place is not None and b"__asan_init" in (place / "clusterd" / "clusterd").read_bytes()


def quorum_of(request):
    marker = request.node.get_closest_marker("quorum")
    return ";".join(marker.args) if marker else ""


@pytest.fixture
def lab(request):
    marker = request.node.get_closest_marker("hosts")
    bare = request.node.get_closest_marker("bare")
    dog = request.node.get_closest_marker("watchdog")
    luns, sbd, locks = (request.node.get_closest_marker(name) for name in ("luns", "sbd", "locks"))
    if (dog or sbd) and not (bindir() / "tests/lab/labdog").exists():
        pytest.skip("tests/lab/labdog is not built: it needs libfuse3-dev")
    made = Lab(os.environ.get("LAB_NAME", "e2e") + os.environ.get("PYTEST_XDIST_WORKER", ""), bindir="/nonexistent" if bare else bindir(),
               witness=bool(request.node.get_closest_marker("witness")), quorum=quorum_of(request),
               env=SANITIZERS if sanitized() else "", watchdog=dog.args[0] if dog else "",
               token=dog.args[1] if dog else None, sbd=bool(sbd), luns=luns.args[0] if luns else 0,
               locks=locks.args[0] if locks else "")
    made.down()
    made.up(marker.args[0] if marker else 3)
    yield made
    crashes = sanitizer_reports(made)
    made.down()
    assert not crashes, crashes


def sanitizer_reports(made):
    """What the sanitizers said in the hosts' logs."""
    found = []
    for host in made.hosts:
        text = made.run("logs", host, "clusterd", check=False)
        found += [f"{host}: {line}" for line in text.splitlines()
                  if "ERROR: AddressSanitizer" in line or "runtime error:" in line]
    return "\n".join(found)


@pytest.fixture
def cluster(lab):
    """A cluster that may fence: every host's BMC is known to it."""
    made = Cluster(lab)
    made.protect()
    return made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test says what its lab looked like, while it is still there."""
    outcome = yield
    report = outcome.get_result()
    made = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and made:
        report.sections.append(("lab", describe(made)))


def describe(made):
    parts = []

    def add(title, call):
        try:
            parts.append(f"--- {title}\n{call()}")
        except (LabError, OSError, ValueError) as error:
            parts.append(f"--- {title}: {error}")

    def tail(text, lines):
        return "\n".join(text.splitlines()[-lines:])

    add("lab status", lambda: made.run("status"))
    add("lab guests", lambda: made.run("guests"))
    add("lab power-log", lambda: made.run("power-log"))
    for host in made.hosts:
        add(f"{host}: hvcluster status",
            lambda host=host: made.exec(host, "timeout", 3, "hvcluster", "status", check=False).stdout)
        add(f"{host}: clusterd", lambda host=host: tail(made.run("logs", host, "clusterd"), 40))
        add(f"{host}: supervise",
            lambda host=host: tail(made.run("logs", host, "supervise", check=False), 5))
    return "\n".join(parts)
