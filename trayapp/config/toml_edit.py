"""Edits of config.toml as text: comments, order, quoting and line ends of everything else stay as they are.

A key that exists is changed by tomlkit, which keeps the comment behind it. A new key goes below the last one of its
table, a new table to the end. `changed`, `without` and `renamed` raise `CannotEditError` if the result doesn't say
exactly what was asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from trayapp.config.toml_lines import Key, Statement, key_spans, statements
from trayapp.config.toml_values import key_text, value_text

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Changes = Mapping[str, Any]  # key → its new value, or None to take it out


class CannotEditError(Exception):
    """A program can't make this edit; the message completes "FILE cannot be edited by a program: …"."""


def changed(text: str, table: Key, changes: Changes) -> str:
    """The text with these keys of `[table]`, which must parse. A table that is missing is added if there is a value."""
    data = tomllib.loads(text)
    section = _section(data, table)
    wanted = {key: value for key, value in changes.items() if value is not None}
    if section is None:
        if not wanted:
            return text
        return _checked(_appended(text, table, wanted), _with(data, table, changes))
    old = {key: value for key, value in changes.items() if key in section and section[key] != value}
    new = {key: value for key, value in wanted.items() if key not in section}
    result = _with_old_keys(text, table, old) if old else text
    if new:
        result = _with_new_keys(result, table, new)
    return _checked(result, _with(data, table, changes))


def without(text: str, *tables: Key) -> str:
    """The text without these tables, which must be in it and stand in the same one."""
    expected, document = tomllib.loads(text), _document(text)
    for data in (expected, document):
        for *outer, last in tables:
            holder = _section(data, tuple(outer))
            if holder is None or last not in holder:
                raise CannotEditError(f"[{'.'.join((*outer, last))}] wasn't found")
            del holder[last]
    made = document.as_string()
    return _checked(made, expected) if _section(tomllib.loads(made), tables[0][:-1]) is not None else made


def renamed(text: str, table: Key, name: str) -> str:
    """The text with another name for `[table]`, wherever the old one stands in a key."""
    data = tomllib.loads(text)
    *outer, last = table
    expected = deepcopy(data)
    holder = _section(expected, tuple(outer))
    if holder is None or last not in holder:
        raise CannotEditError(f"[{'.'.join(table)}] wasn't found")
    holder[name] = holder.pop(last)
    spans = [
        key_spans(text, statement)[len(table) - 1 - len(above)]
        for above, statement in _with_tables(text)
        if len(above) < len(table) <= len(above) + len(statement.key)
        and (*above, *statement.key)[: len(table)] == table
    ]
    for start, end in reversed(spans):
        text = text[:start] + key_text(name) + text[end:]
    return _checked(text, expected)


def block(text: str, table: Key) -> tuple[int, int] | None:
    """Where `[table]` with its keys stands; None if it is written in another way, or in several places."""
    found: list[tuple[int, int]] = []
    inside = False
    for above, statement in _with_tables(text):
        whole = statement.key if statement.header else (*above, *statement.key)
        belongs = whole[: len(table)] == table
        if statement.header:
            inside = statement.key == table
            if belongs:
                found.append((statement.start, _line_stop(text, statement.end)))
        elif belongs and not inside:
            return None
        elif inside:
            found[-1] = found[-1][0], _line_stop(text, statement.end)
    return found[0] if len(found) == 1 else None


def check(text: str) -> None:
    """Raise `CannotEditError` if tomlkit doesn't understand the text, which must parse."""
    _document(text)


def _with_tables(text: str) -> Iterator[tuple[Key, Statement]]:
    """Each statement with the table it stands in; a header stands in none."""
    table: Key = ()
    for statement in statements(text):
        yield () if statement.header else table, statement
        if statement.header:
            table = statement.key


def _section(data: Any, table: Key) -> Any:
    """The table, or None."""
    for part in table:
        data = data.get(part) if isinstance(data, MutableMapping) else None
    return data if isinstance(data, MutableMapping) else None


def _with(data: dict[str, Any], table: Key, changes: Changes) -> dict[str, Any]:
    """The data as it has to be afterwards."""
    section = result = deepcopy(data)
    for part in table:
        section = section.setdefault(part, {})
    for key, value in changes.items():
        if value is None:
            section.pop(key, None)
        else:
            section[key] = list(value) if isinstance(value, tuple) else value
    return result


def _checked(text: str, expected: Mapping[str, Any]) -> str:
    """The text, if it says this."""
    try:
        if tomllib.loads(text) == expected:
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise CannotEditError("its tables are written in an unusual way")


def _document(text: str) -> TOMLDocument:
    import tomlkit  # 2 MB, and most days nobody edits anything
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise CannotEditError(str(error)) from None


def _with_old_keys(text: str, table: Key, changes: Changes) -> str:
    """Change or take out keys that exist."""
    import tomlkit

    document = _document(text)
    section = _section(document, table)
    for key, value in changes.items():
        if value is None:
            del section[key]
        else:
            section[key] = tomlkit.value(value_text(value))
    return document.as_string()


def _with_new_keys(text: str, table: Key, values: Changes) -> str:
    """Add keys to a table that exists: below its last one, if it has a header."""
    end = line_end(text)
    lines = end.join(f"{key_text(key)} = {value_text(value)}" for key, value in values.items())
    stop = None
    inside = False
    for _, statement in _with_tables(text):
        if statement.header:
            inside = stop is None and statement.key == table and not statement.array
        if inside:
            stop = _line_stop(text, statement.end)
    if stop is not None:
        before = text[:stop]
        return before + ("" if before.endswith("\n") else end) + lines + end + text[stop:]
    import tomlkit

    document = _document(text)
    section = _section(document, table)
    for key, value in values.items():
        section[key] = tomlkit.value(value_text(value))
    return document.as_string()


def _appended(text: str, table: Key, values: Changes) -> str:
    """The text with a new table at its end."""
    end = line_end(text)
    gap = "" if not text else end if text.endswith("\n") else end * 2
    header = ".".join(map(key_text, table))
    return (
        text + gap + end.join([f"[{header}]", *(f"{key_text(k)} = {value_text(v)}" for k, v in values.items())]) + end
    )


def line_end(text: str) -> str:
    """How the lines of this text end; that of the first counts."""
    return "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"


def _line_stop(text: str, position: int) -> int:
    """The start of the next line: a comment behind a value belongs to it."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1
