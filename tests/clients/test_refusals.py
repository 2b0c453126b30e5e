"""Notes that a client keeps about servers that refused it."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from trayapp.clients.places import Machine
from trayapp.clients.refusals import forget
from trayapp.clients.table import BY_NAME

NOTED = {"notes": {"timestamp": 1}, "github": {"timestamp": 2}}
CLAUDE = BY_NAME["claude-code"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / ".claude").mkdir()
    return Machine("linux", {}, tmp_path)


@pytest.fixture
def file(machine: Machine) -> Path:
    return machine.home / ".claude/mcp-needs-auth-cache.json"


def test_only_these_entries_are_forgotten(machine: Machine, file: Path) -> None:
    file.write_text(json.dumps(NOTED))
    forget(machine, CLAUDE, ["notes", "linear"])
    assert {"github": {"timestamp": 2}} == json.loads(file.read_text())
    if sys.platform != "win32":  # where the directory says who may read it
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_its_directory_may_be_elsewhere(machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mcp-needs-auth-cache.json").write_text(json.dumps(NOTED))
    forget(Machine("linux", {"CLAUDE_CONFIG_DIR": str(elsewhere)}, tmp_path), CLAUDE, ["notes"])
    assert ["github"] == list(json.loads((elsewhere / "mcp-needs-auth-cache.json").read_text()))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"github": 1}', "[" * 100_000, "\udcff"])
def test_anything_else_is_left_alone(machine: Machine, file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = file.stat().st_ino
    forget(machine, CLAUDE, ["notes"])
    assert (text.encode("utf-8", "surrogateescape"), before) == (file.read_bytes(), file.stat().st_ino)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX")
def test_what_is_no_file_is_left_alone(machine: Machine, file: Path, tmp_path: Path) -> None:
    forget(machine, CLAUDE, ["notes"])
    assert not file.exists()
    os.mkfifo(file)
    forget(machine, CLAUDE, ["notes"])
    file.unlink()
    (tmp_path / "other").write_text(json.dumps(NOTED))
    file.symlink_to(tmp_path / "other")
    forget(machine, CLAUDE, ["notes"])
    assert NOTED == json.loads((tmp_path / "other").read_text())


def test_other_clients_note_nothing(machine: Machine, file: Path) -> None:
    file.write_text(json.dumps(NOTED))
    forget(machine, BY_NAME["codex"], ["notes"])
    assert NOTED == json.loads(file.read_text())
