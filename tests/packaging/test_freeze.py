"""`freeze.py` names what it needs, before it makes anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

FREEZE = ROOT / "packaging/pyinstaller/freeze.py"
LACKING = """#!/bin/sh
case "$*" in {pattern}) exit 1 ;; esac
"""


def freeze(place: Path, *options: str, objdump: bool = True) -> subprocess.CompletedProcess[str]:
    """Run it with a PATH of its own, and no package index."""
    (place / "bin").mkdir(exist_ok=True)
    if objdump:
        (place / "bin" / "objdump").write_text("#!/bin/sh\n")
        (place / "bin" / "objdump").chmod(0o755)
    command = [sys.executable, str(FREEZE), "--work", str(place / "work"), "--dist", str(place / "dist"), *options]
    environment = {"PATH": str(place / "bin"), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.linux("only Linux needs objdump")
def test_binutils_are_named(tmp_path: Path) -> None:
    """The package, not only the program."""

    done = freeze(tmp_path, objdump=False)

    assert (1, "PyInstaller needs objdump. Install the package binutils.\n") == (done.returncode, done.stderr)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*venv*|*pip*", "can't make virtual environments. Name another Python with --python."),
        ("*pip*", "has neither pip nor ensurepip. Install the package python3-venv or python3-pip."),
    ],
)
def test_what_this_python_lacks_is_named(tmp_path: Path, pattern: str, said: str) -> None:
    """And nothing is made."""

    python = tmp_path / "python"
    python.write_text(LACKING.format(pattern=pattern))
    python.chmod(0o755)
    done = freeze(tmp_path, "--python", str(python))

    assert (1, f"{python} {said}\n") == (done.returncode, done.stderr)
    assert not (tmp_path / "work").exists()


def test_a_missing_pyinstaller_is_named(tmp_path: Path) -> None:
    """With the command that installs it."""

    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "objdump").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "objdump").chmod(0o755)
    done = subprocess.run(
        [python, FREEZE, "--here", "--work", tmp_path / "work"],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert f"This Python has no PyInstaller. Install it: {python} -m pip install 'pyinstaller" in done.stderr
    assert not (tmp_path / "work").exists()


def test_an_index_out_of_reach_is_said(tmp_path: Path) -> None:
    """After pip's own words, without a traceback."""

    done = freeze(tmp_path)

    assert 1 == done.returncode
    assert done.stderr.endswith(
        "\npip couldn't install PyInstaller and the dependencies (see above). Are you online?\n"
    )
    assert "Traceback" not in done.stderr
