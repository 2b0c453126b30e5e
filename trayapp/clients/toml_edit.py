"""Edits of TOML: a table `[servers.NAME]`, or one more `[[servers]]`, is put at the end or taken out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.config.toml_lines import Key, line_of_deep_key, statements

PARTS_MAX = 50  # of a dotted key; Python's reader takes time by their square

_BARE = re.compile(r"[A-Za-z0-9_-]+")


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
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None


def put(text: str, servers: str, name: str, value: Mapping[str, Any], *, listed: bool) -> str | None:
    """The text with this server; None if the servers are written inline."""
    end = "\r\n" if "\r\n" in text else "\n"
    header = f"[[{_key(servers)}]]" if listed else f"[{_key(servers)}.{_key(name)}]"
    made = end.join([header, *(f"{_key(key)} = {_value(each)}" for key, each in value.items())]) + end
    spans = list(_spans(text, servers, name, listed=listed))
    if spans:
        start, stop = spans[0]
        kept = _cut(text, spans[1:])
        return kept[:start] + made + kept[stop:]
    present = load(text).get(servers)
    if present is not None and not any(block.table[:1] == (servers,) for block in _blocks(text)):
        return None  # `servers = {…}` or `servers = […]`
    gap = "" if not text.strip() else end if text.endswith("\n") else end * 2
    return text + gap + made


def drop(text: str, servers: str, name: str, *, listed: bool) -> str | None:
    """The text without this server; None if it is written inline."""
    spans = [_with_gap(text, span) for span in _spans(text, servers, name, listed=listed)]
    return _cut(text, spans) if spans else None


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
    """The part with the blank line before it, which was put in with it."""
    start, stop = span
    before = text[:start]
    for gap in ("\r\n\r\n", "\n\n"):
        if before.endswith(gap):
            return start - len(gap) // 2, stop
    return span


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    for start, stop in sorted(spans, reverse=True):
        text = text[:start] + text[stop:]
    return text


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    """A value in TOML, whose strings may be written like JSON's, but for one character that JSON doesn't escape."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
