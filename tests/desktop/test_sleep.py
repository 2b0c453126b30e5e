"""Sleep, wake and captive portals, reported by mocked logind and NetworkManager to the whole app with a real keyring.

Measured is what a person would notice: how long the machine is kept from sleeping, and what is in the keyring when it
sleeps. For loopback endpoints only sleep closes the gate (M10), so nothing settles here except where that is the point.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import SYSTEM_PYTHON, Desk
from tests.desktop.program import NAME, Program
from tests.desktop.screen import wait_for
from trayapp.engine.suspend import SUSPEND_LIMIT
from trayapp.oauthtest import Grant, Mode, OAuthServer

LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
NM, NM_PATH = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
SETTLE = 3.0  # s, M10
SLOW_ANSWER = 2.0  # s
pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(grace=60, delay=SLOW_ANSWER)]
BUSY = 2.0  # s of slack for the two processes of a test
HOUR = 'tick_interval = "1h"'


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A desktop with a system bus and without a panel."""
    require_desk()
    if subprocess.run([SYSTEM_PYTHON, "-c", "import dbusmock"], capture_output=True).returncode:
        pytest.skip("no python3-dbusmock here (`packaging/dev.sh test` installs it)")
    with Desk(panel=False, notifications=False, system_bus=True) as desk:
        yield desk


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> Iterator[Program]:
    """Signed in and running, with the lock held; only a wake or a click makes it retry within the hour."""
    program = Program(on_desk, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    config = program.paths.config_file
    config.write_text(config.read_text().replace('tick_interval = "500ms"', HOUR))
    with program:
        program.until_is("running", "ok")
        wait_for(lambda: locked(on_desk), "the lock")
        wait_for(lambda: program.status()["auth"]["attempts"] == 0, "the end of the first refresh")
        yield program
    wait_for(lambda: not locked(on_desk), "the release of the lock at the end")


def locked(desk: Desk) -> bool:
    """Whether logind holds our delay lock on sleep."""
    told = desk.call(LOGIND, LOGIND_PATH, "org.freedesktop.login1.Manager.ListInhibitors", system=True)
    assert told, "logind does not answer"
    return '"Amberlight"' in told and '"delay"' in told and '"sleep"' in told


def prepare(desk: Desk, asleep: bool) -> None:
    """Emit logind's signal before or after a sleep."""
    manager = "org.freedesktop.login1.Manager"
    desk.mock(LOGIND, LOGIND_PATH, f"EmitSignal({manager!r}, 'PrepareForSleep', 'b', [{asleep}])")


def test_a_wake_is_an_attempt(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Amber, with the next tick in an hour: after a sleep and a wake it is green within the settling time."""

    server.mode = Mode.FIREWALL
    server.access_token_lifetime = 3600.0

    def failing(seen: dict[str, Any]) -> bool:
        if not seen["auth"]["attempts"]:
            program.run("retry", NAME)  # one that meets a login while it is being stored is not made
        return bool(seen["auth"]["attempts"] >= 2)

    program.until(failing, "failing")
    prepare(on_desk, True)
    wait_for(lambda: not locked(on_desk), "the release")
    server.mode = Mode.SUCCESS
    before = server.count("token")
    time.sleep(0.3)
    assert before == server.count("token"), "it sent a request before the sleep"

    began = time.monotonic()
    prepare(on_desk, False)
    assert server.wait("token", outcome="ok", times=2, timeout=SETTLE + BUSY)
    assert SETTLE + BUSY > time.monotonic() - began
    program.until(lambda seen: seen["auth"]["last_outcome"] == "refreshed", "green")
    wait_for(lambda: locked(on_desk), "the lock for the next sleep")


def test_a_sleep_waits_for_the_new_login(on_desk: Desk, program: Program, server: OAuthServer, grant: Grant) -> None:
    """The lid closes while a response is pending: the machine sleeps once the new login is in the keyring, not before."""

    server.script(Mode.SLOW)
    program.run("retry", NAME)
    assert server.wait("token", outcome="ok", times=2)  # decided; the answer comes two seconds later
    asked = time.monotonic()
    prepare(on_desk, True)
    while time.monotonic() < asked + SLOW_ANSWER - 0.7:
        assert locked(on_desk), "the lock was released without the new login"
    wait_for(lambda: not locked(on_desk), "the release", SUSPEND_LIMIT + BUSY)
    took = time.monotonic() - asked

    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(grant.family) == stored_login.refresh_token.reveal()
    assert SLOW_ANSWER - 0.7 < took < SUSPEND_LIMIT
    prepare(on_desk, False)


def test_a_sleep_does_not_wait_for_ever_and_the_same_token_is_tried_again(
    on_desk: Desk, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """The response never comes: released within 4 s, marked, and after the wake the server's grace answers the old token."""

    server.delay = 60.0
    server.script(Mode.SLOW)
    program.run("retry", NAME)
    assert server.wait("token", outcome="ok", times=2)
    asked = time.monotonic()
    prepare(on_desk, True)
    wait_for(lambda: not locked(on_desk), "the release", SUSPEND_LIMIT + BUSY)
    assert SUSPEND_LIMIT - 0.5 < time.monotonic() - asked < SUSPEND_LIMIT + 1.0

    prepare(on_desk, False)
    assert server.wait("token", outcome="ok", times=3, timeout=10)
    lost, again = [record.form["refresh_token"] for record in server.requests if record.kind == "token"][1:3]
    assert lost == again
    program.until(lambda seen: seen["auth"]["last_outcome"] == "refreshed", "green again")
    assert ("running", 0) == (program.status()["status"], program.status()["auth"]["lost_rotations"])
    wait_for(
        lambda: (
            (stored_login := program.stored_login()) is not None
            and server.current_refresh_token(grant.family) == stored_login.refresh_token.reveal()
        ),
        "the new login",
    )


def test_a_sleep_that_is_called_off_opens_the_gate(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """No request between the two signals; after the second one a click works as before."""

    prepare(on_desk, True)
    wait_for(lambda: not locked(on_desk), "the release")
    before = server.count("token")
    program.run("retry", NAME)
    time.sleep(0.3)
    assert before == server.count("token")
    prepare(on_desk, False)
    assert server.wait("token", outcome="ok", times=before + 1)


def test_logind_may_end_during_an_announced_sleep(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Its end counts as the wake that it can't report any more; once it is back, so is the lock."""

    prepare(on_desk, True)
    wait_for(lambda: not locked(on_desk), "the release")
    before = server.count("token")
    program.run("retry", NAME)
    on_desk.stop_mock("logind")
    try:
        assert server.wait("token", outcome="ok", times=before + 1)
        assert "logind" not in program.status()["sources"]
        assert "logind is not there" in program.log()
    finally:
        on_desk.start_mock("logind")
    wait_for(lambda: locked(on_desk), "the lock")
    assert "logind" in program.status()["sources"]


def test_doctor_and_status_name_the_sources(on_desk: Desk, program: Program) -> None:
    """A plain `status` does not."""

    names = "rtnetlink, logind, timerfd, NetworkManager"
    assert f"Announced by {names}." in program.command("doctor").stdout
    assert f"{names}, polling" in program.run("status", NAME, "--verbose")
    assert "rtnetlink" not in program.run("status", NAME)


def test_a_portal_is_a_hint(on_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> None:
    """NetworkManager suspects a captive portal: amber with that detail and no attempts; once it is gone, one is made."""

    program = Program(on_desk, tmp_path, server, "--no-tray")
    _beyond_loopback(program, grant)
    with program:
        program.until(lambda seen: seen["auth"]["last_error"], "failing")
        on_desk.mock(NM, NM_PATH, "SetConnectivity(2)")
        program.until_is("auth_retrying", "portal")
        tried = program.status()["auth"]["attempts"]
        time.sleep(0.5)
        assert tried == program.status()["auth"]["attempts"]

        on_desk.mock(NM, NM_PATH, "SetConnectivity(4)")
        seen = program.until(lambda seen: seen["auth"]["last_trigger"] == "network", "tried again", SETTLE + BUSY)
        assert "portal" != seen["auth"]["detail"]


def _beyond_loopback(program: Program, grant: Grant) -> None:
    """Move the workload to an endpoint that is not loopback by our rules, although nothing leaves this machine."""
    nowhere = "https://127.0.0.2:9"
    text = program.paths.config_file.read_text().replace(program.server.url, nowhere)
    program.configure(text.replace('tick_interval = "500ms"', HOUR))
    program.server = _Elsewhere(nowhere, program.server)  # type: ignore[assignment]
    program.sign_in(grant)


class _Elsewhere:
    """What `Program` needs of a server, at another address."""

    def __init__(self, url: str, server: OAuthServer) -> None:
        self.token_endpoint = f"{url}/token"
        self.client_id = server.client_id
