"""Where a command can't help, its message names the command that can."""

from __future__ import annotations

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main
from trayapp.cli.listing import EMPTY
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
STATUS, RETRY = "GET /workloads/github/status", "POST /workloads/github/retry"


@pytest.mark.parametrize(
    "state", [("running", "ok"), ("auth_retrying", "retrying"), ("unauthenticated", "refused"), ("unhealthy", "x")]
)
def test_a_login_is_tried(app: FakeApp, capsys: Capture, state: tuple[str, str]) -> None:
    """`retry` looks how the workload is, begins an attempt, and says how to see more; a refused one may be tried too."""

    app.replies |= {STATUS: (200, row("github", *state)), RETRY: (202, None)}

    assert 0 == main(["retry", "github"])
    assert [(STATUS, None), (RETRY, None)] == app.requests
    assert "Trying github now. See: amberlight status github\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (("stopped", "paused"), 1, "github is paused. Resume it: amberlight start github"),
        (("unauthenticated", "never_signed_in"), 4, "isn't signed in yet. Sign in: amberlight reauthorize github"),
    ],
)
def test_what_no_retry_can_mend(app: FakeApp, capsys: Capture, state: tuple[str, str], code: int, words: str) -> None:
    """`retry` claims no attempt where none would be made: it names the command that helps."""

    app.replies[STATUS] = 200, row("github", *state)

    assert code == main(["retry", "github"])
    captured = capsys.readouterr()
    assert ("", True) == (captured.out, words in captured.err)
    assert [(STATUS, None)] == app.requests


def test_an_address_is_enough_to_begin() -> None:
    """The empty list names no option that nobody needs."""

    assert "amberlight add NAME URL" in EMPTY


def test_added_without_a_network(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """When the sign-in of `add` cannot begin, the entry stays, and the way to sign in later is told."""

    app.replies["POST /reload"] = 200, {"ok": True, "errors": [], "warnings": []}
    app.replies["POST /workloads"] = 201, row("github", "unauthenticated", "never_signed_in")
    app.replies[STATUS] = 200, row("github", "unauthenticated", "never_signed_in")
    app.replies["POST /workloads/github/reauthorize"] = 502, {"error": "sign_in_failed", "message": "No such name."}

    assert 1 == main(["add", "github", "https://github.example.com/mcp"])
    assert "amberlight: No such name.\nSign in later: amberlight reauthorize github\n" == capsys.readouterr().err
    assert [] == app.bodies("DELETE /workloads/github")


def test_added_a_second_time(paths: Paths, capsys: Capture) -> None:
    """Who repeats `add`, as the first sign-in failed, is not told to remove first what is right."""

    command = ["add", "github", "https://github.example.com/mcp"]
    assert 0 == main(command)

    assert 1 == main(command)
    assert "Sign in to it: amberlight reauthorize github." in capsys.readouterr().err
