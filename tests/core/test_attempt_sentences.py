"""History in plain words."""

from __future__ import annotations

import pytest

from trayapp.core.attempt_sentences import told
from trayapp.core.attempts import OUTCOME_WORDS
from trayapp.core.model import Problem, Trigger

BUSY = Problem("http", "The sign-in server is overloaded (503).", 503)


@pytest.mark.parametrize(
    ("kind", "outcome", "trigger", "problem", "text"),
    [
        ("attempt", "refreshed", "due", None, "Refreshed."),
        ("attempt", "refreshed", "wake", None, "Refreshed after the computer woke up."),
        ("attempt", "server_busy", "manual", BUSY, f"Couldn't refresh when you asked for it. {BUSY.summary}"),
        ("sign_in", "signed_in", "", None, "Signed in."),
        ("phase", "auth_retrying", "tick", BUSY, f"Reconnecting began. {BUSY.summary}"),
        ("ignored", "from_before", "", None, "Ignored from_before."),
        ("ignored", "from_before", "", BUSY, BUSY.summary),
    ],
)
def test_sentences(kind: str, outcome: str, trigger: str, problem: Problem | None, text: str) -> None:
    """What happened, when, and why."""

    assert text == told(kind, outcome, trigger, problem)


@pytest.mark.parametrize("outcome", [*OUTCOME_WORDS.values(), "store_failed"])
def test_each_attempt_has_a_sentence(outcome: str) -> None:
    """With each trigger."""

    for trigger in Trigger:
        text = told("attempt", outcome, trigger, None)
        assert text.endswith(".")
        assert outcome not in text or outcome == "refused"
