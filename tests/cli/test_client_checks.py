"""`doctor` and `doctor --fix` on clients' files, in a home of the test's own; no app runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.access import is_private, make_private, open_to_others
from trayapp.app.client_checks import clients
from trayapp.cli import main
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import Wanted, connect, disconnect
from trayapp.clients.entries import Access
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.table import BY_NAME
from trayapp.config.loader import Config, Paths, load
from trayapp.core.checks import OK, PROBLEM, WARNING
from trayapp.core.model import Secret
from trayapp.server.keys import Keys
from trayapp.system.private_files import write_private

URL = "https://mcp.notion.com/mcp"


@pytest.fixture
def home(paths: Paths, tmp_path: Path) -> Path:
    """A home with Cursor installed, and a workload that has a key."""
    (tmp_path / "home/.cursor").mkdir(parents=True)
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(f'[settings]\nport = 8765\n[workloads.notion]\nurl = "{URL}"\n')
    paths.make()
    Keys(paths.keys_file).make(["notion", "/mcp"])
    return tmp_path / "home"


def config_of(paths: Paths) -> Config:
    return load(paths, {})


def looked(paths: Paths, home: Path, *, fix: bool = False) -> list[tuple[str, str, str]]:
    """State, text and help of each check."""
    machine = Machine("linux", {}, home, which=lambda program: None)
    found = clients(paths, config_of(paths), fix=fix, machine=machine)
    assert {"clients"} == {each.name for each in found}
    return [(each.state, each.text, each.help) for each in found]


def key(paths: Paths) -> str:
    found = Keys(paths.keys_file).find("notion")
    assert found is not None
    return found.reveal()


def write(home: Path, *, private: bool = True, **entries: Any) -> Path:
    file = home / ".cursor/mcp.json"
    file.write_text(json.dumps({"theme": "dark", "mcpServers": entries}, indent=2))
    return make_private(file) if private else open_to_others(file)


def ours(paths: Paths, *, port: int = 8765, shown: str = "", **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {shown or key(paths)}"}
    return {"url": f"http://127.0.0.1:{port}/w/notion", "headers": headers, **more}


def test_all_is_well(paths: Paths, home: Path) -> None:
    """One line: who is connected to what, or that nobody is."""

    assert [(OK, "1 installed, none connected.", "Connect one: amberlight connect CLIENT")] == looked(paths, home)
    write(home, notion=ours(paths))
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home)
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home, fix=True)
    assert [(OK, "No known MCP clients are installed.", "")] == looked(paths, home / "nobody")


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({"port": 1}, "an old port"),
        ({"shown": "old-key-0123456789abcdefghijklm"}, "an old key"),
    ],
)
def test_a_stale_entry(paths: Paths, home: Path, old: dict[str, Any], words: str) -> None:
    """Named without being touched; repaired when asked, and everything else in the file stays."""

    file = write(home, notion=ours(paths, **old, disabled=False), other={"command": "x"})
    before = file.read_bytes()
    text = f"Cursor has {words} for notion (~/.cursor/mcp.json)."
    assert [(PROBLEM, text, "Fix it: amberlight doctor --fix")] == looked(paths, home)
    assert before == file.read_bytes()

    assert [(OK, "Fixed notion in Cursor (~/.cursor/mcp.json).", "")] == looked(paths, home, fix=True)
    entries = {"notion": ours(paths, disabled=False), "other": {"command": "x"}}
    assert {"theme": "dark", "mcpServers": entries} == json.loads(file.read_text())
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home)


def test_a_login_of_the_clients_own_is_left_alone(paths: Paths, home: Path) -> None:
    """Also by --fix, and also beside an entry of ours that is repaired."""

    file = write(home, notion=ours(paths, port=1), mine={"url": URL})
    text = "Cursor signs in to notion separately (entry mine), so there are two logins to maintain."
    direct = (WARNING, text, "Use Amberlight's login: amberlight connect cursor notion --replace")
    assert direct == looked(paths, home)[1]
    assert [OK, WARNING] == [state for state, *_ in looked(paths, home, fix=True)]
    assert {"url": URL} == json.loads(file.read_text())["mcpServers"]["mine"]
    assert [direct] == looked(paths, home)


def test_a_workload_that_is_gone(paths: Paths, home: Path) -> None:
    """Its entry is named, with the command that takes it out."""

    write(home, old={"url": "http://127.0.0.1:8765/w/old"})
    text = "Cursor has an entry (old) for old, but there's no such workload."
    assert [(WARNING, text, "Remove it: amberlight disconnect cursor old")] == looked(paths, home, fix=True)


def test_a_repaired_file_is_put_back_by_disconnecting(paths: Paths, home: Path) -> None:
    """The repair counts as ours: what was there before the first connect comes back, byte for byte."""

    file = write(home, other={"command": "x"})
    before = file.read_bytes()
    cursor, machine = BY_NAME["cursor"], Machine("linux", {}, home, which=lambda program: None)
    changes = Changes(paths.state_dir, lambda: "2026-01-02")
    access = Access("notion", "http://127.0.0.1:1/w/notion", Secret("old"), ())
    connect(machine, changes, cursor, Wanted({"notion": access}, {}, ["notion"]), replace=False)
    assert OK == looked(paths, home, fix=True)[0][0]
    assert key(paths) in file.read_text()

    disconnect(machine, changes, cursor, Wanted({"notion": access}, {}, ["notion"]))
    assert before == file.read_bytes()
    assert [file] == list(file.parent.iterdir())


def test_a_file_that_others_can_read(paths: Paths, home: Path) -> None:
    """It holds a key: --fix takes it away from the others. Without a key it may be read."""

    file = write(home, notion=ours(paths), private=False)
    text = "Other users can read ~/.cursor/mcp.json, which contains a local key."
    assert [(WARNING, text, "Make it private: amberlight doctor --fix")] == looked(paths, home)
    before = file.read_bytes()
    assert [(OK, "Made ~/.cursor/mcp.json private: only you can read it now.", "")] == looked(paths, home, fix=True)
    assert (True, before) == (is_private(file), file.read_bytes())
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home)

    write(home, notion={"command": "amberlight", "args": ["stdio", "notion"]}, private=False)
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home)


def test_a_stale_entry_in_a_file_that_others_can_read(paths: Paths, home: Path) -> None:
    """Both are repaired at once."""

    file = write(home, notion=ours(paths, port=1), private=False)
    assert [PROBLEM, WARNING] == [state for state, *_ in looked(paths, home)]
    assert OK == looked(paths, home, fix=True)[0][0]
    assert is_private(file)
    assert [(OK, "Connected: Cursor (notion).", "")] == looked(paths, home)


def test_a_file_that_can_not_be_read(paths: Paths, home: Path) -> None:
    """Said with its place, and not touched."""

    file = home / ".cursor/mcp.json"
    file.write_text("{ oops")
    ((state, text, _),) = looked(paths, home, fix=True)
    assert (WARNING, True) == (state, text.startswith("Cursor: ~/.cursor/mcp.json: it isn't valid JSON"))
    assert "{ oops" == file.read_text()


def test_a_key_that_only_the_app_can_make(paths: Paths, home: Path) -> None:
    """Nothing is written without it."""

    file = write(home, notion=ours(paths))
    Keys(paths.keys_file).forget("notion")
    before = file.read_bytes()
    ((state, _, help_),) = looked(paths, home, fix=True)
    assert (PROBLEM, "Start Amberlight, then: amberlight connect cursor") == (state, help_)
    assert before == file.read_bytes()


def test_a_file_that_can_not_be_written(paths: Paths, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the check, and the file is as it was."""

    file = write(home, notion=ours(paths, port=1))
    before = file.read_bytes()

    def refused(*_: object, **__: object) -> None:
        raise FileError(f"{file} can't be replaced: Read-only file system")

    monkeypatch.setattr("trayapp.clients.files.replace", refused)
    ((state, text, _),) = looked(paths, home, fix=True)
    assert (PROBLEM, True) == (state, "Read-only file system." in text)
    assert before == file.read_bytes()


def test_without_a_fixed_port(paths: Paths, home: Path) -> None:
    """No port is right for long, so the one to set is named (a running app's), and nothing is fixed."""

    paths.config_file.write_text(paths.config_file.read_text().replace("8765", "0"))
    file = write(home, notion=ours(paths))
    before = file.read_bytes()
    ((state, text, help_),) = looked(paths, home, fix=True)
    assert (WARNING, True) == (state, text.startswith("Cursor loses notion when Amberlight restarts"))
    assert "Set port = 8765 under [settings] in config.toml." == help_
    write_private(paths.runtime_dir / "server.json", json.dumps({"url": "http://127.0.0.1:41233", "pid": os.getpid()}))
    assert "Set port = 41233 under [settings] in config.toml." == looked(paths, home)[0][2]
    assert before == file.read_bytes()


def test_the_command(
    paths: Paths, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key is printed, before or after."""

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    paths.config_file.write_text(paths.config_file.read_text().replace(URL, "http://127.0.0.1:9/mcp"))
    write(home, notion=ours(paths, port=1))
    for arguments, state in (["doctor", "--json"], PROBLEM), (["doctor", "--fix", "--json"], OK):
        main(arguments)
        out = capsys.readouterr().out
        assert [state] == [each["state"] for each in json.loads(out) if each["name"] == "clients"]
        assert key(paths) not in out
