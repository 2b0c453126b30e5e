"""What happened to a login, in plain words: a sentence for each row of history, and the reason after it."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.core.model import Problem, Trigger

GOOD = frozenset({"refreshed", "signed_in", "resumed", "late"})  # outcomes after which nothing is wrong

_WHEN: Mapping[str, str] = {  # completes "Refreshed …" and "Couldn't refresh …"
    Trigger.NETWORK: " after the network changed",
    Trigger.WAKE: " after the computer woke up",
    Trigger.MANUAL: " when you asked for it",
    Trigger.REJECTED: " after the service refused the token",
    Trigger.START: " when Amberlight started",
    Trigger.RECHECK: " when the refusal was checked again",
}
_TOLD: Mapping[tuple[str, str], str] = {
    ("attempt", "refreshed"): "Refreshed{when}.",
    ("attempt", "not_sent"): "Couldn't refresh{when}.",
    ("attempt", "ambiguous"): "Couldn't refresh{when}: the answer was lost.",
    ("attempt", "server_busy"): "Couldn't refresh{when}.",
    ("attempt", "refused"): "The server refused to refresh it{when}.",
    ("attempt", "store_failed"): "The keyring couldn't be written{when}.",
    ("attempt", "late"): "A late answer brought a new login.",
    ("sign_in", "signed_in"): "Signed in.",
    ("sign_in", "failed"): "Couldn't sign in.",
    ("phase", "auth_retrying"): "Reconnecting began.",
    ("phase", "paused"): "Paused.",
    ("phase", "resumed"): "Resumed.",
    ("phase", "retried"): "Tried again because you asked for it.",
    ("phase", "signed_out"): "Signed out.",
    ("phase", "confirm_change"): "Its server or client was changed in the configuration.",
    ("phase", "ended"): "The login ended and couldn't be renewed.",
    ("phase", "refused"): "The server refused the login.",
}


def told(kind: str, outcome: str, trigger: str, problem: Problem | None) -> str:
    """The sentence, and the reason if there is one. What an older version recorded may have no sentence."""
    what = _TOLD.get((kind, outcome), "").format(when=_WHEN.get(trigger, ""))
    why = "" if problem is None else problem.summary
    return " ".join(filter(None, (what, why))) or f"{kind} {outcome}".strip().capitalize() + "."
