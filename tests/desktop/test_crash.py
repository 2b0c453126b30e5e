"""SIGKILL at each step of a refresh, with a real keyring: the next start is signed in, and no browser opens.

The server rotates and honours a spent token for a minute, as careful servers do. Without that grace one window remains,
between the server's decision and the keyring: then the program reports what happened.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desktop.crashing import REFRESH, STEPS
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from trayapp.oauthtest import Grant, Mode, OAuthServer

TOKEN_LIFE = 0.5  # s that a token lives until the kill: the second refresh comes after 0.4
pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=TOKEN_LIFE, grace=60, delay=60)]
KILLED_FROM_OUTSIDE = {
    "undecided": Mode.HANG_BEFORE_HEADERS,
    "decided": Mode.SLOW,
}  # killed from outside, with the request out
CASES = [*STEPS, *(f"no answer yet, {which}" for which in KILLED_FROM_OUTSIDE)]
TOKEN_REQUESTS = {"before the probe": 1, "before the intent": 1, "before the request": 1}  # token requests; later: both


class SelfKillingProgram(Program):
    """A program that kills itself at `step`."""

    def __init__(self, desk: Desk, root: Path, server: OAuthServer, step: str) -> None:
        super().__init__(desk, root, server, "--no-tray")
        self.program = ("-m", "tests.desktop.crashing", step)


def killed(desk: Desk, root: Path, server: OAuthServer, step: str) -> tuple[Program, Grant]:
    """A signed-in program that was killed at this step of its second refresh, ready to be restarted."""
    grant = server.issue(scope="mail")
    if step in STEPS:
        program: Program = SelfKillingProgram(desk, root, server, step)
        program.sign_in(grant)
        with program:
            program.wait_killed()
        program.program = Program.program
    else:
        mode = KILLED_FROM_OUTSIDE[step.split(", ")[1]]
        server.script(Mode.SUCCESS, mode)
        program = Program(desk, root, server, "--no-tray")
        program.sign_in(grant)
        outcome = "ok" if mode is Mode.SLOW else mode.value
        with program:
            assert server.wait("token", outcome="ok", timeout=20), program.tail()
            assert server.wait("token", outcome=outcome, times=2 if outcome == "ok" else 1, timeout=20), program.tail()
            program.kill()
    assert TOKEN_REQUESTS.get(step, REFRESH) == server.count("token"), "killed at another place than it should"
    server.access_token_lifetime = 3600.0
    return program, grant


def lose_state(program: Program) -> None:
    """Delete state.db and its companion files."""
    found = list(program.paths.state_dir.glob("state.db*"))
    assert found
    for file in found:
        file.unlink()


@pytest.mark.parametrize("state", ["kept", "deleted"])
@pytest.mark.parametrize("step", CASES)
def test_a_kill_never_costs_a_sign_in(
    on_desk: Desk, tmp_path: Path, server: OAuthServer, step: str, state: str
) -> None:
    """At every step: running after the restart, no browser, and the newest login is in the keyring."""

    program, grant = killed(on_desk, tmp_path, server, step)
    if state == "deleted":
        lose_state(program)
    with program:
        program.until_is("running", "ok")
        assert server.valid_access(program.token())
        assert 0 == program.quit(), program.tail()
    assert 0 == server.count("authorize")
    assert [] == program.visits()
    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(grant.family) == stored_login.refresh_token.reveal()


@pytest.mark.parametrize(("state", "reason"), [("kept", "lost_rotation"), ("deleted", "refused")])
@pytest.mark.parametrize("step", ["before storing", "before the header"])
def test_without_a_grace_the_loss_is_reported(
    on_desk: Desk, tmp_path: Path, server: OAuthServer, step: str, state: str, reason: str
) -> None:
    """The response died with the process: red with the known reason, and one command fixes it."""

    server.grace = 0.0
    program, _ = killed(on_desk, tmp_path, server, step)
    if state == "deleted":
        lose_state(program)
    with program:
        seen = program.until_is("unauthenticated", reason)
        assert "Choose Reauthorize to sign in again" in seen["status_context"]
        assert 0 == server.count("authorize")
        program.run("reauthorize", program.name)
        program.until_is("running", "ok")
        assert server.valid_access(program.token())
        assert 0 == program.quit(), program.tail()
    assert ["came", "200"] == program.visits()
    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(server.live_families()[-1]) == stored_login.refresh_token.reveal()


@pytest.mark.parametrize("state", ["kept", "deleted"])
def test_without_a_grace_the_keyrings_answer_is_enough(
    on_desk: Desk, tmp_path: Path, server: OAuthServer, state: str
) -> None:
    """Killed before the login was read back and the intent closed: the next start has it, and nobody is asked."""

    server.grace = 0.0
    program, grant = killed(on_desk, tmp_path, server, "after the keyring's answer")
    if state == "deleted":
        lose_state(program)
    stored_login = program.stored_login()
    assert stored_login is not None
    assert server.current_refresh_token(grant.family) == stored_login.refresh_token.reveal()
    with program:
        program.until_is("running", "ok")
        assert server.valid_access(program.token())
        assert 0 == program.quit(), program.tail()
    assert 0 == server.count("authorize")
