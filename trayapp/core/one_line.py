"""Text from elsewhere, made safe to print."""

from __future__ import annotations


def clean(value: object) -> str:
    """Text from elsewhere, on one line and without control characters; None becomes ""."""
    if value is None:
        return ""
    return "".join(c if c.isprintable() else " " for c in str(value))
