"""Edits of TOML: a table `[servers.NAME]`, or one more `[[servers]]`, is put at the end or taken out.

Where the servers are written inline (`servers = []`) it is one more inline table.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.clients import flow
from trayapp.clients.jsonc import NESTED_TOO_DEEPLY
from trayapp.config.toml_lines import Key, line_of_deep_key, statements
from trayapp.config.toml_values import key_text, value_text

PARTS_MAX = 50  # of a dotted key; Python's reader takes time by their square


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of one table header and the keys below it: `text[start:end]`."""

    table: Key
    start: int
    end: int  # after its last key; blank lines and comments behind it belong to what follows
    item: int  # of an array of tables: which one; 0 otherwise


def load(text: str) -> dict[str, Any]:
    """The data. Raises `tomllib.TOMLDecodeError`."""
    if (line := line_of_deep_key(text, PARTS_MAX)) is not None:
        raise tomllib.TOMLDecodeError(f"line {line}: this key has more than {PARTS_MAX} parts")
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise tomllib.TOMLDecodeError(NESTED_TOO_DEEPLY) from None


def put(text: str, servers: str, name: str, value: Mapping[str, Any], *, listed: bool) -> str:
    """The text with this server, as the last one or in the place of the one before."""
    end = "\r\n" if "\r\n" in text else "\n"
    inline = _inline(text, servers)
    if inline is not None:
        made = value_text(value) if listed else f"{key_text(name)} = {value_text(value)}"
        return flow.put(text, inline, made, _index(text, servers, name, inline, listed=listed))
    header = f"[[{key_text(servers)}]]" if listed else f"[{key_text(servers)}.{key_text(name)}]"
    made = end.join([header, *(f"{key_text(key)} = {value_text(each)}" for key, each in value.items())]) + end
    spans = list(_spans(text, servers, name, listed=listed))
    if spans:
        start, stop = spans[0]
        kept = _cut(text, spans[1:])
        return kept[:start] + (made if kept[start:stop].endswith("\n") else made.rstrip()) + kept[stop:]
    return text + (end + made if text.endswith("\n") else end * 2 + made.rstrip() if text else made)


def drop(text: str, servers: str, name: str, *, listed: bool) -> str | None:
    """The text without this server; None if it can't be taken out."""
    inline = _inline(text, servers)
    if inline is not None:
        index = _index(text, servers, name, inline, listed=listed)
        return None if index is None else flow.drop(text, inline, index)
    spans = [_with_gap(text, span) for span in _spans(text, servers, name, listed=listed)]
    return _cut(text, spans) if spans else None


def _inline(text: str, servers: str) -> flow.Flow | None:
    """What stands within `servers = {…}` or `servers = […]`; None if it is not written so."""
    for statement in statements(text):
        if statement.header:
            return None
        if statement.key == (servers,):
            opening = re.compile(r"[\[{]").search(text, _line_value(text, statement.start))
            return None if opening is None else flow.scan(text, opening.start())
    return None


def _line_value(text: str, start: int) -> int:
    """Where the value of the key at `start` begins, whose quotation marks may hold a `=`."""
    found = re.compile(r"""[ \t]*(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*=""").match(text, start)
    return found.end() if found else start


def _index(text: str, servers: str, name: str, inline: flow.Flow, *, listed: bool) -> int | None:
    """Which of the items is this server; None if none is, or several are."""
    if listed:
        names = [each.get("name") if isinstance(each, dict) else None for each in load(text)[servers]]
    else:
        names = [next(iter(tomllib.loads(text[start:end])), None) for start, end in inline.items]
    return names.index(name) if names.count(name) == 1 else None


def _spans(text: str, servers: str, name: str, *, listed: bool) -> Iterator[tuple[int, int]]:
    """The parts of the text that are this server's: its table and the tables below it."""
    if listed:
        entries = load(text).get(servers)
        wanted = {i for i, each in enumerate(entries) if each.get("name") == name} if isinstance(entries, list) else ()
        for block in _blocks(text):
            if block.table[:1] == (servers,) and block.item in wanted:
                yield block.start, block.end
        return
    for block in _blocks(text):
        if block.table[:2] == (servers, name):
            yield block.start, block.end


def _blocks(text: str) -> Iterator[_Block]:
    """All tables that have a header, in the text's order."""
    items: dict[Key, int] = {}
    current: tuple[Key, int, int] | None = None
    last = 0
    for statement in statements(text):
        if statement.header:
            if current is not None:
                yield _Block(current[0], current[1], last, current[2])
            if statement.array:
                items[statement.key] = items.get(statement.key, -1) + 1
            current = (statement.key, statement.start, items.get(statement.key[:1], 0))
        last = _line_stop(text, statement.end)
    if current is not None:
        yield _Block(current[0], current[1], last, current[2])


def _line_stop(text: str, position: int) -> int:
    """The end of the line, with its line end: a comment behind a value belongs to it."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _with_gap(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The part with the blank line before it, which was put in with it.

    A file whose last line had no end has two line ends before it, and then its own last line has none.
    """
    start, stop = span
    before = text[:start]
    if stop == len(text) and not text.endswith("\n"):
        return len(before) - len(re.search(r"(?:\r?\n){0,2}\Z", before)[0]), stop  # type: ignore[index]
    for gap in ("\r\n\r\n", "\n\n"):
        if before.endswith(gap):
            return start - len(gap) // 2, stop
    return span


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    for start, stop in sorted(spans, reverse=True):
        text = text[:start] + text[stop:]
    return text
