"""Tolerant parser for `WWW-Authenticate`: several challenges, quoted strings, stray commas, and junk that is skipped.

RFC 9110 section 11.6.1 is the grammar; values that should be quoted and aren't are accepted too. Pure, and linear in
the length of the header.
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
    """One challenge, with its scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """All challenges of a header, in order. Of two parameters with the same name the first counts."""
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


def bearer_challenges(header: str) -> tuple[Mapping[str, str], ...]:
    """The parameters of the Bearer (and DPoP) challenges, those that name their metadata first."""
    found = [challenge.parameters for challenge in parse_challenges(header) if challenge.scheme in ("bearer", "dpop")]
    return tuple(sorted(found, key=lambda parameters: "resource_metadata" not in parameters))
