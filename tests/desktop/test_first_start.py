"""The first start on a real desktop: the logo in the panel, and a notification that says where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import SHORT_HOST_GRACE
from trayapp.app.icon_notice import FILE, told
from trayapp.core.first_start import Told
from trayapp.oauthtest import OAuthServer

pytestmark = pytest.mark.desktop

TILE = "#33286e"  # of the logo


def new_installation(desk: Desk, root: Path, server: OAuthServer) -> Program:
    """Without any workload, and nothing has been said yet."""
    program = Program(desk, root, server)
    program.configure("[settings]\nport = 0\n")
    (program.paths.state_dir / FILE).unlink()
    return program


def test_a_first_start_says_where_the_icon_is(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> None:
    """The logo is in the panel and beside the sentence; the second start says nothing."""

    program = new_installation(on_desk, tmp_path, server)
    with program:
        wait_for(lambda: on_desk.icon_share(TILE) > 0.1, "the logo in the panel")
        x, y, width, height = on_desk.notification()
        shown = on_desk.shot().crop((x, y, x + width, y + height))
        assert any(pixel == (0x33, 0x28, 0x6E) for _, pixel in shown.getcolors(width * height) or ())
        wait_for(lambda: told(program.paths.state_dir) == {Told.ICON}, "the mark")
        assert 0 == program.quit(), program.tail()
    wait_for(lambda: not on_desk.notifications(), "the notification to go")
    with program:
        wait_for(lambda: on_desk.icon_share(TILE) > 0.1, "the logo in the panel")
        assert [] == on_desk.notifications()
        assert 0 == program.quit(), program.tail()


def test_a_desktop_without_a_tray_says_it_once(tmp_path: Path, server: OAuthServer) -> None:
    """With a button that opens the dashboard; the second start only warns in its log."""

    require_desk()
    with Desk(panel=False, keyring_password=None) as desk:
        desk.env["XDG_CURRENT_DESKTOP"] = "GNOME"
        program = new_installation(desk, tmp_path, server)
        program.program = ("-c", SHORT_HOST_GRACE)
        with program:
            desk.press_button(0)
            wait_for(lambda: program.visits(), "the dashboard")
            assert {Told.NO_TRAY} == told(program.paths.state_dir)
            assert 0 == program.quit(), program.tail()
        with program:
            wait_for(lambda: program.log().count("Turn on the extension AppIndicator") == 2, "the second warning")
            assert [] == desk.notifications()
            assert 0 == program.quit(), program.tail()
