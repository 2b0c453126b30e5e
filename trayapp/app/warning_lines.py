"""Warning lines at the top of the menu: one for each topic, shown until the topic is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class WarningLines:
    """Owns the lines. `show` gets all of them whenever one changes. On the engine's loop."""

    def __init__(self, show: Callable[[tuple[str, ...]], None]) -> None:
        self._show = show
        self._lines: dict[str, str] = {}

    def set(self, topic: str, sentence: str = "") -> None:
        """Show this sentence for the topic; an empty one takes the line away."""
        if sentence:
            self._lines[topic] = sentence
        else:
            self._lines.pop(topic, None)
        self._show(tuple(self._lines.values()))

    @property
    def lines(self) -> Mapping[str, str]:
        """The sentences that are shown now, by topic."""
        return self._lines
