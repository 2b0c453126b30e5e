"""ToolHive's gateway with Amberlight's login: a real ToolHive, pointed at `/w/NAME` as docs/toolhive.md says."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.desktop.desk import Desk
from tests.real import thv
from tests.real.app import HURRIED, App
from tests.real.protected_servers import free_port
from tests.real.thv import Thv, until
from trayapp.oauthtest import EchoWorkload, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        thv.program() is None, reason=f"no thv: `python -m tests.real.thv` builds it, or {thv.VARIABLE} names one"
    ),
]

CONFIG = '[settings]\nport = 0\n\n[workloads.notes]\nurl = "{url}"\nissuer = "{issuer}"\nclient_id = "{client_id}"\n'
SECRET = "amberlight-notes"
BROWSER = (
    "#!{python}\nimport sys\nsys.path.insert(0, {root!r})\nfrom trayapp.oauthtest import browse\nbrowse(sys.argv[1])\n"
)


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as server:
        yield server


@pytest.fixture
def echo(server: OAuthServer) -> Iterator[EchoWorkload]:
    with EchoWorkload(server) as echo:
        yield echo


@pytest.fixture
def app(desk: Desk, server: OAuthServer, echo: EchoWorkload, tmp_path: Path) -> Iterator[App]:
    """Running, with the workload `notes` signed in."""
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, root=str(ROOT)), encoding="utf-8")
    browser.chmod(0o755)
    app = App({**desk.env, "BROWSER": str(browser)}, tmp_path, "notes", "--no-tray")
    app.program = ("-c", HURRIED)
    app.configure(CONFIG.format(url=echo.url, issuer=server.issuer, client_id=server.client_id))
    with app:
        app.until_up()
        app.run("reauthorize", "notes")
        app.until(lambda s: s["status"] == "running", "running")
        yield app


@pytest.fixture
def toolhive(desk: Desk, tmp_path: Path) -> Iterator[Thv]:
    with Thv(desk.env, tmp_path, keyring=True) as found:
        yield found


def echoed(port: int) -> dict[str, Any]:
    """The result of a call of the tool, through ToolHive; only a status if it was refused."""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": "hi"}},
    }
    request = urllib.request.Request(f"http://127.0.0.1:{port}/w/notes", json.dumps(call).encode(), head)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())["result"]
            return found
    except urllib.error.HTTPError as error:
        return {"refused": error.code}


HI = {"content": [{"type": "text", "text": "hi"}], "isError": False}


def test_with_the_key_as_a_secret(app: App, toolhive: Thv, server: OAuthServer) -> None:
    """The key goes through a pipe into ToolHive's secrets; ToolHive never has a login, and so none to lose."""

    connection = json.loads(app.run("client-config", "notes", "--format", "json"))
    key, port = connection["headers"]["Authorization"], free_port()
    subprocess.run(
        [toolhive.program, "secret", "set", SECRET], env=toolhive.environment, input=key.encode(), check=True
    )
    forward = ("--remote-forward-headers-secret", f"Authorization={SECRET}", connection["url"])
    toolhive.do("run", "--name", "gate", "--proxy-port", str(port), "--transport", "streamable-http", *forward)
    toolhive.until("gate", "running")
    assert HI == echoed(port)
    configured = Path(toolhive.environment["XDG_STATE_HOME"], "toolhive/runconfigs/gate.json").read_text(
        encoding="utf-8"
    )
    process = Path(f"/proc/{toolhive.status('gate')['process_id']}/cmdline").read_bytes()
    bare = key.removeprefix("Bearer ")
    assert (False, False) == (bare in configured, bare.encode() in process)
    assert "toolhive/gate" in app.run("list")

    server.revoke_all()
    app.run("retry", "notes", codes=(0, 1, 4, 5))
    app.until(lambda s: s["status"] == "unauthenticated", "red")
    refused = echoed(port)
    assert refused["isError"]
    assert "amberlight reauthorize notes" in refused["content"][0]["text"]
    assert "running" == toolhive.status("gate")["status"]
    app.run("reauthorize", "notes")
    app.until(lambda s: s["status"] == "running", "running again")
    assert HI == echoed(port)


def test_without_a_key(app: App, toolhive: Thv) -> None:
    """Only where the workload says that none is needed."""

    url, port = json.loads(app.run("client-config", "notes", "--format", "json"))["url"], free_port()
    toolhive.do("run", "--name", "gate", "--proxy-port", str(port), "--transport", "streamable-http", url)
    until(lambda: toolhive.status("gate").get("process_id"), "its process")
    until(lambda: refused_by_toolhive(port) == 403, "its proxy")
    app.run("set", "notes", "require_key", "false")
    until(lambda: echoed(port) == HI, "a call without a key")


def refused_by_toolhive(port: int) -> int:
    try:
        return int(echoed(port).get("refused", 0))
    except OSError:  # it isn't listening yet
        return 0
