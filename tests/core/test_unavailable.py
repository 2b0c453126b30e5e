"""The answer to a caller that gets no token, and the help for its user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.states import (
    AMBER,
    FLIGHT,
    GONE,
    LOGIN,
    NOW,
    OFFLINE,
    OPEN,
    PORTAL,
    SPEC,
    START,
    token,
    work,
)
from trayapp.core import gate as gates
from trayapp.core.gate import Gate
from trayapp.core.model import (
    Phase,
    SignedOut,
    Trigger,
    Trouble,
    Workload,
)
from trayapp.core.sentences import duration, help_for
from trayapp.core.snapshot import Detail, Status, WorkloadView
from trayapp.core.view import derive, unavailable


def answer_to_caller(w: Workload, gate: Gate = OPEN) -> tuple[str, int | None, str]:
    answer = unavailable(w, derive(w, gate, NOW), gate, NOW)
    return answer.error, answer.retry_after, answer.help


HELPS: list[tuple[Workload, Gate, str, int | None, str]] = [
    (
        AMBER,
        OPEN,
        "retrying",
        200,
        "No action needed. jira reconnects automatically.",
    ),
    (
        replace(AMBER, phase=Phase.REFRESHING, due=None, attempt=FLIGHT),
        OPEN,
        "retrying",
        2,
        "No action needed. jira reconnects automatically.",
    ),
    (AMBER, OFFLINE, "retrying", 30, "Connect to a network; jira continues automatically."),
    (
        AMBER,
        PORTAL,
        "retrying",
        30,
        "Open any web page and sign in to this Wi-Fi network; jira continues automatically.",
    ),
    (START, OPEN, "starting", 1, "jira is starting. Try again in a few seconds."),
    (
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=0.0),
        OPEN,
        "retrying",
        30,
        "Unlock your keyring; jira continues automatically.",
    ),
    (
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED),
        OPEN,
        "reauth_required",
        60,
        "Choose Reauthorize in the Amberlight menu, or run `amberlight reauthorize jira`.",
    ),
    (
        work(Phase.SIGNED_OUT, signed_out=SignedOut.NEVER),
        OPEN,
        "reauth_required",
        60,
        "Choose “Sign in…” in the Amberlight menu, or run `amberlight reauthorize jira`.",
    ),
    (
        work(failing=GONE),
        OPEN,
        "reauth_required",
        60,
        "Choose Retry now in the Amberlight menu or run `amberlight retry jira`. If that doesn't help, run "
        "`amberlight reauthorize jira`.",
    ),
    (
        work(Phase.PAUSED, unsaved=True, keyring=Trouble.LOCKED),
        OPEN,
        "stopped",
        None,
        "jira is paused. Choose Resume in the Amberlight menu, or run `amberlight start jira`.",
    ),
    (
        work(after="remove"),
        OPEN,
        "stopped",
        None,
        "jira is being removed. To keep it, add it again with `amberlight add`.",
    ),
    (
        work(Phase.BROKEN),
        OPEN,
        "config_error",
        60,
        "Fix the configuration of jira. Run `amberlight status jira` for details.",
    ),
    (
        work(Phase.BROKEN, confirm=SPEC),
        OPEN,
        "config_error",
        60,
        "The configuration of jira was changed. To confirm it, choose Reauthorize in the Amberlight menu, or run `amberlight "
        "reauthorize jira`.",
    ),
    (
        work(access=token(rejected=True), strikes=3, due=1400.0),
        OPEN,
        "upstream_rejects",
        400,
        "Check that your account still has access to the service behind jira.",
    ),
]


@pytest.mark.parametrize(("w", "gate", "error", "retry_after", "sentence"), HELPS)
def test_what_a_caller_is_told(w: Workload, gate: Gate, error: str, retry_after: int | None, sentence: str) -> None:
    """An error code for the program, a correct Retry-After, and a sentence for its user (M15, M17, M18)."""

    assert (error, retry_after, sentence) == answer_to_caller(w, gate)


def test_a_caller_is_told_what_the_view_says() -> None:
    """Status, detail, since and the next attempt are those of the view."""

    view: WorkloadView = derive(AMBER, OPEN, NOW)
    answer = unavailable(AMBER, view, OPEN, NOW)
    assert (answer.status, answer.detail) == (Status.AUTH_RETRYING, Detail.RETRYING)
    assert (answer.since, answer.next_attempt_at) == (NOW.wall, NOW.wall + 200.0)
    assert "jira" in help_for(view)


@pytest.mark.parametrize("gate", [OFFLINE, PORTAL, gates.sleep_soon(OPEN, 990.0)])
def test_while_the_gate_is_blocked_no_next_attempt_is_known(gate: Gate) -> None:
    """M15: Retry-After says 30 and `next_attempt_at` is null, in the 503 and in the status alike: neither names an instant."""

    view = derive(AMBER, gate, NOW)
    answer = unavailable(AMBER, view, gate, NOW)
    assert (30, None, None) == (answer.retry_after, answer.next_attempt_at, view.auth.next_attempt_at)


@pytest.mark.parametrize("gate", [OPEN, OFFLINE])
def test_retry_after_and_the_next_attempt_say_the_same(gate: Gate) -> None:
    """M15: *Retry now* passes the gate, so even offline its instant is known."""

    w = replace(AMBER, trigger=Trigger.MANUAL)
    answer = unavailable(w, derive(w, gate, NOW), gate, NOW)
    assert (200, NOW.wall + 200.0) == (answer.retry_after, answer.next_attempt_at)


def test_a_server_on_this_machine_has_a_next_attempt_while_offline() -> None:
    """M10: nothing but sleep gates it."""

    local = replace(AMBER, login=replace(LOGIN, token_endpoint="http://127.0.0.1:9/token"))
    answer = unavailable(local, derive(local, OFFLINE, NOW), OFFLINE, NOW)
    assert (200, NOW.wall + 200.0) == (answer.retry_after, answer.next_attempt_at)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (86400.0, "24 hours"),
        (3600.0, "1 hour"),
        (5400.0, "90 minutes"),
        (600.0, "10 minutes"),
        (90.0, "90 seconds"),
        (0.25, "0.25 seconds"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """A length of time in the largest unit that divides it."""

    assert text == duration(seconds)
