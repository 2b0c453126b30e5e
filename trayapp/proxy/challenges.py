"""What an upstream's 401 or 403 is about: the token, or something beyond it that only a person can grant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multidict import CIMultiDictProxy

from trayapp.core.access_only import INVALID
from trayapp.core.permission import Needs, needs_of
from trayapp.oauth.challenge import parse_challenges

SCHEMES = ("bearer", "dpop")  # whose errors are those of RFC 6750
HEADERS_MAX = 8  # challenge headers that are looked at; servers send one or two
CODE_MAX = 64  # characters of an error code


@dataclass(frozen=True, slots=True)
class Challenge:
    """`code` is the first error that was given; empty if there was none. `needs`: what to ask a person for."""

    code: str = ""
    needs: Needs | None = None


def challenge_of(status: int, headers: CIMultiDictProxy[str]) -> Challenge | None:
    """What a response asks for; None if it passes as it comes. A 401 is always about the login, a 403 only if it says so."""
    if status not in (401, 403):
        return None
    found = [parameters for value in headers.getall("WWW-Authenticate", ())[:HEADERS_MAX] for parameters in _of(value)]
    codes = [code for each in found if (code := each.get("error", "")[:CODE_MAX])]
    if status == 401 and INVALID in codes:  # whatever else it asks for, the token has to be replaced first
        return Challenge(INVALID)
    needs: Needs | None = None
    for wanted in filter(None, map(needs_of, found)):
        needs = wanted if needs is None else needs.with_more(wanted)
    if status == 403 and needs is None:
        return None
    return Challenge(codes[0] if codes else "", needs)


def _of(value: str) -> list[Mapping[str, str]]:
    return [each.parameters for each in parse_challenges(value) if each.scheme in SCHEMES]
