"""JSON with comments and trailing commas, read so that every value keeps its place in the text.

VS Code writes such files. The places are what makes an edit possible that leaves every other byte as it was; a library
that gave them would bring a parser many times this size. Of plain JSON it reads what Python's `json` reads (a test
holds them together).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 100  # levels; configurations have five, and Python's stack has an end

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.S)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"')
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class JsonError(ValueError):
    """The text is not what it should be; the message names the line. Nothing of the text is repeated."""


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A value and its place: `text[start:end]`."""

    start: int
    end: int
    plain: Any = field(repr=False)  # as `json` would give it
    members: tuple[JsonMember, ...] = field(default=(), repr=False)  # of an object, as they stand; a key may come twice
    items: tuple[JsonNode, ...] = field(default=(), repr=False)  # of a list

    def get(self, key: str) -> JsonNode | None:
        """The value that counts: of two with the same key the last, as for every reader of JSON."""
        return next((m.value for m in reversed(self.members) if m.key == key), None)


@dataclass(frozen=True, slots=True)
class JsonMember:
    """`"key": value` of an object. `start` is the place of the key's quotation mark."""

    key: str
    start: int
    value: JsonNode


def parse(text: str) -> JsonNode:
    """The text's one value; a byte order mark before it is passed over. Raises `JsonError`."""
    reader = _Scanner(text)
    node = reader.value(reader.blank(1 if text.startswith("\ufeff") else 0), 0)
    if (end := reader.blank(node.end)) != len(text):
        raise reader.error(end, "nothing more may follow here")
    return node


@dataclass(frozen=True, slots=True)
class _Scanner:
    text: str = field(repr=False)

    def blank(self, at: int) -> int:
        """Where the next thing begins that is neither blank nor comment."""
        found = _BLANK.match(self.text, at)
        end = found.end() if found else at
        if self.text.startswith("/*", end):
            raise self.error(end, "this comment has no end")
        return end

    def value(self, at: int, depth: int) -> JsonNode:
        if depth > DEEPEST:
            raise self.error(at, "it is nested too deeply")
        match self.text[at : at + 1]:
            case "{":
                return self.object(at, depth)
            case "[":
                return self.list(at, depth)
            case '"':
                return self.token(at, _STRING, "this text has no end, or a character that it may not have")
            case _:
                return self.token(at, _WORD, "a value is missing, or is none that JSON knows")

    def object(self, start: int, depth: int) -> JsonNode:
        members: list[JsonMember] = []
        at = self.blank(start + 1)
        while not self.text.startswith("}", at):
            key = self.token(at, _STRING, "a key in quotation marks is missing, or the } that ends this object")
            colon = self.blank(key.end)
            if not self.text.startswith(":", colon):
                raise self.error(colon, "a colon is missing")
            value = self.value(self.blank(colon + 1), depth + 1)
            members.append(JsonMember(key.plain, at, value))
            at = self.after(value.end, "}")
        return JsonNode(start, at + 1, {m.key: m.value.plain for m in members}, members=tuple(members))

    def list(self, start: int, depth: int) -> JsonNode:
        items: list[JsonNode] = []
        at = self.blank(start + 1)
        while not self.text.startswith("]", at):
            items.append(self.value(at, depth + 1))
            at = self.after(items[-1].end, "]")
        return JsonNode(start, at + 1, [item.plain for item in items], items=tuple(items))

    def after(self, end: int, closing: str) -> int:
        """Past the comma behind a part, if there is one: a further part, or the end."""
        at = self.blank(end)
        if self.text.startswith(",", at):
            return self.blank(at + 1)
        if not self.text.startswith(closing, at):
            raise self.error(at, f"a comma is missing, or the {closing} that ends it")
        return at

    def token(self, at: int, pattern: re.Pattern[str], otherwise: str) -> JsonNode:
        found = pattern.match(self.text, at)
        if found is None:
            raise self.error(at, otherwise)
        try:
            return JsonNode(at, found.end(), json.loads(found[0]))
        except ValueError:  # an escape that JSON lacks, or a number of 5,000 digits
            raise self.error(at, "this is not JSON") from None

    def error(self, at: int, words: str) -> JsonError:
        return JsonError(f"line {self.text.count(chr(10), 0, at) + 1}: {words}")
