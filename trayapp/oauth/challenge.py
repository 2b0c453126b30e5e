"""`WWW-Authenticate` read as it is met: several challenges, quoted texts, stray commas, and junk that ends nothing.

RFC 9110 section 11.6.1 is the grammar; values that should be quoted and are not are taken too. Pure and linear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

HEADER_MAX = 16 * 1024  # characters; a challenge has a few hundred

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*))', re.DOTALL)
_SCHEME = re.compile(rf"({_NAME})(?=[\s,]|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))")
_SEPARATORS = re.compile(r"[\s,]+")
_JUNK = re.compile(r"[^,]+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge; scheme and parameter names in small letters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """All of them, in order. The first of two parameters of one name counts."""
    found: list[tuple[str, dict[str, str]]] = []
    text, position = header[:HEADER_MAX], 0
    while position < len(text):
        if separators := _SEPARATORS.match(text, position):
            position = separators.end()
        elif found and (parameter := _PARAMETER.match(text, position)):
            found[-1][1].setdefault(parameter[1].lower(), _value(parameter))
            position = parameter.end()
        elif scheme := _SCHEME.match(text, position):
            found.append((scheme[1].lower(), {}))
            position = scheme.end()
            separator = _SEPARATORS.match(text, position)
            if separator and "," not in separator[0] and not _PARAMETER.match(text, separator.end()):
                position = token.end() if (token := _TOKEN68.match(text, separator.end())) else position
        elif junk := _JUNK.match(text, position):
            position = junk.end()
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def _value(parameter: re.Match[str]) -> str:
    return parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2], flags=re.DOTALL)


def bearer_challenge(header: str) -> Mapping[str, str] | None:
    """The parameters of the Bearer challenge that says most: one that names its metadata goes first. None: no Bearer."""
    bearer_parameters = [
        challenge.parameters for challenge in parse_challenges(header) if challenge.scheme in ("bearer", "dpop")
    ]
    return next(
        (challenge for challenge in bearer_parameters if "resource_metadata" in challenge),
        bearer_parameters[0] if bearer_parameters else None,
    )
