"""Clients' entries after a workload was renamed: they reach it again, and whatever else they say stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from trayapp.clients import edits
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import Wanted, connect, disconnect, put_all
from trayapp.clients.entries import Access, Transport, entry, seen
from trayapp.clients.places import Machine
from trayapp.clients.repointing import repoint, repointed
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.core.model import Secret

KEY = "local-key-0123456789abcdefghijk"
OLD = Access("old", "http://127.0.0.1:8765/w/old", Secret(KEY), ("/opt/amberlight", "stdio", "old"))
NEW = Access("new", "http://127.0.0.1:8765/w/new", Secret(KEY), ("/opt/amberlight", "stdio", "new"))


def text_of(client: Client, access: Access, transport: Transport) -> str:
    return edits.fresh(client, access.name, entry(client, access, transport))


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_an_entry_is_as_if_it_had_been_written_for_the_new_name(client: Client, transport: Transport) -> None:
    """In the file of every client, and with every transport."""

    if client.url is None:
        transport = Transport.STDIO
    made = repointed(client, "old", "new")(text_of(client, OLD, transport))

    assert edits.servers(client, text_of(client, NEW, transport)) == edits.servers(client, made)
    assert "new" == seen("new", edits.servers(client, made)["new"]).proxied


@pytest.mark.parametrize(
    ("entries", "made"),
    [
        (  # a name, a key in a variable and a time limit of the person's own
            {"mine": {"url": OLD.url, "headers": {"Authorization": "Bearer ${KEY}"}, "timeout": 9}},
            {"mine": {"url": NEW.url, "headers": {"Authorization": "Bearer ${KEY}"}, "timeout": 9}},
        ),
        (  # its new name is taken
            {"old": {"url": OLD.url}, "new": {"url": "https://elsewhere.example"}},
            {"new": {"url": "https://elsewhere.example"}, "old": {"url": NEW.url}},
        ),
        (  # other servers, and texts that merely look like it
            {"x": {"url": "http://127.0.0.1:8765/w/older"}, "y": {"command": "old", "args": ["old"]}},
            {"x": {"url": "http://127.0.0.1:8765/w/older"}, "y": {"command": "old", "args": ["old"]}},
        ),
        (
            {"old": {"command": "npx", "args": ["mcp-remote", f"{OLD.url}?a=b", "--header", "X: old"]}},
            {"new": {"command": "npx", "args": ["mcp-remote", f"{NEW.url}?a=b", "--header", "X: old"]}},
        ),
        (
            {"old": {"url": f"http://localhost:8765/k/{KEY}/w/old"}},
            {"new": {"url": f"http://localhost:8765/k/{KEY}/w/new"}},
        ),
    ],
)
def test_whatever_else_is_said_stays(entries: dict[str, Any], made: dict[str, Any]) -> None:
    """Only the address, or our command's argument, has another name."""

    client = BY_NAME["cursor"]
    text = repointed(client, "old", "new")(json.dumps({"mcpServers": entries, "more": 1}))

    assert {"mcpServers": made, "more": 1} == json.loads(text)


def test_files_of_all_clients(tmp_path: Path) -> None:
    """Each with a sentence; one that can't be changed is named, with what to do. Afterwards, *disconnect* restores the
    file as it was before us."""

    machine = Machine("linux", {}, tmp_path, which=lambda program: None)
    changes = Changes(tmp_path / "state", lambda: "2026-01-02")
    cursor, claude = tmp_path / ".cursor/mcp.json", tmp_path / ".claude.json"
    cursor.parent.mkdir()
    cursor.write_text(before := '{\n  "mcpServers": {}\n}\n')
    claude.write_text(json.dumps({"mcpServers": {"old": {"type": "http", "url": OLD.url}}, "x": 1})[:-1] + ", }")
    wanted = Wanted({"old": OLD, "new": NEW, "": NEW}, {}, ("old",))
    connect(machine, changes, BY_NAME["cursor"], wanted, replace=False)
    texts = [each.text for each in repoint(machine, changes, "old", "new")]

    assert any(text.startswith("Updated Cursor (~/.cursor/mcp.json).") for text in texts)
    assert NEW.url in cursor.read_text()
    assert OLD.url not in cursor.read_text()
    disconnect(machine, changes, BY_NAME["cursor"], Wanted(wanted.accesses, {}, ("new",)))
    assert before == cursor.read_text()
    assert [] == repoint(machine, changes, "nobody", "new")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person is told which, and how to fix it."""

    machine = Machine("linux", {}, tmp_path, which=lambda program: None)
    cursor = tmp_path / ".cursor/mcp.json"
    cursor.parent.mkdir()
    cursor.write_text(json.dumps({"mcpServers": {"old": {"url": OLD.url}}}))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(cursor))

    monkeypatch.setattr("trayapp.clients.files._replace", full)
    (told,) = repoint(machine, Changes(tmp_path / "state", lambda: "2026-01-02"), "old", "new")

    assert "Cursor still uses old: ~/.cursor/mcp.json can't be replaced: No space left on device." in told.text
    assert "amberlight connect cursor new" in told.text
    assert OLD.url in cursor.read_text()


def in_project(folder: Path, changes: Changes, client: str, access: Access) -> Path:
    """A project's file, as `connect --project` writes it."""
    file = folder / str(BY_NAME[client].project)
    changes.apply(BY_NAME[client], file, put_all(BY_NAME[client], {access.name: access}, stdio=True))
    return file


def test_files_of_projects_that_we_wrote(tmp_path: Path) -> None:
    """Those are updated, too, whichever client's they are; a file that nobody told us of stays, and so does its record."""

    home = tmp_path / "home"
    machine = Machine("linux", {}, home, which=lambda program: None)
    changes = Changes(tmp_path / "state", lambda: "2026-01-02")
    ours = [in_project(tmp_path / "my work", changes, client, OLD) for client in ("claude-code", "vscode", "opencode")]
    elsewhere = in_project(
        tmp_path / "other", Changes(tmp_path / "of another computer", lambda: "2026-01-02"), "kiro", OLD
    )
    before = elsewhere.read_text()

    texts = [each.text for each in repoint(machine, changes, "old", "new")]
    assert 3 == len(texts)
    assert any(text.startswith(f"Updated Claude Code ({tmp_path / 'my work' / '.mcp.json'}).") for text in texts)
    assert all('"new"' in file.read_text() and '"old"' not in file.read_text() for file in ours)
    assert before == elsewhere.read_text()

    assert 3 == len(repoint(machine, changes, "new", "old"))
    ours[0].unlink()
    assert 2 == len(repoint(machine, changes, "old", "new"))


def test_a_project_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the commands for that project."""

    machine = Machine("linux", {}, tmp_path / "home", which=lambda program: None)
    changes = Changes(tmp_path / "state", lambda: "2026-01-02")
    in_project(tmp_path / "my work", changes, "claude-code", OLD).write_text("{")
    (told,) = repoint(machine, changes, "old", "new")

    assert "Claude Code may still use old: " in told.text
    quote = '"' if sys.platform == "win32" else "'"
    where = f"--project {quote}{tmp_path / 'my work'}{quote}"
    assert (
        f"amberlight disconnect claude-code old {where}, then amberlight connect claude-code new {where}" in told.text
    )


def test_a_record_of_an_earlier_version(tmp_path: Path) -> None:
    """It doesn't name the client; the file's name does."""

    machine = Machine("linux", {}, tmp_path / "home", which=lambda program: None)
    changes = Changes(tmp_path / "state", lambda: "2026-01-02")
    file = in_project(tmp_path / "p", changes, "claude-code", OLD)
    record = tmp_path / "state/connected.json"
    old = {
        name: {key: each[key] for key in ("digest", "backup", "made")}
        for name, each in json.loads(record.read_text()).items()
    }
    record.write_text(json.dumps(old | {"/nowhere/of-nobody.json": old[str(file)]}))

    assert 1 == len(repoint(machine, changes, "old", "new"))
    assert changes.wrote(file)("new")
    assert changes.wrote(file)("by hand, perhaps")
