"""Edits of JSON, with or without comments: a member is put in or taken out, laid out like its neighbours.

Putting a member in and taking it out again gives the same text, but for white space in an object that was empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from trayapp.clients.jsonc import JsonMember, JsonNode, parse

INDENT = "  "  # where a file shows none

# What stands behind a value in its line: a comma, a comment, nothing more.
_TAIL = re.compile(r"(?P<comma>[ \t]*,)?[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/)?[ \t]*(?=\r?\n)")
_COMMA = re.compile(r"[ \t]*,")


def put(text: str, place: tuple[str, ...], name: str, value: Mapping[str, Any]) -> str | None:
    """The text with `name` in the object at `place`, which is made if it isn't there; None if that can't be done."""
    if not text.strip():
        text = "{}\n"
    holder, depth = parse(text), 0
    for key in place:
        found = holder.get(key)
        if found is None or found.data is None:
            break
        holder, depth = found, depth + 1
    if not isinstance(holder.data, dict):
        return None
    missing = place[depth:]
    member = _last(holder, missing[0] if missing else name)
    made: Any = dict(value)
    for key in reversed((*missing, name)[1:]):
        made = {key: made}
    if member is not None:  # it is replaced: an entry of the same name, or a `null` where the servers should be
        return _splice(text, member.value.start, member.value.end, _text(text, made, _indent_at(text, member.start)))
    return _insert(text, holder, missing[0] if missing else name, made)


def drop(text: str, place: tuple[str, ...], name: str, *, prune: bool) -> str | None:
    """The text without `name` in the object at `place`, and with `prune` without what is empty then."""
    holders = [parse(text)]
    for key in place:
        found = holders[-1].get(key)
        if found is None:
            return text
        holders.append(found)
    names = [*place, name]
    while holders:
        holder, key = holders.pop(), names.pop()
        if not prune or any(member.key != key for member in holder.members) or not holders:
            return _without(text, holder, key)
    return text


def _last(holder: JsonNode, key: str) -> JsonMember | None:
    return next((member for member in reversed(holder.members) if member.key == key), None)


def _insert(text: str, holder: JsonNode, key: str, value: Any) -> str:
    """Insert a member as the last one, below the comment that stands behind the one before."""
    if holder.members:
        last = holder.members[-1]
        indent = _indent_at(text, last.start)
        if indent is None:
            return _splice(text, last.value.end, last.value.end, ", " + _member(text, key, value, None))
        made = _line_end(text) + indent + _member(text, key, value, indent)
        tail = _TAIL.match(text, last.value.end)
        if tail is None or tail.end() >= holder.end - 1:
            return _splice(text, last.value.end, last.value.end, f",{made}")
        made += "," if tail["comma"] else ""
        text = _splice(text, tail.end(), tail.end(), made)
        return text if tail["comma"] else _splice(text, last.value.end, last.value.end, ",")
    if "\n" not in text.strip() and text.strip() != "{}":  # all in one line, as a program writes it that saves space
        return _splice(text, holder.start + 1, holder.start + 1, _member(text, key, value, None))
    outer = _line_indent(text, holder.start)
    indent = outer + _unit(text)
    inside = text[holder.start + 1 : holder.end - 1]
    after = "" if "\n" in inside else f"{_line_end(text)}{outer}"
    made = f"{_line_end(text)}{indent}{_member(text, key, value, indent)}{after}"
    return _splice(text, holder.start + 1, holder.start + 1, made)


def _without(text: str, holder: JsonNode, key: str) -> str:
    """The text without the members of this key."""
    members = holder.members
    for index in range(len(members) - 1, -1, -1):
        if members[index].key != key:
            continue
        start, end = members[index].start, members[index].value.end
        if index:
            start, comma = members[index - 1].value.end, _COMMA.match(text, end)
            tail = _TAIL.match(text, start)
            if tail is not None and not text[tail.end() : members[index].start].strip():  # a line of its own
                if comma is None:  # then the member before it has none either
                    text, shift = _splice(text, *tail.span("comma"), ""), len(tail["comma"] or "")
                    start, end = tail.end() - shift, end - shift
                else:
                    start, end = tail.end(), comma.end()
        elif len(members) > 1:
            end = members[1].start
        else:
            start = holder.start + 1
            if not text[end : holder.end - 1].strip(" \t\r\n,"):
                end = holder.end - 1
        return _without(cut := _splice(text, start, end, ""), _at(cut, holder), key)
    return text


def _at(text: str, holder: JsonNode) -> JsonNode:
    """The object that begins where this one began, in a text that was changed behind that."""
    waiting = [parse(text)]
    while waiting:
        found = waiting.pop()
        if found.start == holder.start:
            return found
        waiting += [member.value for member in found.members]
        waiting += found.items
    raise AssertionError("an object was lost")


def _member(text: str, key: str, value: Any, indent: str | None) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {_text(text, value, indent)}"


def _text(text: str, value: Any, indent: str | None) -> str:
    """The value, laid out over lines that begin with `indent`; None: in one line."""
    if indent is None:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return f"{_line_end(text)}{indent}".join(lines)


def _indent_at(text: str, start: int) -> str | None:
    """What stands before a member in its line; None if that is more than white space."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    return None if before.strip() or "\n" not in text[:start] else before


def _line_indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation: that of the first line that has one."""
    for line in text.splitlines():
        step = line[: len(line) - len(line.lstrip(" \t"))]
        if step and line.strip():
            return step
    return INDENT


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _splice(text: str, start: int, end: int, made: str) -> str:
    return text[:start] + made + text[end:]
