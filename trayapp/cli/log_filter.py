"""Chooses lines of the log: by workload and by time. A traceback belongs to the line before it."""

from __future__ import annotations

from dataclasses import dataclass

from trayapp.core.log_lines import first_line, naming


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `at` (wall seconds), `level` and `logger` are empty for what continues a line."""

    text: str
    message: str
    at: float | None = None
    level: str = ""
    logger: str = ""


def parse_line(text: str) -> LogLine:
    """A line of the log."""
    entry = first_line(text)
    return LogLine(text, text) if entry is None else LogLine(text, entry.text, entry.at, entry.level, entry.logger)


class LogFilter:
    """Whether lines are wanted, asked in their order. `name` "" and `since` None want all."""

    def __init__(self, name: str = "", since: float | None = None) -> None:
        self._name = naming(name) if name else None
        self._since = since
        self._last = since is None and not name

    def wants(self, line: LogLine) -> bool:
        if line.at is None:
            return self._last
        early = self._since is not None and line.at < self._since
        self._last = not early and (self._name is None or self._name.search(line.message) is not None)
        return self._last
