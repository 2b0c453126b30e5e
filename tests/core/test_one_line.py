"""Text from elsewhere on one line."""

from __future__ import annotations

from trayapp.core.one_line import clean


def test_clean() -> None:
    """Control and direction characters become blanks."""

    assert "a b c 7" == clean("a\nb\u202ec\x007")
    assert "" == clean(None)
    assert "7" == clean(7)
