"""With a real ToolHive: a workload is taken over with the command, serves an MCP client through us, and goes back.

Clients' files are those that ToolHive itself wrote, and one that a person wrote. See `test_toolhive.py` about the program.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real import thv
from tests.real.app import App
from tests.real.protected_servers import free_port
from tests.real.thv import Thv, until
from trayapp.oauthtest import EchoWorkload, OAuthServer, browse

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        thv.program() is None, reason=f"no thv: `python -m tests.real.thv` builds it, or {thv.VARIABLE} names one"
    ),
]

NAME = "GitHub.1"  # there; `github-1` here
CURSOR = '{\n    // mine\n    "mcpServers": {\n        "x": {"command": "node"}\n    }\n}\n'
CODEX = 'model = "gpt"  # the one\n\n[mcp_servers.notes]\ncommand = "notes"\n'


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    """ToolHive breaks some rules of good clients; that isn't what is tested here."""
    with OAuthServer(access_token_lifetime=3600, check=False, localhost=True) as server:
        yield server


@pytest.fixture
def echo(server: OAuthServer) -> Iterator[EchoWorkload]:
    with EchoWorkload(server) as echo:
        yield echo


@pytest.fixture
def toolhive(tmp_path: Path, server: OAuthServer, echo: EchoWorkload) -> Iterator[Thv]:
    """It has a workload, and Cursor and Codex are registered with it."""
    environment = {f"XDG_{place}_HOME": str(tmp_path / place) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
    program = Path(str(thv.program()))
    environment |= {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    environment |= {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/thv").symlink_to(program)
    for file, text in ((".cursor/mcp.json", CURSOR), (".codex/config.toml", CODEX)):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(text)
    with Thv(environment, tmp_path) as found:
        for client in ("cursor", "codex"):
            found.do("client", "register", client)
        found.run(NAME, server, echo.url)
        found.sign_in(NAME)
        found.until(NAME, "running")
        until(lambda: NAME in cursor(tmp_path), "ToolHive's entry in Cursor's file")
        until(lambda: NAME in codex(tmp_path), "ToolHive's entry in Codex' file")
        yield found


@pytest.fixture
def app(toolhive: Thv, tmp_path: Path) -> Iterator[App]:
    app = App(toolhive.environment, tmp_path, "github-1", "--no-tray")
    app.configure(f"[settings]\nport = {free_port()}\n")
    with app:
        until(lambda: f"toolhive/{NAME}" in app.command("list").stdout, "ToolHive's workload in our list")
        yield app


def cursor(home: Path) -> dict[str, Any]:
    text = "\n".join(line.partition("// ")[0] for line in (home / ".cursor/mcp.json").read_text().splitlines())
    return dict(json.loads(text.replace(",\n\t}", "\n\t}").replace(",\n}", "\n}"))["mcpServers"])


def codex(home: Path) -> dict[str, Any]:
    return dict(tomllib.loads((home / ".codex/config.toml").read_text())["mcp_servers"])


def take_over(app: App, *more: str) -> str:
    """Run the command, and sign in at the page that it names; what it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "trayapp", "take-over", f"toolhive/{NAME}", "--yes", "--no-browser", *more],
        env=app.environment,
        cwd=app.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "/authorize?" in line:
                assert 200 == browse(line.strip())
    said = "".join(lines)
    assert 0 == process.returncode, said
    return said


def says(entry: dict[str, Any], text: str) -> str:
    """What the server answers to a client that has this entry."""
    headers = {**(entry.get("headers") or entry["http_headers"]), "Accept": "application/json, text/event-stream"}
    call = {"name": "echo", "arguments": {"message": text}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    hello = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "a test", "version": "1"},
        },
    }
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    session: dict[str, str] = {}
    answer = ""
    for each in (hello, body):
        head = {**headers, **session, "Content-Type": "application/json"}
        with opener.open(urllib.request.Request(entry["url"], json.dumps(each).encode(), head), timeout=20) as found:
            answer = found.read().decode()
            session = {"Mcp-Session-Id": found.headers["Mcp-Session-Id"]} if "Mcp-Session-Id" in found.headers else {}
    return answer


def is_free(app: App) -> bool:
    """Whether the port of the workload's redirect is."""
    config = Path(app.environment["XDG_CONFIG_HOME"], "amberlight/config.toml").read_text()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", tomllib.loads(config)["workloads"]["github-1"]["redirect_port"]))
        except OSError:
            return False
    return True


def test_there_and_back(toolhive: Thv, app: App, echo: EchoWorkload, server: OAuthServer, tmp_path: Path) -> None:
    """ToolHive's own entries and a person's go with it, and it serves them; then all is as it was."""

    mine = tmp_path / ".codeium/windsurf/mcp_config.json"
    mine.parent.mkdir(parents=True)
    proxy = cursor(tmp_path)[NAME]["url"]
    servers = {"gh": {"serverUrl": proxy}, "k": {"env": {"K": "CANARY"}}}
    mine.write_text(text := json.dumps({"mcpServers": servers}))
    before = [(tmp_path / file).read_text() for file in (".cursor/mcp.json", ".codex/config.toml")]
    families = set(server.live_families())

    shown = app.command("take-over", f"toolhive/{NAME}", "--dry-run").stdout
    assert "becomes the workload github-1" in shown
    assert all(each in shown for each in ("Cursor (~/.cursor/mcp.json)", "Codex", "Windsurf"))
    assert mine.read_text() == text

    said = take_over(app)
    assert "Updated Codex, Cursor and Windsurf." in said
    assert "github-1 is signed in" in said
    assert "CANARY" not in said
    assert "stopped" == toolhive.status(NAME)["status"]
    for entry in (cursor(tmp_path)[NAME], codex(tmp_path)[NAME]):
        assert entry["url"].endswith("/w/github-1")
        assert "hello there" in says(entry, "hello there")
    assert "// mine" in (tmp_path / ".cursor/mcp.json").read_text()
    assert families <= set(server.live_families())  # ToolHive's own login is still good

    back = app.command("take-over", "--undo", "github-1", "--yes")
    assert 0 == back.returncode, back
    assert "Restored Codex, Cursor and Windsurf." in back.stdout
    assert text == mine.read_text()
    assert "github-1" not in app.command("list", "--all").stdout
    assert families <= set(server.live_families())
    toolhive.sign_in(NAME)  # no keyring: its login was in the process
    toolhive.until(NAME, "running")
    until(lambda: proxy == cursor(tmp_path).get(NAME, {}).get("url"), "ToolHive's entry in Cursor's file")
    until(lambda: proxy == codex(tmp_path).get(NAME, {}).get("url"), "ToolHive's entry in Codex' file")
    assert before == [(tmp_path / file).read_text() for file in (".cursor/mcp.json", ".codex/config.toml")]
    assert not list(tmp_path.rglob("*amberlight-backup*"))


def test_what_toolhive_does_to_entries_afterwards(toolhive: Thv, app: App, tmp_path: Path) -> None:
    """A start there points them back, and `doctor` says that both keep it; its removal takes ours away."""

    proxy = cursor(tmp_path)[NAME]["url"]
    take_over(app)
    until(lambda: is_free(app), "the end of our own sign-in page, whose port is ToolHive's")
    toolhive.do("restart", NAME)
    toolhive.sign_in(NAME)
    toolhive.until(NAME, "running")
    until(lambda: proxy == cursor(tmp_path).get(NAME, {}).get("url"), "ToolHive's entry in Cursor's file")
    found = app.command("doctor").stdout
    assert f"ToolHive runs {NAME}, and github-1 keeps the same server signed in." in " ".join(found.split())

    assert "Updated Codex and Cursor." in take_over(app)
    assert cursor(tmp_path)[NAME]["url"].endswith("/w/github-1")
    toolhive.do("rm", NAME)
    assert NAME not in cursor(tmp_path)
    assert 0 == app.command("connect", "cursor", "github-1").returncode
    assert cursor(tmp_path)["github-1"]["url"].endswith("/w/github-1")
