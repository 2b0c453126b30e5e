"""Text within markup: web pages, and the notifications of desktops that draw some."""

from __future__ import annotations

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_QUOTES = str.maketrans({'"': "&quot;", "'": "&#x27;"})


def escape(text: str, *, quote: bool = True) -> str:
    """As `html.escape`, whose module has a table of all entities: 0.3 MB. `quote`: within an attribute's value, too."""
    escaped = text.translate(_ESCAPES)
    return escaped.translate(_QUOTES) if quote else escaped
