"""Advice: the action and the sentence for each state."""

from __future__ import annotations

import pytest

from trayapp.core.advice import ACTIONS, BY_DETAIL, NO_ACTION_NEEDED, advice
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import AuthView, Detail, Health, Status, WorkloadView


def view(status: Status, detail: Detail, *, signing_in: bool = False) -> WorkloadView:
    auth = AuthView(detail, 0.0, signing_in=signing_in)
    return WorkloadView("w", "https://w.example", status, "", Health.UNKNOWN, Colour.GREY, Glyph.OPEN, auth)


@pytest.mark.parametrize("detail", list(Detail))
@pytest.mark.parametrize("status", list(Status))
def test_each_state_has_a_sentence(status: Status, detail: Detail) -> None:
    """One sentence and at most one click, which the API knows; silence only where all is well."""

    action, words = advice(view(status, detail))

    assert action in ("", *ACTIONS)
    assert (words == "") is ((status, detail) == (Status.RUNNING, Detail.OK))
    assert not words or (words[0].isupper() and words.endswith("."))


@pytest.mark.parametrize(
    ("status", "detail", "signing_in", "action"),
    [
        (Status.UNAUTHENTICATED, Detail.REFUSED, False, "reauthorize"),
        (Status.UNAUTHENTICATED, Detail.REFUSED, True, "reauthorize"),
        (Status.UNAUTHENTICATED, Detail.CEILING, False, "retry"),
        (Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, False, "reauthorize"),
        (Status.ERROR, Detail.CONFIRM_CHANGE, False, "reauthorize"),
        (Status.ERROR, Detail.CONFIG_ERROR, False, ""),
        (Status.STOPPED, Detail.KEYRING_LOCKED, False, "resume"),
        (Status.AUTH_RETRYING, Detail.RETRYING, False, ""),
        (Status.AUTH_RETRYING, Detail.OFFLINE, False, ""),
        (Status.REMOVING, Detail.REFUSED, False, ""),
    ],
)
def test_the_action_that_helps(status: Status, detail: Detail, signing_in: bool, action: str) -> None:
    """What recovers on its own needs no action."""

    assert action == advice(view(status, detail, signing_in=signing_in))[0]


def test_a_refusal_may_be_a_mistake() -> None:
    """Retry now helps then, where an attempt is made at all (M7)."""

    assert "Retry now" in advice(view(Status.UNAUTHENTICATED, Detail.REFUSED))[1]
    assert "Retry now" not in advice(view(Status.UNAUTHENTICATED, Detail.LOST_ROTATION))[1]


def test_a_pending_sign_in_is_mentioned() -> None:
    """Whatever the reason was, the person is already signing in."""

    told = advice(view(Status.UNAUTHENTICATED, Detail.LOST_ROTATION, signing_in=True))[1]

    assert "Finish" in told
    assert told not in (NO_ACTION_NEEDED[1], BY_DETAIL[Detail.LOST_ROTATION][1])
