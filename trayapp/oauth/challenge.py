"""`WWW-Authenticate` read as it is met: several challenges, quoted texts, stray commas, and junk that ends nothing.

RFC 9110 section 11.6.1 is the grammar; values that should be quoted and are not are taken too. Pure and linear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEADER_MAX = 16 * 1024  # characters; a challenge has a few hundred

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*))', re.DOTALL)
_SCHEME = re.compile(rf"({_WORD})(?=[\s,]|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))")
_GAP = re.compile(r"[\s,]+")
_JUNK = re.compile(r"[^,]+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge; scheme and parameter names in small letters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> tuple[Challenge, ...]:
    """All of them, in order. The first of two parameters of one name counts."""
    found: list[tuple[str, dict[str, str]]] = []
    text, at = header[:HEADER_MAX], 0
    while at < len(text):
        if gap := _GAP.match(text, at):
            at = gap.end()
        elif found and (parameter := _PARAMETER.match(text, at)):
            found[-1][1].setdefault(parameter[1].lower(), _value(parameter))
            at = parameter.end()
        elif scheme := _SCHEME.match(text, at):
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
            blank = _GAP.match(text, at)
            if blank and "," not in blank[0] and not _PARAMETER.match(text, blank.end()):
                at = token.end() if (token := _TOKEN68.match(text, blank.end())) else at
        elif junk := _JUNK.match(text, at):
            at = junk.end()
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def _value(parameter: re.Match[str]) -> str:
    return parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2], flags=re.DOTALL)


def bearer(header: str) -> Mapping[str, str] | None:
    """The parameters of the Bearer challenge that says most: one that names its metadata goes first. None: no Bearer."""
    ours = [one.parameters for one in challenges(header) if one.scheme in ("bearer", "dpop")]
    return next((one for one in ours if "resource_metadata" in one), ours[0] if ours else None)
