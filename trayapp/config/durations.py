"""Parsing and formatting of durations in Go's syntax: `10m`, `1h30m`, `250ms`, `1.5h`.

The syntax is that of Go's `time.ParseDuration`, so that the values of ToolHive's variables can be used unchanged. All
arithmetic is in whole nanoseconds, so that a value survives being formatted and parsed again.
"""

from __future__ import annotations

import re

# in nanoseconds; Unicode has µ twice, as micro sign and as Greek letter, and Go accepts both
UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LONGEST = (1 << 63) - 1  # ns, about 292 years: Go's own limit, so no number here ever overflows a clock
_COMPONENT = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<unit>[A-Za-zµμ]+)")
_SYNTAX_HINT = 'write a number and a unit (ns, us, ms, s, m, h), like "10s", "250ms" or "1h30m"'


class DurationError(ValueError):
    """The text is not a duration; the message says how to write one."""


def parse_duration(text: str) -> float:
    """Seconds, possibly negative or zero. Raises `DurationError`."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    if not rest:
        raise DurationError(f"an empty text isn't a duration: {_SYNTAX_HINT}")
    total = 0
    at = 0
    while at < len(rest):
        found = _COMPONENT.match(rest, at)
        if found is None:
            raise DurationError(_parse_error(text, rest, at))
        total += _nanoseconds(text, found)
        at = found.end()
    if total > LONGEST:
        raise _too_long(text)
    return sign * total / 1e9


def _too_long(text: str) -> DurationError:
    return DurationError(f"{quoted(text)} is too long: the longest duration is about 292 years")


def _nanoseconds(text: str, found: re.Match[str]) -> int:
    whole, part, unit = found["whole"], found["part"] or "", found["unit"]
    if not whole and not part:
        raise DurationError(f"{quoted(text)} has a unit without a number: {_SYNTAX_HINT}")
    if unit not in UNITS:
        raise DurationError(f"{quoted(text)} has an unknown unit {quoted(unit)}: {_SYNTAX_HINT}")
    if len(whole) + len(part) > 40:  # absurd, and slow to multiply out
        raise _too_long(text)
    fraction_ns: int = int(part or "0") * UNITS[unit] // 10 ** len(part)
    return int(whole or "0") * UNITS[unit] + fraction_ns


def _parse_error(text: str, rest: str, at: int) -> str:
    if re.fullmatch(r"[0-9.]+", rest[at:]):
        return f"{quoted(text)} has a number without a unit: {_SYNTAX_HINT}"
    return f"{quoted(text)} isn't a duration: {_SYNTAX_HINT}"


def quoted(text: str) -> str:
    """The text in quotes, printable and shortened, for use in a message."""
    short = text if len(text) <= 40 else text[:39] + "…"
    return '"' + "".join(c if c.isprintable() else "?" for c in short) + '"'


def format_duration(seconds: float) -> str:
    """The shortest text that parses back to the same number of nanoseconds: `90` is `1m30s`."""
    left = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and left else ""
    if left == 0:
        return "0s"
    if left < UNITS["s"]:
        unit = next(u for u in ("ms", "us", "ns") if left >= UNITS[u])
        return f"{sign}{_decimal_text(left, UNITS[unit])}{unit}"
    hours, left = divmod(left, UNITS["h"])
    minutes, left = divmod(left, UNITS["m"])
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if minutes else []
    parts += [f"{_decimal_text(left, UNITS['s'])}s"] if left else []
    return sign + "".join(parts)


def _decimal_text(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
