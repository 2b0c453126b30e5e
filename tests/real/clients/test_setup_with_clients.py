"""`amberlight setup` beside the real Claude Code and Codex: both show the server as theirs, and call its tool.

AMBERLIGHT_CLIENTS=1 packaging/dev.sh test tests/real/clients
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.desktop.desk import Desk
from tests.desktop.fresh_home import PROGRAM, FreshHome
from tests.real.clients import install
from tests.real.clients.model import Model
from tests.real.clients.one_shot import OneShot, home
from trayapp.oauthtest import EchoWorkload, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not install.wanted(), reason="installs 0.8 GB of clients: set AMBERLIGHT_CLIENTS=1 to run it"),
]
ENTER = "\r"
CALL = 'CALL echo {"message": "hello from setup"}'


@pytest.fixture
def workload() -> Iterator[EchoWorkload]:
    with OAuthServer(registration=True) as server, EchoWorkload(server) as workload:
        yield workload


@pytest.fixture
def fresh(desk: Desk) -> Iterator[FreshHome]:
    if not PROGRAM.exists():
        pytest.skip(f"Amberlight is not installed here ({PROGRAM})")
    with home(desk) as fresh:
        fresh.give_codex()
        yield fresh


@pytest.fixture
def clients(fresh: FreshHome) -> Iterator[OneShot]:
    with Model() as model:
        yield OneShot(fresh, model)


def test_setup_connects_claude_code_and_codex(fresh: FreshHome, clients: OneShot, workload: EchoWorkload) -> None:
    """`claude mcp add` has made the file; after `setup` both clients list the server and call its tool; `disconnect` puts
    Codex's file back."""

    clients.claude("mcp", "add", "--scope", "user", "--transport", "http", "notes", workload.url)
    assert "Needs authentication" in clients.claude("mcp", "list")
    before = fresh.codex_file.read_bytes()
    with fresh.terminal("setup") as terminal:
        for question in (r"Keep notes", r"Sign in to notes", r"Which do you want to connect", r"Start Amberlight when"):
            terminal.follow(question + r".*\] ")
            terminal.type(ENTER)
        assert 0 == terminal.wait(), terminal.screen

    listed = clients.claude("mcp", "list")
    assert re.search(r"notes: http://127\.0\.0\.1:\d+/w/notes \(HTTP\) - .* Connected", listed), listed
    (entry,) = json.loads(clients.codex("mcp", "list", "--json"))
    assert ("notes", True) == (entry["name"], entry["enabled"])

    assert "RESULT hello from setup" in clients.claude_prompt(CALL, "mcp__notes__echo")
    assert "hello from setup" in clients.codex_prompt(CALL, 'mcp_servers.notes.default_tools_approval_mode="approve"')
    calls = [each for each in workload.calls if each.rpc_method == "tools/call"]
    assert ["ok", "ok"] == [each.outcome for each in calls]

    key = fresh.claude_entry("notes")["headers"]["Authorization"].removeprefix("Bearer ").encode()
    assert not [line for line in fresh.command_lines if key in line]
    assert not [file for file in fresh.open_files() if key in file.read_bytes()]

    with fresh.terminal("disconnect", "codex") as terminal:
        assert 0 == terminal.wait(), terminal.screen
    assert before == fresh.codex_file.read_bytes()
