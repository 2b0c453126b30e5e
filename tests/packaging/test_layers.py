"""The import contracts of pyproject.toml hold, and a planted violation of each kind breaks them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

LINT = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "an import that runs back up": ("core/gate.py", "from trayapp.app import logs", "floors"),
    "the same for types only": (
        "engine/callers.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trayapp.app.runtime import Runtime",
        "floors",
    ),
    "a fixture that knows the program": ("oauthtest/log.py", "import trayapp.core.model", "oauthtest"),
    "two neighbours that meet": ("vault/slots.py", "from trayapp.oauth import wire", "tray, events, keyring"),
    "two files that need each other": ("core/model.py", "import trayapp.core.machine", "no circle"),
}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """The verdict on the tree below `root`, with this repository's contracts."""
    shutil.copy(ROOT / "pyproject.toml", root)
    command = [str(LINT), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        command, cwd=root, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "trayapp", tmp_path / "trayapp", ignore=shutil.ignore_patterns("__pycache__", "web"))
    return tmp_path


def test_the_contracts_hold(tree: Path) -> None:
    """No package imports what stands above it, and no two files need each other."""
    done = lint(tree)

    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(tree: Path, kind: str) -> None:
    """The contract that it breaks is named."""
    file, text, contract = PLANTED[kind]
    path = tree / "trayapp" / file
    path.write_text(f"{path.read_text('utf-8')}\n{text}\n", "utf-8")

    done = lint(tree)

    assert 1 == done.returncode, done.stdout
    assert any(line.startswith(contract) and line.endswith("BROKEN") for line in done.stdout.splitlines()), done.stdout
