"""The app started where the environment names no session bus (ssh, cron, su), while the desktop runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from trayapp.oauthtest import OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=1.0, grace=60)]


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    """An app whose environment says nothing of the bus, which is in its runtime directory."""
    program = Program(on_desk, tmp_path, server)
    del program.environment["DBUS_SESSION_BUS_ADDRESS"]
    (tmp_path / "run/bus").symlink_to(on_desk.root / "run/bus")
    yield program
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")
    wait_for(lambda: not on_desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


@pytest.mark.parametrize("named", ["", "unix:path=/nonexistent/bus"])
def test_icon_notification_and_keyring_are_there(
    on_desk: Desk, program: Program, server: OAuthServer, named: str
) -> None:
    """A login is still there after a restart, a red workload is announced, and `doctor` finds nothing missing. An old
    tmux names a bus that is gone."""

    program.environment["DBUS_SESSION_BUS_ADDRESS"] = named
    program.sign_in(server.issue(scope="mail"))
    with program:
        program.until_is("running", "ok")
        wait_for(on_desk.tray_items, "the icon")
        stored = program.stored_login()
        assert stored is not None
        wait_for(lambda: (program.stored_login() or stored).generation > stored.generation, "a stored rotation")
        assert 0 == program.quit(), program.tail()
    with program:
        program.until_is("running", "ok")
        server.revoke_all()
        on_desk.notification()
        assert 0 == program.quit(), program.tail()
    assert "isn't a desktop session" not in program.command("doctor").stdout


def test_a_keyring_that_is_unlocked_later_is_noticed(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Its signal comes over the same bus."""

    program.sign_in(server.issue(scope="mail"))
    on_desk.lock_keyring()
    with program:
        program.until_is("auth_retrying", "keyring_locked")
        on_desk.unlock_keyring()
        program.until_is("running", "ok")
        assert 0 == program.quit(), program.tail()


def test_a_session_that_begins_later_is_joined(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Started at boot: icon and keyring come with the bus."""

    program.sign_in(server.issue(scope="mail"))
    (program.root / "run/bus").unlink()
    with program:
        program.until_is("auth_retrying", "keyring_unavailable")
        (program.root / "run/bus").symlink_to(on_desk.root / "run/bus")
        program.until_is("running", "ok")
        wait_for(on_desk.tray_items, "the icon", 20)
        assert 0 == program.quit(), program.tail()
    assert 1 == program.log().count("no tray icon: this session has no D-Bus session bus")
