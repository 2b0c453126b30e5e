"""Chooses lines of the log: by workload and by time. A traceback belongs to the line before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_HEAD = re.compile(r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?P<level>[A-Z]+) (?P<logger>[\w.]+): (?P<message>.*)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `at` (wall seconds), `level` and `logger` are empty for what continues a line."""

    text: str
    message: str
    at: float | None = None
    level: str = ""
    logger: str = ""


def parse_line(text: str) -> LogLine:
    """A line as `app/logs.py` writes it."""
    found = _HEAD.fullmatch(text)
    if found is None:
        return LogLine(text, text)
    try:
        at = datetime.strptime(found["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return LogLine(text, text)
    return LogLine(text, found["message"], at, found["level"].lower(), found["logger"])


class LogFilter:
    """Whether lines are wanted, asked in their order. `name` "" and `since` None want all."""

    def __init__(self, name: str = "", since: float | None = None) -> None:
        self._name = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])") if name else None
        self._since = since
        self._last = since is None and not name

    def wants(self, line: LogLine) -> bool:
        if line.at is None:
            return self._last
        early = self._since is not None and line.at < self._since
        self._last = not early and (self._name is None or self._name.search(line.message) is not None)
        return self._last
