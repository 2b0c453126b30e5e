"""Parser for JSON with comments and trailing commas (as VS Code writes it) that keeps every value's place in the text.

The places make an edit possible that leaves every other byte as it was; a library that gave them would bring a parser
many times this size. Of plain JSON it reads what Python's `json` reads (a test holds the two together).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

NESTED_TOO_DEEPLY = "it's nested too deeply"
DEPTH_MAX = 100  # levels; configurations have five, and Python's stack is limited

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.S)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"')
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class JsonError(ValueError):
    """The text isn't valid; the message names the line and repeats nothing of the text."""


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A value and its place: `text[start:end]`."""

    start: int
    end: int
    data: Any = field(repr=False)  # as `json` would give it
    members: tuple[JsonMember, ...] = field(default=(), repr=False)  # of an object, in order; a key may occur twice
    items: tuple[JsonNode, ...] = field(default=(), repr=False)  # of a list

    def get(self, key: str) -> JsonNode | None:
        """The value that counts: of two with the same key the last, as for every reader of JSON."""
        return next((m.value for m in reversed(self.members) if m.key == key), None)


@dataclass(frozen=True, slots=True)
class JsonMember:
    """`"key": value` of an object. `start` is the position of the key's quotation mark."""

    key: str
    start: int
    value: JsonNode
    comma: int | None = None  # the position of the one behind it


def parse(text: str) -> JsonNode:
    """The text's one value; a byte order mark is skipped. Raises `JsonError`."""
    reader = _Scanner(text)
    node = reader.value(reader.skip_blank(1 if text.startswith("\ufeff") else 0), 0)
    if (end := reader.skip_blank(node.end)) != len(text):
        raise reader.error_at(end, "nothing more may follow here")
    return node


@dataclass(frozen=True, slots=True)
class _Scanner:
    text: str = field(repr=False)

    def skip_blank(self, position: int) -> int:
        """The position of the next thing that is neither blank nor a comment."""
        found = _BLANK.match(self.text, position)
        end = found.end() if found else position
        if self.text.startswith("/*", end):
            raise self.error_at(end, "this comment has no end")
        return end

    def value(self, position: int, depth: int) -> JsonNode:
        if depth > DEPTH_MAX:
            raise self.error_at(position, NESTED_TOO_DEEPLY)
        match self.text[position : position + 1]:
            case "{":
                return self.object(position, depth)
            case "[":
                return self.list(position, depth)
            case '"':
                return self.token(position, _STRING, "this text has no end, or a character that it may not have")
            case _:
                return self.token(position, _WORD, "a value is missing, or is none that JSON knows")

    def object(self, start: int, depth: int) -> JsonNode:
        members: list[JsonMember] = []
        position = self.skip_blank(start + 1)
        while not self.text.startswith("}", position):
            key = self.token(position, _STRING, "a key in quotation marks is missing, or the } that ends this object")
            colon = self.skip_blank(key.end)
            if not self.text.startswith(":", colon):
                raise self.error_at(colon, "a colon is missing")
            value = self.value(self.skip_blank(colon + 1), depth + 1)
            comma = self.skip_blank(value.end)
            position_of_comma = comma if self.text.startswith(",", comma) else None
            members.append(JsonMember(key.data, position, value, position_of_comma))
            position = self.after_element(value.end, "}")
        return JsonNode(start, position + 1, {m.key: m.value.data for m in members}, members=tuple(members))

    def list(self, start: int, depth: int) -> JsonNode:
        items: list[JsonNode] = []
        position = self.skip_blank(start + 1)
        while not self.text.startswith("]", position):
            items.append(self.value(position, depth + 1))
            position = self.after_element(items[-1].end, "]")
        return JsonNode(start, position + 1, [item.data for item in items], items=tuple(items))

    def after_element(self, end: int, closing: str) -> int:
        """The position after an element and its comma, if there is one: the next element or the end."""
        position = self.skip_blank(end)
        if self.text.startswith(",", position):
            return self.skip_blank(position + 1)
        if not self.text.startswith(closing, position):
            raise self.error_at(position, f"a comma is missing, or the {closing} that ends it")
        return position

    def token(self, position: int, pattern: re.Pattern[str], message: str) -> JsonNode:
        found = pattern.match(self.text, position)
        if found is None:
            raise self.error_at(position, message)
        try:
            return JsonNode(position, found.end(), json.loads(found[0]))
        except ValueError:  # an escape that JSON lacks, or a number of 5,000 digits
            raise self.error_at(position, "this isn't JSON") from None

    def error_at(self, position: int, message: str) -> JsonError:
        return JsonError(f"line {self.text.count(chr(10), 0, position) + 1}: {message}")
