"""Line numbers of the keys in a TOML text, which Python's `tomllib` doesn't report.

`tomllib` has accepted the text before it comes here, so this scanner detects no errors: it only has to skip values
(strings of four kinds, arrays and inline tables over several lines) without losing count.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

Key = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
# A run of closing quotes may be longer than three: the last three close the string (TOML 1.0, multi-line strings).
_MULTI_LINE = r'"""(?:\\.|[^\\])*?"""(?!")' r"|'''.*?'''(?!')"
_STRING = re.compile(_MULTI_LINE + r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL)
_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_TOKEN = re.compile(rf"#[^\n]*|{_MULTI_LINE}|(?P<key>{_PART}(?:[ \t]*\.[ \t]*{_PART})*)", re.DOTALL)
_PARTS = re.compile(_PART)


@dataclass(frozen=True, slots=True)
class Statement:
    """A table header or a key with its value: `text[start:end]`."""

    key: Key  # of a key: below its table
    start: int
    end: int
    header: bool = False
    array: bool = False  # a header in double brackets


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text that `tomllib` accepts, in order."""
    at = _skip_blank(text, 0)
    while at < len(text):
        start = at
        if text[at] == "[":
            brackets = 2 if text.startswith("[[", at) else 1
            key, at = _dotted_key(text, at + brackets)
            at += brackets
            yield Statement(key, start, at, header=True, array=brackets == 2)
        else:
            key, at = _dotted_key(text, at)
            at = _value_end(text, at + 1)
            yield Statement(key, start, at)
        at = _skip_blank(text, at)


def key_spans(text: str, statement: Statement) -> list[tuple[int, int]]:
    """Where each part of a statement's key stands in the text, quotation marks included."""
    at = statement.start + (1 + statement.array if statement.header else 0)
    spans = []
    for _ in statement.key:
        found = _KEY.match(text, at)
        assert found is not None  # noqa: S101 - `statements` has read it
        spans.append(found.span(1))
        at = found.end() + 1
    return spans


def key_lines(text: str) -> dict[Key, int]:
    """Path of a key → its line, from 1. Keys inside an inline table aren't included; see `line_of`."""
    lines: dict[Key, int] = {}
    table: Key = ()
    line, counted_to = 1, 0
    for statement in statements(text):
        line, counted_to = line + text.count("\n", counted_to, statement.start), statement.start
        if statement.header:
            table = statement.key
            lines.setdefault(table, line)
            continue
        for end in range(1, len(statement.key) + 1):
            lines.setdefault(table + statement.key[:end], line)
    return lines


def line_of(lines: dict[Key, int], key: Key) -> int | None:
    """The line of a key, or of the nearest enclosing table that has one; None if there is none."""
    while key:
        if key in lines:
            return lines[key]
        key = key[:-1]
    return None


def line_of_deep_key(text: str, parts_max: int) -> int | None:
    """The line of the first dotted key with more parts than that, in any text; None if there is none.

    `tomllib` takes time by the square of the parts, so such a text must not reach it: 1 MB of one key takes hours.
    """
    for token in _TOKEN.finditer(text):
        key = token["key"] or ""
        if key.count(".") >= parts_max and len(_PARTS.findall(key)) > parts_max:
            return text.count("\n", 0, token.start()) + 1
    return None


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _dotted_key(text: str, at: int) -> tuple[Key, int]:
    """The dotted key that begins at `at`, and the position after it."""
    parts: list[str] = []
    while (found := _KEY.match(text, at)) is not None:
        parts.append(_unquoted(found[1]))
        at = found.end()
        if not text.startswith(".", at):
            return tuple(parts), at
        at += 1
    return tuple(parts), at + 1  # not TOML; advance, so that the scan terminates


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    return key[1:-1] if key[0] == "'" or "\\" not in key else next(iter(tomllib.loads(f"{key} = 0")))


def _value_end(text: str, at: int) -> int:
    """The end of the value that begins at `at`: the first line end outside all brackets."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character in "\"'" and (found := _STRING.match(text, at)) is not None:
            at = found.end()
        elif character == "#":
            at = _line_end(text, at)
        elif character == "\n" and depth == 0:
            return at
        else:
            depth += (character in "[{") - (character in "]}")
            at += 1
    return at


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
