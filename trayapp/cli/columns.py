"""Text in terminal columns: how wide it is, cut to a width, wrapped between words. Full-width characters count twice."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import combining, east_asian_width

ELLIPSIS = "…"


def width(text: str) -> int:
    """Columns that the text takes."""
    return len(text) if text.isascii() else _width(text)


@lru_cache(256)  # states with their glyphs come again and again
def _width(text: str) -> int:
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, columns: int) -> str:
    """The text with spaces up to this width."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """The beginning of the text, with an ellipsis if it is longer."""
    return text if width(text) <= columns else _head(text, columns - 1) + ELLIPSIS[:columns]


def cut_start(text: str, columns: int) -> str:
    """The end of the text, which says most of a host: "…mcp.example.com"."""
    if width(text) <= columns:
        return text
    while width(text) > max(columns - 1, 0):
        text = text[1:]
    return ELLIPSIS[:columns] + text


def _head(text: str, columns: int) -> str:
    while width(text) > max(columns, 0):
        text = text[:-1]
    return text


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most this width (2 or more). A word that is longer is cut into pieces."""
    lines = [""]
    for word in text.split():
        if lines[-1] and width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        while width(word) > columns:
            lines[-1] = _head(word, columns)
            word = word[len(lines[-1]) :]
            lines.append("")
        lines[-1] = word
    return lines
