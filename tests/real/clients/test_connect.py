"""`connect` and `disconnect` with the real clients: each one's own list shows the workload, and its file is restored.

AMBERLIGHT_CLIENTS=1 packaging/dev.sh test tests/real/clients/test_connect.py
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import node
from tests.real.clients import install, stdio_bridge
from tests.real.clients.listings import LIMIT, LISTINGS, Listing, shown
from tests.real.clients.process import Process, environment
from tests.real.clients.site import NAME, Site
from trayapp.cli import main
from trayapp.clients.places import Machine
from trayapp.clients.table import BY_NAME
from trayapp.config.paths import Paths

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not install.wanted(), reason="installs 2.2 GB of clients: set AMBERLIGHT_CLIENTS=1 to run it"),
]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a space and a letter that is not ASCII; not in /tmp, which Codex does not want."""
    home = Path(tempfile.mkdtemp(prefix="ü client ", dir="/var/tmp"))
    for folder in ("work", "tmp", "bin"):
        (home / folder).mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def site(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The running program. `amberlight` is a command that serves it over standard input and output."""
    with Site(tmp_path) as site:
        site.start()
        command = home / "bin/amberlight"
        command.write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "{stdio_bridge.__file__}" "{tmp_path}" "$2"\n'
        )
        command.chmod(0o755)
        monkeypatch.setattr(Paths, "default", classmethod(lambda cls: site.program.paths))
        monkeypatch.setattr("trayapp.cli.connect.client_command", lambda *words: (str(command), *words))
        yield site


@pytest.mark.parametrize("way", ["address", "stdio"])
@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: str(listing.client))
def test_the_clients_own_list_shows_it(site: Site, home: Path, listing: Listing, way: str) -> None:
    """And what it wrote itself meanwhile is all that `disconnect` leaves different."""

    try:
        packages = install.packages()
    except node.NodeMissing as error:
        pytest.fail(str(error), pytrace=False)
    client = BY_NAME[listing.client]
    file = Machine.this().file(client)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(listing.before)
    assert re.search(listing.shows, shown(listing, packages, home)) is None
    before = file.read_bytes()

    assert 0 == main(["connect", client.name, *(["--stdio"] if way == "stdio" else [])])
    connected = file.read_bytes()
    said = shown(listing, packages, home)
    assert re.search(listing.shows, said), said
    untouched = connected == file.read_bytes()

    assert 0 == main(["disconnect", client.name])
    if untouched:
        assert before == file.read_bytes()
    assert re.search(listing.shows, shown(listing, packages, home)) is None
    assert NAME.encode() not in file.read_bytes()


def test_a_projects_file_serves_the_inspector(site: Site, home: Path) -> None:
    """`.mcp.json` is read by many; here it starts our command, and no key is in it."""

    packages = install.packages()
    assert 0 == main(["connect", "claude-code", NAME, "--project", str(home / "work")])
    file = home / "work/.mcp.json"
    assert "Bearer" not in file.read_text()
    program = packages / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    words = ("--cli", "--config", file, "--server", NAME, "--method", "tools/list")
    process = Process([str(each) for each in (node.node(), program, *words)], environment(home), home / "work")
    process.finish(LIMIT)
    assert "echo" in json.dumps(process.whole())


def test_claude_desktop_starts_a_program(site: Site, home: Path) -> None:
    """Exactly what stands in its file, in an environment that has nothing of ours."""

    assert 0 == main(["connect", "claude-desktop"])
    entry = json.loads(Machine.this().file(BY_NAME["claude-desktop"]).read_text())["mcpServers"][NAME]
    assert {"command", "args"} == set(entry)
    process = Process([entry["command"], *entry["args"]], {"HOME": str(home), "PATH": "/usr/bin:/bin"}, home)
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    process.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about})
    assert process.wait_for(lambda line: "result" in line and line["id"] == 1, 0, LIMIT), process.tail()
    process.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    process.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}})
    found = process.wait_for(lambda line: line.get("id") == 2, 0, LIMIT)
    assert found is not None, process.tail()
    assert "echo" in json.dumps(found)
    process.end()
