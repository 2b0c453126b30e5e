"""The real keyring locked, ended, restarted and missing under the running app: amber, no login lost, no prompt.

Prompts are counted on the bus, where gnome-keyring calls the program that draws them. A test in which a person asks for
one proves that they are seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program, Status
from tests.desktop.screen import wait_for
from tests.desktop.test_app import line_of
from trayapp.oauthtest import Grant, Mode, OAuthServer

LIFE = 1.0  # s that an access token lives: the next refresh, and so the next use of the keyring, comes soon
pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=LIFE, grace=60)]
# Without a signal the app retries the keyring once a minute; here five times a second, so that an unasked prompt shows.
FAST_KEYRING_RETRY = """
import sys
from trayapp.core import storing
storing.KEYRING_RETRY_WAITS = (0.2,)
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Prompts:
    """Counts on the bus every dialog that asks for a keyring's password."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        rule = "type='method_call',interface='org.gnome.keyring.internal.Prompter',member='PerformPrompt'"
        self._before = 0
        self._process = desk.spawn("dbus-monitor", "--session", rule)
        wait_for(lambda: desk.log("dbus-monitor"), "the eyes on the bus")
        self._before = self.count

    @property
    def count(self) -> int:
        """The number of dialogs requested so far."""
        return self._desk.log("dbus-monitor").count("member=PerformPrompt") - self._before

    def close(self) -> None:
        self._desk.end(self._process)


@pytest.fixture
def prompts(on_desk: Desk) -> Iterator[Prompts]:
    found = Prompts(on_desk)
    yield found
    found.close()
    assert [] == on_desk.prompts()


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> Iterator[Program]:
    """Signed in, not started yet; the keyring is unlocked again afterwards."""
    program = Program(on_desk, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    yield program
    on_desk.unlock_keyring()


def fast_keyring_retry(program: Program) -> Program:
    program.program = ("-c", FAST_KEYRING_RETRY)
    return program


def between_refreshes(program: Program) -> None:
    """Wait until just after a refresh, so that no attempt is in flight."""
    before = program.until_is("running", "ok")["auth"]["last_refreshed_at"]
    program.until(lambda seen: seen["auth"]["last_refreshed_at"] != before, "refreshed")
    time.sleep(LIFE / 5)


def wait_for_keyring_retries(program: Program, times: int) -> None:
    """Wait until the app has retried the keyring so many more times, unasked."""
    planned: set[str] = set()

    def asked(seen: Status) -> bool:
        planned.add(seen["auth"]["next_attempt_at"])
        return len(planned) > times

    program.until(asked, f"looking {times} times more")


def assert_recovers(program: Program, server: OAuthServer, grant: Grant) -> None:
    """Running again in the same process, without a sign-in, and the newest login is in the keyring."""
    server.access_token_lifetime = 3600.0
    program.until(lambda seen: (seen["auth"]["token_expires_at"] or "") > time_from_now(60), "refreshed")
    program.until_is("running", "ok")
    assert server.valid_access(program.token())
    assert 0 == program.quit(), program.tail()
    assert 0 == server.count("authorize")
    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(grant.family) == stored_login.refresh_token.reveal()


def time_from_now(seconds: float) -> str:
    """A future time as the API writes it; such texts sort by time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


# --- locked -----------------------------------------------------------------------------------------------------------


def test_a_locked_keyring_is_amber_and_shows_no_prompt(
    on_desk: Desk, prompts: Prompts, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """However often the app retries and callers call, no dialog appears and no token is spent."""

    with fast_keyring_retry(program):
        between_refreshes(program)
        on_desk.lock_keyring()
        seen = program.until_is("auth_retrying", "keyring_locked")
        assert "Unlock your keyring" in seen["status_context"]
        sent = server.count("token")
        for _ in range(3):
            assert "" == program.token()
        wait_for_keyring_retries(program, 5)
        program.until_is("auth_retrying", "keyring_locked")
        assert sent == server.count("token")
        assert 0 == prompts.count
        on_desk.unlock_keyring()
        assert_recovers(program, server, grant)
    assert 0 == prompts.count


def test_the_unlock_signal_is_used(
    on_desk: Desk, prompts: Prompts, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """The next retry is a minute away, so it is the signal that brings recovery within seconds."""

    with program:
        between_refreshes(program)
        on_desk.lock_keyring()
        program.until_is("auth_retrying", "keyring_locked")
        time.sleep(1)  # nothing changes without a signal
        assert "auth_retrying" == program.status()["status"]
        on_desk.unlock_keyring()
        program.until_is("running", "ok", limit=5)
        assert_recovers(program, server, grant)
    assert 0 == prompts.count


def test_locked_at_the_start(
    on_desk: Desk, prompts: Prompts, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """The login cannot even be read: amber, not signed out; the unlock makes it readable."""

    on_desk.lock_keyring()
    with program:
        program.until_is("auth_retrying", "keyring_locked")
        assert 0 == server.count("token")
        on_desk.unlock_keyring()
        program.until_is("running", "ok", limit=5)
        assert_recovers(program, server, grant)
    assert 0 == prompts.count


def test_a_person_may_ask_for_the_dialog(
    on_desk: Desk, prompts: Prompts, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """*Retry now* brings one dialog. After a cancel none follows unasked; after the password the workload recovers."""

    with fast_keyring_retry(program):
        between_refreshes(program)
        on_desk.lock_keyring()
        program.until_is("auth_retrying", "keyring_locked")
        program.client().post(program.name, "retry")
        wait_for(on_desk.prompts, "the dialog")
        on_desk.xdo("key", "Escape")
        wait_for(lambda: not on_desk.prompts(), "the dialog to go")
        wait_for_keyring_retries(program, 5)
        assert 1 == prompts.count
        program.until_is("auth_retrying", "keyring_locked")

        program.client().post(program.name, "retry")
        on_desk.settle(wait_for(on_desk.prompts, "the second dialog")[0])
        on_desk.xdo("type", "--delay", "5", on_desk.keyring_password or "")
        on_desk.xdo("key", "Return")
        program.until_is("running", "ok")
        assert_recovers(program, server, grant)
    assert 2 == prompts.count


def test_the_menu_unlocks_it(
    on_desk: Desk, prompts: Prompts, tmp_path: Path, server: OAuthServer, grant: Grant
) -> None:
    """One line at the top, one dialog, green."""

    program = Program(on_desk, tmp_path, server)
    program.sign_in(grant)
    with program:
        between_refreshes(program)
        on_desk.lock_keyring()
        program.until_is("auth_retrying", "keyring_locked")
        on_desk.click_row(on_desk.open_menu(), line_of(on_desk, "Unlock the keyring…"))
        on_desk.settle(wait_for(on_desk.prompts, "the dialog")[0])
        on_desk.xdo("type", "--delay", "5", on_desk.keyring_password or "")
        on_desk.xdo("key", "Return")
        assert_recovers(program, server, grant)
    assert 1 == prompts.count


# --- ended and missing ------------------------------------------------------------------------------------------------


def test_a_keyring_that_ended_comes_back_locked(
    on_desk: Desk, prompts: Prompts, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """The bus starts another daemon, which is locked: amber until it is unlocked, and nothing is lost."""

    with program:
        between_refreshes(program)
        on_desk.stop_keyring()
        program.until_is("auth_retrying", "keyring_locked")
        on_desk.unlock_keyring()
        program.until_is("running", "ok", limit=5)
        assert_recovers(program, server, grant)
    assert 0 == prompts.count


@pytest.fixture
def desk_without_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk without any keyring, and without a service that would start one."""
    require_desk()
    with Desk(keyring_password=None) as desk:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desk.env["DBUS_SESSION_BUS_ADDRESS"])
        monkeypatch.setenv("DISPLAY", desk.env["DISPLAY"])
        yield desk


def start_keyring_late(desk: Desk) -> None:
    """Start a keyring while the app is running."""
    desk.keyring_password = "better late"
    desk.start_keyring()


def test_without_any_keyring_a_sign_in_lasts_for_this_run(
    desk_without_keyring: Desk, tmp_path: Path, server: OAuthServer
) -> None:
    """Amber with the reason; a sign-in works and is reported as not stored; *Quit* warns once; a late keyring gets it."""

    program = Program(desk_without_keyring, tmp_path, server)
    with program:
        seen = program.until_is("auth_retrying", "keyring_unavailable")
        assert "No secure keyring was found" in seen["status_context"]
        program.run("reauthorize", program.name)
        seen = program.until_is("running", "not_stored")
        assert "Keep Amberlight running" in seen["status_context"]
        assert server.valid_access(program.token())

        quit_by_mouse(desk_without_keyring)
        box = desk_without_keyring.notification()
        time.sleep(0.5)
        assert program.running
        desk_without_keyring.click(box[0] + 40, box[1] + 20)  # dismissed
        wait_for(lambda: not desk_without_keyring.notifications(), "the warning to go")

        start_keyring_late(desk_without_keyring)
        program.until_is("running", "ok", limit=5)
        quit_by_mouse(desk_without_keyring)
        assert 0 == program.wait_ended(), program.tail()
    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(server.live_families()[-1]) == stored_login.refresh_token.reveal()
    assert ["came", "200"] == program.visits()


def test_a_second_quit_means_it(desk_without_keyring: Desk, tmp_path: Path, server: OAuthServer) -> None:
    """*Quit* in the warning ends the app, as the warning has said what that costs."""

    program = Program(desk_without_keyring, tmp_path, server)
    with program:
        program.until_is("auth_retrying", "keyring_unavailable")
        program.run("reauthorize", program.name)
        program.until_is("running", "not_stored")
        quit_by_mouse(desk_without_keyring)
        desk_without_keyring.notification()
        assert program.running
        desk_without_keyring.press_button(0)
        assert 0 == program.wait_ended(), program.tail()
        assert [] == desk_without_keyring.notifications()


def test_a_keyring_that_goes_and_comes(
    desk_without_keyring: Desk, tmp_path: Path, server: OAuthServer, grant: Grant
) -> None:
    """Where nothing activates another one it is unavailable; once it is back, everything continues."""

    start_keyring_late(desk_without_keyring)
    program = Program(desk_without_keyring, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    with program:
        between_refreshes(program)
        desk_without_keyring.stop_keyring()
        program.until_is("auth_retrying", "keyring_unavailable")
        start_keyring_late(desk_without_keyring)
        program.until_is("running", "ok", limit=5)
        assert_recovers(program, server, grant)


def test_a_keyring_that_goes_during_a_refresh(
    desk_without_keyring: Desk, tmp_path: Path, server: OAuthServer, grant: Grant
) -> None:
    """The old token is spent and the new one cannot be stored: it is served, refreshed from memory, and stored later."""

    start_keyring_late(desk_without_keyring)
    program = Program(desk_without_keyring, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    server.script(Mode.SUCCESS, Mode.SLOW)
    server.delay = 1.0
    with program:
        assert server.wait("token", outcome="ok", times=2, timeout=20), program.tail()
        desk_without_keyring.stop_keyring()
        program.until_is("running", "not_stored")
        assert server.wait("token", outcome="ok", times=4), "it is refreshed from memory"
        assert server.valid_access(program.token())
        start_keyring_late(desk_without_keyring)
        program.until_is("running", "ok", limit=5)
        assert_recovers(program, server, grant)


def quit_by_mouse(desk: Desk) -> None:
    """The last line of the menu."""
    desk.click_row(desk.open_menu(), -1)
