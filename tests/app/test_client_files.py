"""Clients' files from the running app: what the dashboard shows of them, and connecting and disconnecting over the API."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_connect import free_port, home, key_of, program, written
from tests.app.test_runtime import Program
from trayapp.cli import main
from trayapp.cli.client import ApiError

__all__ = ["home", "program"]  # fixtures

pytestmark = pytest.mark.oauth_server(access_token_lifetime=60.0)

CLIENTS = "/api/v1beta/clients"


def ask(program: Program, path: str = "", **body: Any) -> dict[str, Any]:
    """The answer of the API; a POST where there is a body."""
    answer: dict[str, Any] = program.client.request("POST" if body else "GET", CLIENTS + path, body or None)
    return answer


def row(program: Program, client: str) -> dict[str, Any]:
    (found,) = [each for each in ask(program)["clients"] if each["name"] == client]
    return dict(found)


def test_connect_and_disconnect(program: Program, home: Path) -> None:
    """The answers say what was done and how it is then; the file is private meanwhile, and as before afterwards."""

    file = written(home)
    before = file.read_bytes()
    assert (True, "~/.cursor/mcp.json", "absent") == (
        row(program, "cursor")["installed"],
        row(program, "cursor")["file"],
        row(program, "cursor")["workloads"][0]["state"],
    )
    assert not row(program, "zed")["installed"]

    done = ask(program, "/cursor/connect", names=["one"])
    assert ("Connected one to Cursor (~/.cursor/mcp.json).", True, []) == (
        done["message"],
        done["changed"],
        done["kept"],
    )
    assert [{"name": "one", "state": "connected", "entry": "one"}] == done["client"]["workloads"]
    assert key_of(program) in file.read_text()
    assert key_of(program) not in json.dumps(done)
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    again = ask(program, "/cursor/connect", names=["one"])
    assert ("~/.cursor/mcp.json is already up to date.", False) == (again["message"], again["changed"])

    done = ask(program, "/cursor/disconnect", names=["one"])
    assert "Disconnected one from Cursor (~/.cursor/mcp.json)." == done["message"]
    assert "absent" == done["client"]["workloads"][0]["state"]
    assert before == file.read_bytes()


def test_the_entry_over_all(program: Program, home: Path) -> None:
    """It is another entry, and the workloads' own stay."""

    file = written(home)
    ask(program, "/cursor/connect", names=["one"], all=True)
    assert ("connected", "connected") == (
        row(program, "cursor")["all"],
        row(program, "cursor")["workloads"][0]["state"],
    )
    done = ask(program, "/cursor/disconnect", all=True)
    assert ("Disconnected amberlight from Cursor (~/.cursor/mcp.json).", "absent") == (
        done["message"],
        done["client"]["all"],
    )
    assert "/w/one" in file.read_text()


def test_an_entry_that_is_not_ours_is_left_alone(program: Program, home: Path) -> None:
    """It is said why, and replaced when that is asked for."""

    file = written(home, '{"mcpServers": {"mine": {"url": "http://127.0.0.1:9/mcp/"}}}')
    before = file.read_bytes()
    kept = ask(program, "/cursor/connect", names=["one"])
    assert ("", False, ["Cursor signs in to one separately (entry mine)."]) == (
        kept["message"],
        kept["changed"],
        kept["kept"],
    )
    assert before == file.read_bytes()

    ask(program, "/cursor/connect", names=["one"], replace=True)
    assert {"name": "one", "state": "connected", "entry": "mine"} == row(program, "cursor")["workloads"][0]


@pytest.mark.parametrize(("old", "state"), [("/w/one", "old_port"), ("Bearer ", "old_key")])
def test_a_stale_entry_is_connected_again(program: Program, home: Path, old: str, state: str) -> None:
    """Both kinds are named, and repaired by connecting."""

    file = written(home)
    ask(program, "/cursor/connect", names=["one"])
    stale = {"/w/one": ":1/w/one", "Bearer ": "Bearer no"}[old]
    text = file.read_text()
    port = text.split("/w/one")[0].rpartition(":")[2]
    file.write_text(text.replace(f":{port}/w/one", stale) if old == "/w/one" else text.replace(old, stale))
    assert state == row(program, "cursor")["workloads"][0]["state"]
    ask(program, "/cursor/connect", names=["one"])
    assert "connected" == row(program, "cursor")["workloads"][0]["state"]


def test_a_file_that_can_not_be_read(program: Program, home: Path) -> None:
    """Its row says why, and nothing is written."""

    file = written(home, '{"mcpServers": oops')
    assert "~/.cursor/mcp.json: it isn't valid JSON" in row(program, "cursor")["problem"]
    for word in ("connect", "disconnect"):
        with pytest.raises(ApiError, match="isn't valid JSON") as caught:
            ask(program, f"/cursor/{word}", names=["one"])
        assert (409, "client_file") == (caught.value.status, caught.value.code)
    assert '{"mcpServers": oops' == file.read_text()


def test_no_client_is_connected_to_a_port_for_this_run(program: Program, home: Path) -> None:
    """As its file would be wrong after the next start."""

    file = written(home)
    program.runtime.clients._port = lambda: 1
    with pytest.raises(ApiError, match=rf"set port = {program.client.port} under \[settings\]") as caught:
        ask(program, "/cursor/connect", names=["one"])
    assert (409, "not_lasting") == (caught.value.status, caught.value.code)
    assert "w/one" not in file.read_text()


def test_a_disk_that_hangs(program: Program, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request ends with a sentence, and everything else goes on meanwhile."""

    over = threading.Event()

    def hangs(*_: object) -> None:
        over.wait(10)

    monkeypatch.setattr("trayapp.clients.connecting.rows", hangs)
    program.runtime.client_files._worker._limit = 0.2
    try:
        began = time.monotonic()
        with pytest.raises(ApiError, match="isn't responding") as caught:
            ask(program)
        assert 5 > time.monotonic() - began
        assert (409, "hanging") == (caught.value.status, caught.value.code)
        assert program.client.workloads(), "the loop waits"
    finally:
        over.set()


def test_the_demo_leaves_clients_alone(program: Program, home: Path) -> None:
    """There is no machine for it."""

    program.runtime.client_files._machine = None
    with pytest.raises(ApiError, match="The demo"):
        ask(program)


def test_a_renamed_workload_stays_connected(program: Program, home: Path) -> None:
    """Entries get the new address and keep the key; renamed back, everything is as before."""

    file = written(home)
    ask(program, "/cursor/connect", names=["one"])
    connected, key = file.read_text(), key_of(program)
    answer = program.client.edit("one", {"name": "two"})
    assert ["Updated Cursor (~/.cursor/mcp.json)."] == answer["notes"]
    assert connected.replace("/w/one", "/w/two").replace('"one"', '"two"') == file.read_text()
    assert key in file.read_text()
    assert ["connected"] == [each["state"] for each in row(program, "cursor")["workloads"]]
    program.green("two")
    program.client.edit("two", {"name": "one"})
    assert connected == file.read_text()


def test_a_removed_workload_leaves_no_entry(program: Program, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What we wrote is taken out and said; what was added by hand is named with the command that takes it out."""

    file = written(home)
    before = file.read_bytes()
    ask(program, "/cursor/connect", names=["one"])
    codex = home / ".codex/config.toml"
    codex.parent.mkdir()
    codex.write_text(f'[mcp_servers.mine]\nurl = "http://127.0.0.1:{program.client.port}/w/one"\n')
    by_hand = codex.read_bytes()

    assert 0 == main(["remove", "one", "--yes"])
    said = capsys.readouterr().out.splitlines()
    assert "Removed one." == said[0]
    assert "Disconnected one from Cursor (~/.cursor/mcp.json)." in said
    assert any(line.endswith("mine, added by hand. To take it out: amberlight disconnect codex one") for line in said)
    assert (before, by_hand) == (file.read_bytes(), codex.read_bytes())


def test_a_workload_that_stays_keeps_its_entries(program: Program, home: Path) -> None:
    """Nothing was removed, so clients still need them."""

    file = written(home)
    ask(program, "/cursor/connect", names=["one"])
    connected = file.read_text()
    program.paths.config_file.chmod(0o400)
    with pytest.raises(ApiError, match="read-only"):
        program.client.remove("one")
    assert connected == file.read_text()


def test_another_port_in_the_settings_updates_clients(program: Program, home: Path) -> None:
    """As *Change port…* does: the answer says so, and the old port serves its page for a while."""

    file = written(home)
    ask(program, "/cursor/connect", names=["one"])
    old, port = program.client, free_port()
    rows = {each["name"]: each for each in old.change_settings({"port": port})["settings"]}
    assert (port, True) == (rows["port"]["value"], "Cursor" in rows["port"]["note"])
    assert f":{port}/w/one" in file.read_text()
    assert port == program.client.port
    assert old.app()["version"]
