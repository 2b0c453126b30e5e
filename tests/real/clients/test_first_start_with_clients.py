"""The first start with the real Claude Code and Codex, which were installed before and never used: the home is empty.

AMBERLIGHT_CLIENTS=1 packaging/dev.sh test tests/real/clients/test_first_start_with_clients.py
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.desktop.desk import Desk
from tests.desktop.fresh_home import FreshHome
from tests.desktop.screen import wait_for
from tests.real.clients import install
from tests.real.clients.model import Model
from tests.real.clients.one_shot import OneShot, home
from tests.real.first_start import CLICKS_MAX, NAME, StandIn, set_up
from trayapp.cli.client import ApiClient
from trayapp.oauthtest import Mode

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not install.wanted(), reason="installs 0.8 GB of clients: set AMBERLIGHT_CLIENTS=1 to run it"),
]
TOOL = f"mcp__{NAME}__echo"
APPROVED = f'mcp_servers.{NAME}.default_tools_approval_mode="approve"'
RECOVERY = 180.0  # s


@pytest.fixture
def fresh(desk: Desk, chromium: None) -> Iterator[FreshHome]:
    with home(desk) as fresh:
        yield fresh


@pytest.fixture
def clients(fresh: FreshHome) -> Iterator[OneShot]:
    with Model() as model:
        yield OneShot(fresh, model)


def call(text: str) -> str:
    """The prompt that has a client call the tool."""
    return f'CALL echo {{"message": "{text}"}}'


def works(clients: OneShot, stand_in: StandIn) -> None:
    """Both call the tool, and the server has answered each."""
    assert "RESULT from claude" in clients.claude_prompt(call("from claude"), TOOL)
    assert ["ok"] == stand_in.tool_calls()
    assert "\nfrom codex" in clients.codex_prompt(call("from codex"), APPROVED)
    assert ["ok", "ok"] == stand_in.tool_calls()


def test_six_clicks_and_one_sign_in_to_a_tool_call(fresh: FreshHome, clients: OneShot, stand_in: StandIn) -> None:
    """Set-up finds both on the PATH and connects them. Each asks its own user before it calls a tool, and scripts have to
    say so before."""

    assert {".local", "work", "tmp"} == {each.name for each in fresh.home.iterdir()}
    with set_up(fresh, stand_in.workload.url) as finished:
        start = time.monotonic()
        works(clients, stand_in)
        seconds = time.monotonic() - start
        assert "haven't granted it" in clients.claude_prompt(call("without"), "Read")
        assert "requires approval" in clients.codex_prompt(call("without"))
    sign_ins = stand_in.authority.count("authorize")
    print(f"{clients.versions()}: {finished.clicks} clicks, {sign_ins} sign-in;", end=" ")
    print(f"{finished.seconds:.0f} s to the end of set-up, {seconds:.0f} s for a call of each")
    assert finished.clicks <= CLICKS_MAX
    assert 1 == sign_ins == stand_in.authority.count("register")
    assert ["ok", "ok"] == stand_in.tool_calls()


@pytest.mark.parametrize("what", ["server", "sign-in server"])
def test_down_at_the_first_call(fresh: FreshHome, clients: OneShot, stand_in: StandIn, what: str) -> None:
    """Both have been started before and know the tool. The model of each reads why its call failed; later it just works."""

    with set_up(fresh, stand_in.workload.url):
        assert "hello" in clients.claude_prompt("SAY hello", TOOL)
        assert "hello" in clients.codex_prompt("SAY hello")
        if what == "server":
            stand_in.workload.down()
            told = f"{NAME} isn't available. Can't reach 127.0.0.1. Try again shortly."
        else:
            stand_in.authority.mode = Mode.UNAVAILABLE
            stand_in.workload.reject_seen()
            told = f"{NAME} is reconnecting."
        assert told in clients.claude_prompt(call("too early"), TOOL)
        assert told in clients.codex_prompt(call("too early"), APPROVED)
        assert "ok" not in stand_in.tool_calls()
        if what == "server":
            stand_in.workload.up()
        else:
            stand_in.authority.mode = Mode.SUCCESS
        api = ApiClient.find(fresh.paths.runtime_dir)
        wait_for(lambda: api.status(NAME)["status"] == "running", "the workload to run again", RECOVERY)
        works(clients, stand_in)
    assert 1 == stand_in.authority.count("authorize")
