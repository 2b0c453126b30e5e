"""ToolHive's workloads on a real desktop: what a person sees of them, and that one click has ToolHive restart one.

Its files are as ToolHive writes them, a program named `thv` is its process, and its API is a scripted one; the real
`thv` is in tests/real.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import green_program, labels, wait_for_icon
from tests.external.api_server import ApiServer
from tests.external.tree import Tree
from trayapp.core.presentation import Colour
from trayapp.oauthtest import OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(grace=60)]

THEIRS = "notes"
CONTEXT = "token refresh failed: connection refused"
LINE = "notes (ToolHive)"
NOTES = 2  # its line in the menu, below the summary and the dashboard
RESTART = 0  # the first button of its notification


class ToolHive:
    """A user's ToolHive with one remote workload. `restarted` is how often it was asked to restart that."""

    def __init__(self, root: Path, api: ApiServer, process: subprocess.Popen[bytes], url: str) -> None:
        self.restarted = 0
        self._tree = Tree(root)
        self._process = process
        self._tree.configure(THEIRS, remote_url=url)
        self.says("running")
        self._tree.serves(api.url)
        api.acts(THEIRS, "restart")
        api.on_request = self._asked

    def says(self, word: str, context: str = "") -> None:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._tree.status(THEIRS, word, self._process.pid, context, at)

    def _asked(self, what: str) -> None:
        if what.endswith("/restart"):
            self.restarted += 1
            self.says("running")

    def dies(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def toolhive(tmp_path: Path, server: OAuthServer) -> Iterator[ToolHive]:
    thv = tmp_path / "thv"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", thv)
    process = subprocess.Popen([thv, "600"])
    try:
        with ApiServer().on_port() as api:
            yield ToolHive(tmp_path, api, process, f"{server.url}/mcp")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, toolhive: ToolHive, server: OAuthServer) -> Iterator[Program]:
    """With one workload of its own, which is green; ToolHive's runs before it."""
    yield from green_program(on_desk, tmp_path, server)


def test_amber_red_and_restarted_from_the_notification(on_desk: Desk, program: Program, toolhive: ToolHive) -> None:
    """Amber disturbs nobody; red says so once, and its button makes it green."""

    toolhive.says("auth_retrying", CONTEXT)
    wait_for_icon(on_desk, Colour.GREEN, Colour.AMBER)
    assert [] == on_desk.notifications()
    toolhive.says("unauthenticated", CONTEXT)
    wait_for_icon(on_desk, Colour.GREEN, Colour.RED)
    on_desk.press_button(RESTART)
    wait_for_icon(on_desk, Colour.GREEN)
    assert 1 == toolhive.restarted
    wait_for(lambda: not on_desk.notifications(), "the notification to go")


def test_restarted_from_the_menu(on_desk: Desk, program: Program, toolhive: ToolHive) -> None:
    """Its line is at the top while it is in trouble, and its first action is *Restart*."""

    toolhive.says("auth_retrying", CONTEXT)
    wait_for_icon(on_desk, Colour.GREEN, Colour.AMBER)
    assert any(LINE in line for line in labels(on_desk)), labels(on_desk)
    on_desk.hover_row(on_desk.open_menu(), NOTES)
    submenu = wait_for(lambda: on_desk.menus()[1:], "its actions")[0]
    on_desk.click_row(submenu, 0)
    wait_for_icon(on_desk, Colour.GREEN)
    assert 1 == toolhive.restarted


def test_its_row_goes_quietly(on_desk: Desk, program: Program, toolhive: ToolHive) -> None:
    """ToolHive was stopped while its workload was red."""

    toolhive.says("unauthenticated", CONTEXT)
    wait_for_icon(on_desk, Colour.GREEN, Colour.RED)
    wait_for(on_desk.notifications, "the notification")
    toolhive.dies()
    wait_for_icon(on_desk, Colour.GREEN)
    wait_for(lambda: not on_desk.notifications(), "the notification to go")
    assert not any(LINE in line for line in labels(on_desk)), labels(on_desk)
