"""Debouncing of network messages: a burst of them makes one event. The caller passes the time in; there is no timer."""

from __future__ import annotations

QUIET = (
    0.05  # s without a further message; one change of a link makes 5 to 10 within a few ms. The gate waits longer (M10)
)
QUIET_MAX = 2.0  # s; a network that never rests is reported after this anyway


class Debounce:
    """Many messages make one event, due `quiet` seconds after the last message or `longest` after the first.

    The caller passes the time in, asks `due` when to come back, and then calls `take`.
    """

    def __init__(self, quiet: float = QUIET, longest: float = QUIET_MAX) -> None:
        self._quiet = quiet
        self._longest = longest
        self._first: float | None = None
        self._last = 0.0

    def hit(self, at: float) -> None:
        """A message arrived."""
        self._first = at if self._first is None else self._first
        self._last = at

    def due(self) -> float | None:
        """When the event is due; None if no message is waiting."""
        return None if self._first is None else min(self._last + self._quiet, self._first + self._longest)

    def take(self, at: float) -> bool:
        """Whether the event is due; if so, it counts as made."""
        due = self.due()
        if due is None or at < due:
            return False
        self._first = None
        return True
