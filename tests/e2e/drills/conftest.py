"""Fixtures of the drills, and the table at the end of the run.

A drill takes `drill` (see drill.py), does something terrible and returns; then the oracle judges, whatever the
drill itself found. Only those marked `telling` are part of ./check: each other one gets the mark `drill`.
DRILLS_TABLE=FILE holds the table as JSON, with what was found, while the run goes on.
With pytest-xdist (-n 2) each worker has a lab of its own, and the table is the first process's.
"""

import json
import os
import time

import pytest

from .drill import Drill

ROWS = []
ROW = "row of the table"


def pytest_configure(config):
    config.addinivalue_line("markers", "telling: a drill that ./check runs")
    config.addinivalue_line("markers", "unprotected: without fence devices")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "drill" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("telling"):
            item.add_marker("drill")


@pytest.fixture
def drill(request, lab, tmp_path):
    made = Drill(lab, tmp_path, protect=not request.node.get_closest_marker("unprotected"))
    yield made
    made.close()


@pytest.fixture
def cluster(drill):
    return drill.cluster


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Calls the drill and then the oracle, whose complaints count as the drill's own failure."""
    made = pyfuncitem.funcargs.get("drill")
    if not isinstance(made, Drill):
        return None
    words = pyfuncitem.funcargs
    row = {"drill": pyfuncitem.name, "done": (pyfuncitem.obj.__doc__ or "").strip().splitlines()[0:1],
           "verdict": "FAILED", "began": time.time()}
    failure = None
    try:
        pyfuncitem.obj(**{name: words[name] for name in pyfuncitem._fixtureinfo.argnames})
    except Exception as error:      # pylint: disable=broad-except
        failure = error
    try:
        complaints = made.judge()
        row["silence"], row["fences"] = made.summary()
    finally:
        row["took"], row["notes"] = time.time() - row["began"], made.notes
    row["why"] = complaints + ([f"{type(failure).__name__}: {failure}"[:2000]] if failure else [])
    if not row["why"]:
        row["verdict"] = "ok"
    pyfuncitem.user_properties.append((ROW, row))
    if complaints:
        raise AssertionError("the oracle: " + "; ".join(complaints)) from failure
    if failure:
        raise failure
    return True


def pytest_runtest_logreport(report):
    """After each drill, so that a long run can be watched; of a worker, too."""
    if report.when == "call":
        ROWS.extend(value for name, value in report.user_properties if name == ROW)
        ROWS.sort(key=lambda row: row["began"])
        write_table()


def write_table():
    if os.environ.get("DRILLS_TABLE") and not os.environ.get("PYTEST_XDIST_WORKER"):
        with open(os.environ["DRILLS_TABLE"], "w", encoding="utf-8") as file:
            json.dump(ROWS, file, indent=1)


def table():
    yield "drill", "what was done", "verdict", "time", "longest silence of a VM", "fences seen"
    for row in ROWS:
        silence, vm = row.get("silence", (0.0, "-"))
        fences = ", ".join(f"{host} {count}x" for host, count in sorted(row.get("fences", {}).items()))
        yield (row["drill"].removeprefix("test_"), "".join(row["done"]), row["verdict"], f"{row.get('took', 0):.0f} s",
               f"{silence:.1f} s ({vm})", fences or "-")


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    lines = list(table())
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    terminalreporter.section(f"drills: {sum(row['verdict'] == 'ok' for row in ROWS)} of {len(ROWS)} passed")
    for line in lines:
        terminalreporter.write_line("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())
    for note in dict.fromkeys(note for row in ROWS for note in row.get("notes", [])):
        terminalreporter.write_line(note)
