"""Log lines about changes: a limited number for each thing, so that a flapping one doesn't fill the log."""

from __future__ import annotations

from dataclasses import dataclass

LINES = 12  # for one thing in `WINDOW`; a restart takes three or four
WINDOW = 600.0  # s
KEPT = 1000  # things remembered at a time; texts from elsewhere may never repeat


@dataclass(slots=True)
class _Told:
    since: float
    lines: int = 0


class ChangeLines:
    """Decides what is logged. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def line(self, about: str, sentence: str, at: float) -> str:
        """What to log about a change of `about`; empty for nothing."""
        told = self._told.get(about)
        if told is None or at - told.since >= WINDOW:
            self._told = {each: told for each, told in self._told.items() if at - told.since < WINDOW}
            if len(self._told) >= KEPT:
                return ""
            told = self._told[about] = _Told(at)
        told.lines += 1
        if told.lines < LINES:
            return sentence
        again = f"{sentence}; it keeps changing, so nothing more about it is logged for up to {WINDOW / 60:.0f} minutes"
        return again if told.lines == LINES else ""
