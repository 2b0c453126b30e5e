"""Lengths of time in words."""

from __future__ import annotations

import pytest

from trayapp.core.lengths import duration_text, duration_words


@pytest.mark.parametrize(
    ("seconds", "text", "words"),
    [
        (-1, "0 s", "0 seconds"),
        (1, "1 s", "1 second"),
        (59.4, "59 s", "59 seconds"),
        (60, "1 min", "1 minute"),
        (3599, "59 min", "59 minutes"),
        (3600, "1 h", "1 hour"),
        (4200, "1 h 10 min", "1 hour 10 minutes"),
        (86400, "1 d", "1 day"),
        (86400 * 3 + 7200, "3 d 2 h", "3 days 2 hours"),
    ],
)
def test_lengths(seconds: float, text: str, words: str) -> None:
    """At most two units."""

    assert (text, words) == (duration_text(seconds), duration_words(seconds))
