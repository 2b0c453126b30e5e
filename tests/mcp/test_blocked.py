"""What a client is told instead of an answer: each thing once, and the obstacle by its name."""

from __future__ import annotations

import pytest

from trayapp.core.sentences import help_of
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.mcp import answers, blocked
from trayapp.mcp.blocked import Blocked

BEGAN = "one wasn't available when this session began."


def unavailable(status: Status, detail: Detail) -> Blocked:
    why = Unavailable("", status, detail, 0.0, 7, None, help_of("one", status, detail))
    return blocked.without_token("one", why)


@pytest.mark.parametrize("detail", [Detail.KEYRING_LOCKED, Detail.KEYRING_UNAVAILABLE])
@pytest.mark.parametrize("status", [Status.AUTH_RETRYING, Status.STARTING, Status.RUNNING])
def test_a_keyring_in_trouble_is_not_reconnecting(status: Status, detail: Detail) -> None:
    """Nothing is being tried: the keyring is what is waited for."""

    text = unavailable(status, detail).text
    assert text.startswith(f"one is waiting for the keyring. {help_of('one', status, detail)}")


def test_other_states_keep_their_words() -> None:
    """Whatever the keyring does, when it isn't waited for."""

    assert unavailable(Status.AUTH_RETRYING, Detail.OFFLINE).text.startswith("one is reconnecting. ")
    assert unavailable(Status.UNHEALTHY, Detail.KEYRING_LOCKED).text.startswith("one refuses access. ")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (blocked.unreachable("one", "Can't find a.example."), "Can't find a.example. Try again shortly."),
        (blocked.without_token("one", Unavailable("", Status.UNKNOWN, Detail.OK, 0.0, None, None, "Wait")), "Wait."),
        (unavailable(Status.UNAUTHENTICATED, Detail.REFUSED), unavailable(Status.UNAUTHENTICATED, Detail.REFUSED).text),
    ],
)
def test_instructions_say_each_thing_once(why: Blocked, said: str) -> None:
    """That it wasn't available, then why; a client shows them to its model at the start of a session."""

    told = answers.initialize(None, "2025-06-18", why)
    assert told["instructions"] == f"{BEGAN} {said} {answers.LISTED_LATER}"
