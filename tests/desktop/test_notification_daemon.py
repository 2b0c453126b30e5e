"""Red on a desktop whose notification daemon comes late, restarts, hangs, or has its name before its object."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast.aio.message_bus import MessageBus

from tests.desktop.conftest import require_desk
from tests.desktop.desk import NOTIFICATIONS, Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.tray.bus import Notifications
from trayapp.oauthtest import Grant, OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=1.0, grace=60)]


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A desktop whose bus starts no notification daemon: it is started by hand, as by a window manager's start script."""
    require_desk()
    with Desk(panel=False, notifications=False, activates_notifications=False) as desk:
        yield desk


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> Iterator[Program]:
    """Running, and red before the test begins; at the end the daemon is gone."""
    program = Program(on_desk, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    with program:
        program.until_is("running", "ok")
        yield program
    on_desk.stop_notifications()
    assert "Traceback" not in program.log()


def turn_red(program: Program, server: OAuthServer) -> None:
    server.revoke_all()
    program.until_is("unauthenticated", "refused")


def test_a_daemon_that_starts_late_shows_what_is_still_true(
    on_desk: Desk, program: Program, server: OAuthServer
) -> None:
    """With working buttons; after the sign-in a restart of the daemon shows nothing."""

    turn_red(program, server)
    wait_for(lambda: "no notification daemon runs" in program.log(), "the failure in the log")
    on_desk.start_notifications()
    on_desk.press_button(0)
    program.until_is("running", "ok")
    wait_for(lambda: not on_desk.notifications(), "the notification to go")

    on_desk.stop_notifications()
    on_desk.start_notifications()
    time.sleep(0.5)
    assert [] == on_desk.notifications()


def test_a_restarted_daemon_shows_it_again(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Once per restart, unless the person has dismissed it."""

    on_desk.start_notifications()
    turn_red(program, server)
    on_desk.notification()
    on_desk.stop_notifications()
    on_desk.start_notifications()
    x, y, _, _ = on_desk.notification()
    assert 1 == len(on_desk.notifications())

    on_desk.click(x + 20, y + 12)
    wait_for(lambda: not on_desk.notifications(), "the dismissed notification to go")
    on_desk.stop_notifications()
    on_desk.start_notifications()
    time.sleep(0.5)
    assert [] == on_desk.notifications()


def test_a_daemon_that_hung_shows_it_once(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """The call that it answers late is not repeated."""

    on_desk.start_notifications()
    daemon = on_desk.notification_daemon
    daemon.send_signal(signal.SIGSTOP)
    turn_red(program, server)
    wait_for(lambda: "didn't answer within" in program.log(), "the failure in the log", 20.0)
    daemon.send_signal(signal.SIGCONT)
    assert 2 == len(on_desk.buttons(on_desk.notification()))
    assert 1 == len(on_desk.notifications())


async def test_a_name_before_its_object(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """It is tried again until the object is there, with fewer and fewer calls."""

    bus = await MessageBus().connect()
    await bus.request_name(NOTIFICATIONS)
    await asyncio.to_thread(turn_red, program, server)
    await asyncio.to_thread(wait_for, lambda: "UnknownMethod" in program.log(), "the failure in the log")
    daemon = Notifications("actions")
    bus.export("/org/freedesktop/Notifications", daemon)
    for _ in range(500):
        if daemon.calls:
            break
        await asyncio.sleep(0.02)
    assert ["mail: Sign-in needed"] == [call[3] for call in daemon.calls]
    bus.disconnect()
    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
