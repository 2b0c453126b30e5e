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

# What stands behind a value or comma in its line: a comment, nothing more.
_TAIL = re.compile(r"[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/)?[ \t]*(?=\r?\n)")


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
    while len(holders) > 1 and prune and all(member.key == names[-1] for member in holders[-1].members):
        if sum(member.key == names[-2] for member in holders[-2].members) > 1:
            break  # the one before it, which it hides, would come back
        holders.pop()
        names.pop()
    return _without(text, holders[-1], names[-1])


def _last(holder: JsonNode, key: str) -> JsonMember | None:
    return next((member for member in reversed(holder.members) if member.key == key), None)


def _insert(text: str, holder: JsonNode, key: str, value: Any) -> str:
    """Insert a member as the last one, below the comment that stands behind the one before."""
    if not holder.members:
        return _insert_first(text, holder, key, value)
    last = holder.members[-1]
    indent = _indent_at(text, last.start)
    made = " " if indent is None else _line_end(text) + indent
    made += _member(text, key, value, indent)
    if last.comma is not None:
        place = last.comma + 1 if indent is None else _tail(text, last.comma + 1, holder)
        return _splice(text, place, place, f"{made},")
    place = last.value.end if indent is None else _tail(text, last.value.end, holder)
    return _splice(_splice(text, place, place, made), last.value.end, last.value.end, ",")


def _insert_first(text: str, holder: JsonNode, key: str, value: Any) -> str:
    start, inside = holder.start + 1, text[holder.start + 1 : holder.end - 1]
    if "\n" not in text.strip() and text.strip() != "{}":  # all in one line, as a program writes it that saves space
        return _splice(text, start, start, _member(text, key, value, None))
    outer = _line_indent(text, holder.start)
    indent = outer + _unit(text)
    after = "" if inside.strip() or "\n" in inside else f"{_line_end(text)}{outer}"
    return _splice(text, start, start, f"{_line_end(text)}{indent}{_member(text, key, value, indent)}{after}")


def _without(text: str, holder: JsonNode, key: str) -> str:
    """The text without the members of this key. Comments of other members stay."""
    members = holder.members
    index = next((each for each in range(len(members) - 1, -1, -1) if members[each].key == key), None)
    if index is None:
        return text
    member = members[index]
    end = member.value.end if member.comma is None else member.comma + 1
    if index:
        before = members[index - 1]
        assert before.comma is not None  # noqa: S101 - it separates the two
        start = _start_of_gap(text, before.comma + 1, member.start)
        cut = _splice(text, start, end, _line_end_after(text, before.comma + 1, start, end))
        if member.comma is None:  # then the one before it is the last now, and has none either
            cut = _splice(cut, before.comma, before.comma + 1, "")
    elif len(members) > 1:
        cut = _splice(text, member.start, end + len(text[end:]) - len(text[end:].lstrip(" \t\r\n")), "")
    else:
        start = _start_of_gap(text, holder.start + 1, member.start)
        after = _line_end(text) + _line_indent(text, holder.start)
        if start == holder.start + 1 and text.startswith(after, end) and not text[end : holder.end - 1].strip():
            end += len(after)
        cut = _splice(text, start, end, _line_end_after(text, holder.start + 1, start, end))
    return _without(cut, _at(cut, holder), key)


def _tail(text: str, position: int, holder: JsonNode) -> int:
    """The end of what else stands in this line: a comment, white space. `position` if there is more than that."""
    tail = _TAIL.match(text, position)
    return position if tail is None or tail.end() >= holder.end - 1 else tail.end()


def _start_of_gap(text: str, start: int, stop: int) -> int:
    """Where the white space before a member begins that came with it: behind the comments of what stands before it."""
    tail = _TAIL.match(text, start)
    if tail is not None and tail.end() <= stop and not text[tail.end() : stop].strip():
        return tail.end()
    return start + len(text[start:stop].rstrip(" \t\r\n"))


def _line_end_after(text: str, gap: int, start: int, end: int) -> str:
    """What has to stand between `text[:start]` and `text[end:]`: `text[gap:start]` may end in a comment up to its line's end."""
    line = text[max(gap, text.rfind("\n", gap, start) + 1) : start]
    return _line_end(text) if "//" in line and not re.match(r"[ \t]*\r?\n", text[end:]) else ""


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
