"""Choice of the program that runs one of our modules."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import ROOT
from trayapp.system.processes import interpreter

FROZEN = ROOT / "packaging/pyinstaller/frozen.py"


@pytest.mark.parametrize(
    ("executable", "frozen", "taken"),
    [
        ("bin/python3", False, "bin/python3"),
        ("app/amberlight", True, "app/amberlight"),
        ("app/amberlight.exe", True, "app/amberlight.exe"),
        ("app/amberlightw.exe", True, "app/amberlight.exe"),
        ("app/AMBERLIGHTW.EXE", True, "app/amberlight.exe"),
        ("app/amberlightw.exe", False, "app/amberlightw.exe"),
    ],
)
def test_the_console_program_is_chosen(executable: str, frozen: bool, taken: str) -> None:
    """Of the two programs of a frozen Windows build a login starts the one that has none."""

    assert taken == interpreter(executable, frozen=frozen)


def test_the_frozen_program_runs_modules_of_ours_and_no_others() -> None:
    """What it is started with for a child; anything else is the command line, which refuses what it does not know."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, FROZEN, *arguments],
            input="{}",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert "unreadable" == run("-m", "trayapp.oauth.jose").stdout
    refused = run("-m", "this")
    assert (2, "") == (refused.returncode, refused.stdout)
