"""What an edit would change, as lines for people: only our own entries are shown, and no key.

A file holds other people's secrets, too: those of the entries beside ours, and in a file of one line all of them. So a
changed line is shown if it is a line of an entry of ours, and else only the part that was put in.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trayapp.clients import edits
from trayapp.clients.connections import own_entries
from trayapp.clients.entries import Seen
from trayapp.clients.table import Client

HIDDEN = "…"


def difference(client: Client, before: str, after: str) -> list[str]:
    """Lines with `+` and `-`; none if nothing changes. Raises `EditError`."""
    own = [(text, own_entries(edits.servers(client, text))) for text in (before, after)]
    ours = {line for text, found in own for line in _lines_of(client, text, found)}
    keys = {each.key for _, found in own for each in found if each.key}
    shown = _shown(before.splitlines(), after.splitlines(), ours)
    return list(_without_repeats(_without_keys(line, keys) for line in shown))


def _lines_of(client: Client, text: str, found: Iterable[Seen]) -> Iterator[str]:
    """The lines of these entries, each as it stands in a file of its own."""
    entries = edits.servers(client, text)
    for each in found:
        yield from map(_bare, edits.put(client, "", each.name, _as_written(entries[each.name])).splitlines())


def _as_written(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ours without what the person may have added to it: other headers, variables."""
    made: dict[str, Any] = {}
    for key, value in entry.items():
        if not isinstance(value, Mapping):
            made[key] = value
        elif key.lower().endswith("headers"):
            made[key] = {name: each for name, each in value.items() if str(name).lower() == "authorization"}
        elif not key.lower().startswith("env"):
            made[key] = _as_written(value)
    return made


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _shown(before: list[str], after: list[str], ours: set[str]) -> Iterator[str]:
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])  # what is equal takes the matcher minutes in a large file
    before, after = before[start : len(before) - end], after[start : len(after) - end]
    for kind, start, stop, new_start, new_stop in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            continue
        removed, added = before[start:stop], after[new_start:new_stop]
        yield from (f"-{line if _is_ours(line, ours) else HIDDEN}" for line in removed)
        yield from (f"+{line if _is_ours(line, ours) else _put_in(line, removed)}" for line in added)


def _is_ours(line: str, ours: set[str]) -> bool:
    return _bare(line) in ours or not line.strip(" \t{}[],")


def _put_in(line: str, removed: list[str]) -> str:
    """The part of a line that was put into one that was there before, if that is all that happened to it."""
    for old in removed:
        start = _common(line, old)
        end = _common(line[start:][::-1], old[start:][::-1])
        if len(old) == start + end:
            return HIDDEN + line[start : len(line) - end] + HIDDEN
    return HIDDEN


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many characters, or lines, both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _without_keys(line: str, keys: set[str]) -> str:
    for key in keys:
        line = line.replace(key, HIDDEN)
    return line


def _without_repeats(lines: Iterable[str]) -> Iterator[str]:
    last = ""
    for line in lines:
        if line != last or line[1:] != HIDDEN:
            yield line
        last = line
