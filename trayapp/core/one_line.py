"""Text from elsewhere, made safe to print."""

from __future__ import annotations


def clean(value: object) -> str:
    """Text from elsewhere, on one line and without control characters; None becomes ""."""
    if value is None:
        return ""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
