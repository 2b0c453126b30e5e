"""The soak in its shortest form, and what it holds its samples against; `packaging/bench/soak.py` is the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT
from tests.desktop.conftest import require_desk
from tests.requirements import skip_or_fail

pytestmark = pytest.mark.linux("the soak runs on the headless desktop")

SOAK = ROOT / "packaging/bench/soak.py"
LEAK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from soak import bounds
from soak_life import Sample

rows = json.loads(sys.stdin.read())
print(json.dumps([each.what for each in bounds([Sample(**row) for row in rows]) if not each.kept]))
"""
CALM = {"private_kb": 44000, "descriptors": 32, "threads": 9, "log_kb": 300, "state_kb": 4500}


def exceeded(**growth: float) -> list[str]:
    """The bounds that a soak of 20 minutes exceeds in which these figures grow with each sample."""
    rows = []
    for number in range(100):
        row = {"at": 12.0 * number, "refreshes": 60 * number, **CALM}
        rows.append({**row, **{name: row[name] + each * number for name, each in growth.items()}})
    done = subprocess.run(
        [sys.executable, "-c", LEAK, str(SOAK.parent)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_leak_of_any_kind_exceeds_a_bound() -> None:
    """A descriptor every five troubles, 60 KB of memory for each, a thread every ten; calm samples keep all bounds."""

    assert [] == exceeded()
    assert ["descriptors: growth"] == exceeded(descriptors=0.2)
    assert ["memory: growth, KB"] == exceeded(private_kb=60.0)
    assert ["threads: most"] == exceeded(threads=0.1)
    assert ["log: KB, rotated"] == exceeded(log_kb=100.0)
    assert ["state.db: KB"] == exceeded(state_kb=100.0)


@pytest.mark.slow
def test_a_short_soak_keeps_its_bounds() -> None:
    """Network, keyring and notifications go and come back, and nothing is lost or left behind."""

    require_desk()
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    if subprocess.run(["unshare", *user, "--net", "true"], capture_output=True, check=False).returncode:
        skip_or_fail("no network namespaces here: neither root nor user namespaces")
    done = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "0.2", "--workloads", "12", "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert ([], 0) == (found["wrong"], done.returncode)
    assert {"network away", "keyring locked", "notifications restarted"} <= found["troubles"].keys()
    assert found["samples"][-1]["refreshes"] > 24, found["samples"]
