"""Kinds of notifications that can be switched off, and the hours of the day that are quiet.

Answers to a click (a code to enter, a sign-in that failed) are no kind: they always come.
"""

from __future__ import annotations

SIGN_IN, RECONNECTING, ENDING, PERMISSION = "sign_in", "reconnecting", "ending", "permission"
KINDS = (SIGN_IN, RECONNECTING, ENDING, PERMISSION)


def is_quiet(hours: str, minute: int) -> bool:
    """Whether this minute of the day is within hours like "22:00-07:00", which may pass midnight; empty: never."""
    if not hours:
        return False
    begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in hours.split("-"))
    return begin <= minute < end if begin <= end else minute >= begin or minute < end
