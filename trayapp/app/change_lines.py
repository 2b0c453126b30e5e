"""Lines of the log about what changes: the first few of each thing in a time, so that a flapping one doesn't fill it."""

from __future__ import annotations

from dataclasses import dataclass

LINES = 12  # about one thing in `WINDOW`; a restart takes three or four
WINDOW = 600.0  # s
KEPT = 1000  # things that are remembered at a time; texts from elsewhere can be ever new ones


@dataclass(slots=True)
class _Told:
    since: float
    lines: int = 0


class ChangeLines:
    """Decides what is logged. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def line(self, about: str, sentence: str, at: float) -> str:
        """What to log of a change of `about`; empty: nothing."""
        told = self._told.get(about)
        if told is None or at - told.since >= WINDOW:
            self._told = {each: told for each, told in self._told.items() if at - told.since < WINDOW}
            if len(self._told) >= KEPT:
                return ""
            told = self._told[about] = _Told(at)
        told.lines += 1
        if told.lines < LINES:
            return sentence
        again = f"{sentence}; it changes again and again, so its next changes within {WINDOW / 60:.0f} minutes aren't logged"
        return again if told.lines == LINES else ""
