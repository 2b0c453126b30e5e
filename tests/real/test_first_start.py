"""The first start with the clicks counted: Claude Code and Codex were used before, without any server.

At the end the tool is called with what was written into each client's file; the clients themselves are in
`tests/real/clients/test_first_start_with_clients.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.fresh_home import FreshHome
from tests.desktop.test_setup import call
from tests.real.first_start import CLICKS_MAX, NAME, StandIn, set_up

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture
def fresh(desk: Desk, tmp_path: Path, chromium: None) -> Iterator[FreshHome]:
    with FreshHome(desk, tmp_path) as fresh:
        fresh.configure_port()
        fresh.give_claude({})
        fresh.give_codex()
        yield fresh


async def test_six_clicks_and_one_sign_in_to_a_tool_call(fresh: FreshHome, stand_in: StandIn) -> None:
    """`amberlight run`, and nothing more is typed in a terminal; both clients call the tool."""

    with set_up(fresh, stand_in.workload.url) as finished:
        assert "hello" == await call(fresh.claude_entry(NAME), "headers", fresh.env)
        assert "hello" == await call(fresh.codex_entry(NAME), "http_headers", fresh.env)
    assert ["ok", "ok"] == stand_in.tool_calls()
    assert finished.clicks <= CLICKS_MAX
    assert 1 == stand_in.authority.count("authorize") == stand_in.authority.count("register")
