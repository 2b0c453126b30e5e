"""What an upstream asks for beyond the login it was shown: more scopes, or a stronger or more recent sign-in.

RFC 6750 section 3.1 (`insufficient_scope`) and RFC 9470 (`insufficient_user_authentication`). The login is good, so the
workload keeps running and nothing is refreshed: only a person can grant more. A challenge comes from outside, so what is
not a scope is dropped, and what one workload can collect is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

NAMES_MAX = 32  # scopes, or authentication contexts, that are remembered of one workload
NAME_MAX = 128  # characters of each; the longest in use are Google's, of about 80
TEXT_MAX = 8192  # characters of a parameter that are looked at
PIECE = 12  # characters in a row of a token that are worth hiding
AGE_MAX = 10 * 365 * 86400  # s; a longer `max_age` asks for nothing

_NAME = re.compile(rf"[\x21\x23-\x5b\x5d-\x7e]{{1,{NAME_MAX}}}")  # scope-token of RFC 6749 section 3.3
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Needs:
    """What was asked for. `scopes` may be empty although permission is lacking: a server need not say which."""

    permission: bool = False
    scopes: tuple[str, ...] = ()
    authentication: bool = False
    acr_values: tuple[str, ...] = ()  # authentication contexts, the preferred one first
    max_age: int | None = None  # s since the person signed in at the server

    def with_more(self, other: Needs) -> Needs:
        """These needs and the others."""
        ages = [age for age in (self.max_age, other.max_age) if age is not None]
        return Needs(
            self.permission or other.permission,
            union(self.scopes, other.scopes)[:NAMES_MAX],
            self.authentication or other.authentication,
            union(self.acr_values, other.acr_values)[:NAMES_MAX],
            min(ages, default=None),
        )

    def without(self, secret: str) -> Needs:
        """These needs without names that hold a part of this secret: a server may quote the token it was sent."""
        return replace(
            self,
            scopes=tuple(name for name in self.scopes if not _quotes(name, secret)),
            acr_values=tuple(name for name in self.acr_values if not _quotes(name, secret)),
        )

    def beyond(self, granted: str) -> Needs:
        """These needs plus the granted scopes, which a sign-in has to ask for, too, or they are lost."""
        return replace(self, scopes=union(scopes_in(granted), self.scopes))

    def missing(self, granted: str) -> tuple[str, ...]:
        """The scopes that a login lacks; all of those asked for if it seems to have them, as the server knows better."""
        had = scopes_in(granted)
        return tuple(scope for scope in self.scopes if scope not in had) or self.scopes


def needs_of(challenge: Mapping[str, str]) -> Needs | None:
    """What one Bearer challenge asks for; None if it's about something else."""
    match challenge.get("error"):
        case "insufficient_scope":
            return Needs(permission=True, scopes=_names(challenge.get("scope", "")))
        case "insufficient_user_authentication":
            age = challenge.get("max_age", "").strip()
            seconds = int(age) if _SECONDS.fullmatch(age) else AGE_MAX + 1
            return Needs(
                authentication=True,
                acr_values=_names(challenge.get("acr_values", "")),
                max_age=seconds if seconds <= AGE_MAX else None,
            )
        case _:
            return None


def scopes_in(text: str) -> tuple[str, ...]:
    """The scopes of a login one by one: GitHub, Slack and Linear sometimes separate them by commas."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def union(first: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The names of both, each once, in their order."""
    return tuple(dict.fromkeys((*first, *more)))


def _quotes(name: str, secret: str) -> bool:
    """Whether they have a long piece in common, or the name holds the whole of a short secret."""
    if 0 < len(secret) < PIECE:
        return secret in name
    pieces = (name[at : at + PIECE] for at in range(max(1, len(name) - PIECE + 1)))
    return len(name) >= PIECE and any(piece in secret for piece in pieces)


def _names(text: str) -> tuple[str, ...]:
    """The valid names in a parameter."""
    found = dict.fromkeys(name for name in text[:TEXT_MAX].split() if _NAME.fullmatch(name))
    return tuple(found)[:NAMES_MAX]
