"""Clients' entries after their workloads were removed: ours go, what was written by hand stays and is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trayapp.clients.changes import Changes
from trayapp.clients.connecting import put_all
from trayapp.clients.entries import Access
from trayapp.clients.leaving import take_out
from trayapp.clients.places import Machine
from trayapp.clients.table import BY_NAME
from trayapp.core.model import Secret

CURSOR, CODEX = BY_NAME["cursor"], BY_NAME["codex"]


def access(name: str) -> Access:
    key = Secret("local-key-0123456789abcdefghijk")
    return Access(name, f"http://127.0.0.1:8765/w/{name}", key, ("/opt/amberlight", "stdio", name))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine("linux", {}, tmp_path / "home", which=lambda program: None)


@pytest.fixture
def changes(tmp_path: Path) -> Changes:
    return Changes(tmp_path / "state", lambda: "2026-01-02")


@pytest.fixture
def cursor(machine: Machine) -> Path:
    file = machine.home / ".cursor/mcp.json"
    file.parent.mkdir(parents=True)
    file.write_text(BEFORE)
    return file


BEFORE = '{\n  // mine\n  "mcpServers": {}\n}\n'


def connect(changes: Changes, file: Path, *names: str) -> None:
    changes.apply(CURSOR, file, put_all(CURSOR, {name: access(name) for name in names}))


def test_what_we_wrote_goes(machine: Machine, changes: Changes, cursor: Path, tmp_path: Path) -> None:
    """In every client's file and in projects, all at once; a file that held nothing else is as before us."""

    connect(changes, cursor, "one", "two", "three")
    codex, project = machine.home / ".codex/config.toml", tmp_path / "p/.mcp.json"
    changes.apply(CODEX, codex, put_all(CODEX, {"one": access("one")}))
    changes.apply(BY_NAME["claude-code"], project, put_all(BY_NAME["claude-code"], {"two": access("two")}, stdio=True))

    told = take_out(machine, changes, ["one", "two"])
    assert {
        "Disconnected one and two from Cursor (~/.cursor/mcp.json).",
        "Disconnected one from Codex (~/.codex/config.toml).",
        f"Disconnected two from Claude Code ({project}).",
    } == set(told)
    assert ["three"] == list(json.loads(cursor.read_text().replace("// mine", ""))["mcpServers"])
    assert not codex.exists()
    assert not project.exists()

    assert ["Disconnected three from Cursor (~/.cursor/mcp.json)."] == take_out(machine, changes, ["three"])
    assert BEFORE == cursor.read_text()
    assert [] == take_out(machine, changes, ["one", "two", "three"])


def test_what_was_written_by_hand_stays(machine: Machine, changes: Changes, cursor: Path) -> None:
    """It's named with the command that takes it out; so is its neighbour in a file that we have written to."""

    by_hand = {"mine": {"url": access("one").url}, "ours": {"url": "https://elsewhere.example"}}
    cursor.write_text(json.dumps({"mcpServers": by_hand}))
    left = "Cursor (~/.cursor/mcp.json) still has mine, added by hand. To take it out: amberlight disconnect cursor one"
    assert [left] == take_out(machine, changes, ["one"])

    connect(changes, cursor, "one", "two")
    assert ["Disconnected one from Cursor (~/.cursor/mcp.json).", left] == take_out(machine, changes, ["one"])
    assert by_hand == {
        key: value for key, value in json.loads(cursor.read_text())["mcpServers"].items() if key != "two"
    }


def test_an_entry_that_the_person_has_completed_goes(machine: Machine, changes: Changes, cursor: Path) -> None:
    """We wrote it, and it leads nowhere; but one of its name that goes elsewhere by now is the person's."""

    connect(changes, cursor, "one", "two")
    found = json.loads(cursor.read_text().replace("// mine", ""))
    found["mcpServers"]["one"]["timeout"] = 9
    found["mcpServers"]["two"] = {"url": "https://elsewhere.example"}
    cursor.write_text(json.dumps(found))

    assert 1 == len(take_out(machine, changes, ["one", "two"]))
    assert {"two": {"url": "https://elsewhere.example"}} == json.loads(cursor.read_text())["mcpServers"]


def test_many_are_counted(machine: Machine, changes: Changes, cursor: Path) -> None:
    """A sentence names a few."""

    names = [f"w{number}" for number in range(40)]
    connect(changes, cursor, *names)
    assert ["Disconnected 40 entries from Cursor (~/.cursor/mcp.json)."] == take_out(machine, changes, names)


def test_a_file_that_cannot_be_changed_is_named(
    machine: Machine, changes: Changes, cursor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason and the command; one that can't be read only if we wrote to it."""

    connect(changes, cursor, "one")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(cursor))

    with monkeypatch.context() as patched:
        patched.setattr("trayapp.clients.files._replace", full)
        (told,) = take_out(machine, changes, ["one"])
    assert "Cursor still has one: ~/.cursor/mcp.json can't be replaced: No space left on device." in told
    assert told.endswith("Fix it: amberlight disconnect cursor one")

    cursor.write_text("{")
    (machine.home / ".claude.json").write_text("{")
    (told,) = take_out(machine, changes, ["one"])
    assert told.startswith("Cursor may still have entries for what was removed: ~/.cursor/mcp.json")
