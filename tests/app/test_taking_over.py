"""Taking over with the running program: the API, the command, clients' files, a sign-in at a server, and the way back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_connect import free_port, home
from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.external.stopping_owner import StoppingOwner
from trayapp.cli.client import ApiError
from trayapp.config.paths import Paths
from trayapp.core.external import ExternalWorkload
from trayapp.importers.entries import ImportableEntry
from trayapp.oauthtest import OAuthServer

__all__ = ["home"]  # a fixture

pytestmark = pytest.mark.oauth_server(access_token_lifetime=60.0)

ONE = "/api/v1beta/external/toolhive/GitHub/take-over"
PROXY = "http://127.0.0.1:21000/mcp"
CURSOR = (
    '{\n  // mine\n  "mcpServers": {"gh": {"url": "http://localhost:21000/mcp/"}, "x": {"env": {"K": "CANARY"}}}\n}\n'
)


@pytest.fixture
def owner(server: OAuthServer) -> StoppingOwner:
    """ToolHive with a workload of the scripted server's."""
    url = f"{server.url}/mcp"
    keys = {"url": url, "issuer": server.issuer, "client_id": server.client_id, "scopes": ["mcp"]}
    found = ExternalWorkload("GitHub", url, PROXY, "auth_retrying", "no such host", 100.0)
    return StoppingOwner([found], entries={"GitHub": ImportableEntry("GitHub", keys)})


@pytest.fixture
def program(
    home: Path, tmp_path: Path, server: OAuthServer, owner: StoppingOwner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    program = Program(tmp_path, owners=[owner])
    program.write(CONFIG.format(port=free_port(), server=server))
    program.keystore._logins["one"] = login_of(server)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    with program:
        program.becomes("running ok")
        program.until(lambda: "toolhive/GitHub" in program.last.external, "ToolHive's workload")
        yield program


@pytest.fixture
def cursor(home: Path) -> Path:
    file = home / ".cursor/mcp.json"
    file.parent.mkdir()
    file.write_text(CURSOR)
    return file


def ask(program: Program, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(program.client.request(method, path, body, 30.0))


def had_by(program: Program, name: str) -> object:
    """Who had it, as its page is told."""
    return ask(program, "GET", f"/api/v1beta/workloads/{name}")["taken_over_from"]


def signs_in(url: object) -> None:
    """A person in a browser."""
    with urllib.request.urlopen(str(url), timeout=10) as answer:
        answer.read()


def test_there_and_back(program: Program, owner: StoppingOwner, cursor: Path, server: OAuthServer) -> None:
    """From the plan to the sign-in, and back until nothing is left of it."""

    plan = ask(program, "GET", ONE)
    assert ("github", "ToolHive", None, None) == tuple(
        plan[key] for key in ("name", "owner", "configured_as", "problem")
    )
    assert [{"title": "Cursor", "file": "~/.cursor/mcp.json", "entry": "gh"}] == plan["clients"]
    assert [] == owner.history

    done = ask(program, "POST", ONE, {"browser": False})
    assert ("github", ["Cursor"], []) == (done["name"], done["updated"], done["failed"])
    assert ["stop GitHub"] == owner.history
    assert "/w/github" in cursor.read_text()
    signs_in(done["authorization_url"])
    program.until(lambda: program.status("github") == "running ok", "the sign-in")
    program.until(lambda: program.last.external["toolhive/GitHub"].status == "stopped", "its owner's row")
    assert "[workloads.github]" in program.paths.config_file.read_text()
    with pytest.raises(ApiError, match="To have ToolHive run it again: amberlight take-over --undo github"):
        ask(program, "POST", ONE.replace("take-over", "restart"))
    assert ["stop GitHub"] == owner.history
    assert ("ToolHive", None) == (had_by(program, "github"), had_by(program, "one"))

    back = ask(program, "POST", "/api/v1beta/workloads/github/give-back", {})
    assert (["Cursor"], []) == (back["updated"], back["failed"])
    assert CURSOR == cursor.read_text()
    assert ["stop GitHub", "restart GitHub"] == owner.history
    assert "github" not in program.paths.config_file.read_text()
    assert 1 == server.count("revoke")
    assert "github" not in program.keystore._logins
    program.until(lambda: program.last.external["toolhive/GitHub"].status == "running", "its owner's row")


def test_what_is_shown_meanwhile(program: Program, owner: StoppingOwner) -> None:
    """Its row says that it is being taken over, and nothing else can be clicked."""

    rows: list[str] = []

    def look(name: str) -> None:
        program.until(lambda: program.last.external["toolhive/GitHub"].status_context != "no such host", "the row")
        rows.append(program.last.external["toolhive/GitHub"].status_context)

    owner.on_stop = look
    ask(program, "POST", ONE, {"sign_in": False})
    assert ["Amberlight is taking it over."] == rows


def test_a_server_that_cannot_be_reached(program: Program, owner: StoppingOwner, cursor: Path) -> None:
    """Then nothing is changed anywhere."""

    owner.entries["GitHub"] = ImportableEntry("GitHub", {"url": "http://127.0.0.1:9/mcp2"})
    with pytest.raises(ApiError) as caught:
        ask(program, "POST", ONE, {})
    assert 409 == caught.value.status
    assert [] == owner.history
    assert CURSOR == cursor.read_text()
    assert "github" not in program.paths.config_file.read_text()
    assert not (program.paths.state_dir / "take-overs.json").exists() or {} == json.loads(
        (program.paths.state_dir / "take-overs.json").read_text()
    )


def test_its_owner_does_not_stop_it(program: Program, owner: StoppingOwner, cursor: Path) -> None:
    """The workload is gone from here again."""

    owner.failing["stop"] = "ToolHive didn't stop GitHub."
    with pytest.raises(ApiError, match="It stays in ToolHive, and nothing was changed") as caught:
        ask(program, "POST", ONE, {})
    assert 409 == caught.value.status
    assert CURSOR == cursor.read_text()
    assert "github" not in program.paths.config_file.read_text()
    program.until(lambda: "github" not in program.last.workloads, "the removal")


def test_a_rename_in_between(program: Program, owner: StoppingOwner, cursor: Path) -> None:
    """The way back is still known."""

    ask(program, "POST", ONE, {"sign_in": False})
    program.client.edit("github", {"name": "hub"})
    assert "/w/hub" in cursor.read_text()
    program.until(lambda: had_by(program, "hub") == "ToolHive", "whose it was")
    back = ask(program, "POST", "/api/v1beta/workloads/hub/give-back", {})
    assert [] == back["failed"]
    assert {"url": "http://localhost:21000/mcp/"} == json.loads(cursor.read_text().replace("// mine", ""))[
        "mcpServers"
    ]["gh"]
    assert "hub" not in program.paths.config_file.read_text()


def twice(program: Program) -> list[str]:
    """What `doctor` says of servers that are signed in here and there."""
    return [each.help for each in program.client.doctor().checks if "the same server" in each.text]


def test_it_runs_there_again(program: Program, owner: StoppingOwner) -> None:
    """`doctor` says so, and how to end it; while it's stopped there is nothing to say."""

    assert [] == twice(program)
    ask(program, "POST", ONE, {"sign_in": False})
    program.until(lambda: program.last.external["toolhive/GitHub"].status == "stopped", "its owner's row")
    assert [] == twice(program)
    owner.workloads = [replace(each, url=f"{each.url}/") for each in owner.workloads]
    owner.restart("GitHub")
    [(watched, _)] = program.runtime.external._watched.values()
    assert program.control is not None
    program.control.engine._loop.call_soon_threadsafe(watched._hint.set)
    program.until(lambda: program.last.external["toolhive/GitHub"].status == "running", "its owner's row")
    text = "Their logins are separate, so both work. To keep only github: amberlight take-over toolhive/GitHub"
    assert [text] == twice(program)


def test_no_key_is_said(program: Program, cursor: Path) -> None:
    """Neither in an answer nor in the log."""

    said = json.dumps([ask(program, "GET", ONE), ask(program, "POST", ONE, {"sign_in": False})])
    key = json.loads(program.paths.keys_file.read_text())["keys"]["github"]
    assert key in cursor.read_text()
    log = program.paths.log_file.read_text() if program.paths.log_file.exists() else ""
    for text in (said, log, (program.paths.state_dir / "take-overs.json").read_text()):
        assert key not in text
        assert "CANARY" not in text
