"""Outcomes: what a request to a token endpoint came to, raw and as `classify.py` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trayapp.core.model import Problem, Secret

# --- raw replies of a token endpoint --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response. Header names are lower case; the body is at most 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    verified: bool = False  # no one on the way can have written it: a verified certificate, or this machine
    redirected_to: str = ""  # the address that answered, if the endpoint redirected there


@dataclass(frozen=True, slots=True)
class Fault:
    """No complete response. `sent` False proves that the token never left this machine."""

    sent: bool
    kind: str  # dns refused unreachable connect_timeout tls proxy timeout reset eof truncated request internal
    summary: str


Reply: TypeAlias = Answer | Fault

# --- outcomes of an attempt (RULES.md section 3, "Classification") --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new access token, and a new refresh token if the server rotates them."""

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: float | None = None  # None: unknown; 0: it has ended already, as its own `exp` says (M1)
    scope: str | None = None
    id_token: Secret | None = None
    redirected_to: str = ""  # the address that answered, if the endpoint redirected there
    verified: bool = False  # as in `Answer`
    bound: bool = False  # the access token is bound to a key (RFC 9449)


@dataclass(frozen=True, slots=True)
class NotSent:
    """The refresh token provably never left this machine."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The refresh token may have arrived, and no complete response came."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ServerBusy:
    """A complete response that is neither a token nor a verdict."""

    problem: Problem
    retry_after: float | None = None  # s from the response on (M12)
    maybe_spent: bool = False  # 502 and 504: the server behind the gateway may have used the token
    portal: bool = False  # it looks like a captive portal's (M8)
    refresh_token: Secret | None = None  # a 2xx without access token may still have rotated the login


@dataclass(frozen=True, slots=True)
class Refused:
    """The server's verdict on this combination: the only outcome that ends a login."""

    problem: Problem


Outcome: TypeAlias = Refreshed | NotSent | Ambiguous | ServerBusy | Refused


ENDED = Problem(
    "expired", "The server gave an access token that has already expired. Check this computer's clock.", 200
)

PLAIN = Problem(
    "not_bound", "The server gave a token that isn't bound to the login's key. If it can't, unset dpop.", 200
)


def without_ended_token(outcome: Outcome) -> Outcome:
    """Treat a refresh whose access token has already ended as one without a token. A new refresh token is kept."""
    match outcome:
        case Refreshed(expires_in=0.0, refresh_token=token):
            return ServerBusy(ENDED, refresh_token=token)
        case _:
            return outcome


def without_plain_token(outcome: Outcome) -> Outcome:
    """Treat a refresh whose access token isn't bound to the login's key as one without a token (RFC 9449 section 5). A new
    refresh token is kept."""
    match outcome:
        case Refreshed(bound=False, refresh_token=token):
            return ServerBusy(PLAIN, refresh_token=token)
        case _:
            return outcome
