"""Opening the dashboard on a real desktop: by left click, menu, second start and command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import line_of, wait_for_icon
from trayapp.app.dashboard import CLICK_SPACING
from trayapp.core.presentation import Colour
from trayapp.oauthtest import OAuthServer

pytestmark = pytest.mark.desktop

SEEN = ["came", "200"]  # one visit of the fake browser


@pytest.fixture
def running(on_desk: Desk, tmp_path: Path) -> Iterator[Program]:
    """Signed in, with a green icon."""
    with OAuthServer(access_token_lifetime=3600.0, grace=60) as server:
        program = Program(on_desk, tmp_path, server)
        program.sign_in(server.issue(scope="mail"))
        with program:
            wait_for_icon(on_desk, Colour.GREEN)
            yield program
            on_desk.close_menu()
        assert "Traceback" not in program.log()


def opened(program: Program, times: int) -> None:
    """Wait for this number of visits."""
    wait_for(lambda: program.visits() == SEEN * times, f"{times} visits")


def test_the_ways_to_the_dashboard(on_desk: Desk, running: Program) -> None:
    """Each opens one page of the running app; no link's secret is in the log."""

    on_desk.click_icon()
    opened(running, 1)
    wait_for(lambda: not on_desk.menus(), "no menu")
    time.sleep(CLICK_SPACING)  # sooner it would count as a double click
    on_desk.click_row(on_desk.open_menu(), line_of(on_desk, "Open dashboard"))
    opened(running, 2)
    second = running.command("run")
    assert (0, "") == (second.returncode, second.stdout)
    assert "Its dashboard opens in your browser" in second.stderr
    opened(running, 3)
    assert 0 == running.command("dashboard").returncode
    opened(running, 4)
    assert "once=" not in running.log()
