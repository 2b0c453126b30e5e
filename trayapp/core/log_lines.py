"""Entries of Amberlight's own log, from its lines, newest first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from trayapp.core.owners import TITLES

LEVELS = ("debug", "info", "warning", "error")
TEXT_MAX = 4000  # characters of one entry; a traceback is shorter

_HEAD = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([A-Z]+) ([\w.]+): (.*)")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry; `at` is wall seconds, and further lines of `text` are a traceback or a list."""

    at: float
    level: str
    logger: str
    text: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries are wanted: from this level and time on, that name this workload; the newest `limit` of them."""

    level: str = "debug"
    workload: str = ""
    since: float = 0.0
    limit: int = 200


def naming(workload: str) -> re.Pattern[str]:
    """What finds this name in a text, but not as a part of another."""
    others = "" if "/" in workload else "".join(f"(?<!{owner}/)" for owner in TITLES)  # may have one of this name
    return re.compile(rf"(?<![\w-]){others}{re.escape(workload)}(?![\w-])")


def first_line(text: str) -> LogEntry | None:
    """The entry that begins with this line, as `app/logs.py` writes it; None if none does."""
    head = _HEAD.fullmatch(text)
    if head is None:
        return None
    try:
        at = datetime.strptime(head[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    level = head[2].lower()
    return LogEntry(at, level if level in LEVELS else LEVELS[-1], head[3], head[4])


def newest_entries(lines: Iterable[str], query: LogQuery) -> tuple[list[LogEntry], bool]:
    """The wanted ones of these lines, which are newest first; and whether there are more."""
    named = naming(query.workload) if query.workload else None
    found: list[LogEntry] = []
    for each in _entries(lines):
        if each.at < query.since:
            break
        if LEVELS.index(each.level) < LEVELS.index(query.level) or (named and not named.search(each.text)):
            continue
        if len(found) == query.limit:
            return found, True
        found.append(each)
    return found, False


def _entries(lines: Iterable[str]) -> Iterator[LogEntry]:
    """What continues an entry stands before it, as the lines run backwards. The start of the first one may be missing."""
    rest: list[str] = []
    for line in lines:
        entry = first_line(line)
        if entry is None:
            rest.append(line)
            continue
        yield replace(entry, text="\n".join([entry.text, *reversed(rest)])[:TEXT_MAX])
        rest.clear()
