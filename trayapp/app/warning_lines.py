"""Warnings at the top of the menu: one line per topic, shown until the topic is cleared."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class WarningLines:
    """Owns the lines, on the engine's loop. `show` gets all of them whenever one changes."""

    def __init__(self, show: Callable[[tuple[str, ...]], None]) -> None:
        self._show = show
        self._lines: dict[str, str] = {}

    def set(self, topic: str, sentence: str = "") -> None:
        """Show this sentence for the topic; an empty one removes the line."""
        if sentence:
            self._lines[topic] = sentence
        else:
            self._lines.pop(topic, None)
        self._show(tuple(self._lines.values()))

    @property
    def lines(self) -> Mapping[str, str]:
        """The sentences that are shown now, by topic."""
        return self._lines
