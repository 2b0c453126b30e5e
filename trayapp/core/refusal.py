"""What is kept of a refusal: the server's verdict on a login, and how often it was checked since (M7).

Servers answer `invalid_client` or `invalid_grant` by mistake during incidents. The record outlives a restart, so that a
refusal is checked twice at most, however often the program starts.
"""

from __future__ import annotations

from dataclasses import dataclass

# RFC 6749 section 5.2: they blame the client, and the server didn't get as far as the token.
CLIENT_CODES = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verdict on the present login. Times are wall."""

    at: float  # the first one; the automatic checks count from here
    code: str = ""  # of the latest one
    summary: str = ""
    checks: int = 0  # automatic checks made or missed
    checked_at: float | None = None  # when the login was last tried since, automatically or by a click
