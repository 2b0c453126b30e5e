"""Lengths of time in words, for tables and for sentences."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """A duration in at most two units: "42 s", "5 min", "1 h 10 min", "3 d 2 h"."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    size, unit, part, rest = (86400, "d", 3600, "h") if left >= 86400 else (3600, "h", 60, "min")
    small = left % size // part
    return f"{left // size} {unit} {small} {rest}" if small else f"{left // size} {unit}"


def duration_words(seconds: float) -> str:
    """The same for a sentence: "42 seconds", "1 hour 10 minutes"."""
    words = duration_text(seconds).split()
    parts = []
    for number, unit in zip(words[::2], words[1::2], strict=True):
        name = {"s": "second", "min": "minute", "h": "hour", "d": "day"}[unit]
        parts.append(f"{number} {name}{'' if number == '1' else 's'}")
    return " ".join(parts)
