"""The whole app in a network namespace: the far end of its link goes down and comes back, reported by the kernel alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests import ROOT
from tests.osevents.test_polling import require_namespace

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.linux("network namespaces are Linux's"),
]


def played(case: str) -> list[dict[str, Any]]:
    """The rounds of `packaging/bench/recovery.py`, which plays this in two network namespaces."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "packaging/bench/recovery.py", "--rounds", "2", "--case", case, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rounds: list[dict[str, Any]] = json.loads(done.stdout)[case]["rounds"]
    return rounds


def test_a_pulled_cable_is_amber_and_its_return_green() -> None:
    """Every workload is offline while the far end is down, although the route stays, and runs when it is up; twice."""

    require_namespace()

    rounds = played("10x5")

    assert 2 == len(rounds)
    for each in rounds:
        assert {"auth_retrying offline": 10} == each["down"]
        assert {"running ok": 10} == each["up"]
        assert "rtnetlink" in each["sources"]
