"""The session bus ends under the running app and starts again: keyring, icon and notifications work as before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour
from trayapp.oauthtest import Grant, Mode, OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=1.0, grace=60)]


@pytest.fixture
def own_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk for one test."""
    require_desk()
    with Desk(keyring_password=None) as desk:  # nothing starts a keyring but the test
        desk.keyring_password = "correct horse"
        desk.start_keyring()
        for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
            monkeypatch.setenv(name, desk.env[name])
        yield desk


def test_everything_is_found_on_the_new_bus(own_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> None:
    """The unlock is heard, long before the keyring would be asked again; the icon is back; a red notice is shown."""

    desk, program = own_desk, Program(own_desk, tmp_path, server)
    program.sign_in(grant)
    with program:
        program.until_is("running", "ok")
        for _ in range(2):
            desk.restart_session_bus()
            until_stuck(program, "keyring_unavailable", 60.0)  # a bus may try to start a keyring for 25 s
            desk.start_keyring()
            desk.lock_keyring()
            until_stuck(program, "keyring_locked", 15.0)
            time.sleep(1.0)  # whatever the return of bus and keyring set off is over
            desk.unlock_keyring()
            program.until_is("running", "ok", limit=10)

            desk.start_panel()
            wait_for(lambda: desk.icon_share(Colour.GREEN.value) > 0.05, "the icon on the new panel", 20)
        desk.start_notifications()
        server.script(Mode.INVALID_GRANT)
        desk.notification()
        assert 0 == server.count("authorize")


def until_stuck(program: Program, trouble: str, limit: float) -> None:
    """Wait for the keyring's trouble to show: no refresh, or, if one was just under way, a login that can't be stored."""
    program.until(lambda seen: seen["auth"]["detail"] in (trouble, "not_stored"), trouble, limit)
