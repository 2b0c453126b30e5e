"""Edits of a list or table within brackets, as TOML and YAML write them in one line: `[a, b]`, `{a = 1}`, `{a: 1}`.

What is put in comes out again without a trace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'', re.DOTALL)
_COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True, slots=True)
class Flow:
    """What stands within a pair of brackets: where each item begins and ends, without commas, comments and white space."""

    start: int  # behind the opening bracket
    items: tuple[tuple[int, int], ...]


def scan(text: str, opening: int) -> Flow:
    """The items behind the bracket at `opening`, in a text that a parser has accepted."""
    items: list[tuple[int, int]] = []
    start = end = -1  # of the item that is being read
    depth, at = 0, opening + 1
    while at < len(text) and (depth or text[at] not in "]}"):
        character, stop = text[at], at + 1
        if character == "#" and (found := _COMMENT.match(text, at)) is not None and _begins_comment(text, at):
            at = found.end()
            continue
        if character == "," and not depth:
            if start >= 0:
                items.append((start, end))
            start, at = -1, stop
            continue
        if character in "\"'" and _begins_value(text, at, opening) and (found := _QUOTED.match(text, at)) is not None:
            stop = found.end()
        depth += (character in "[{") - (character in "]}")
        if not character.isspace():
            start, end = (at if start < 0 else start), stop
        at = stop
    if start >= 0:
        items.append((start, end))
    return Flow(opening + 1, tuple(items))


def put(text: str, flow: Flow, made: str, index: int | None) -> str:
    """The text with this item, in the place of another or as the last one."""
    if index is not None:
        start, end = flow.items[index]
        return text[:start] + made + text[end:]
    if not flow.items:
        return text[: flow.start] + made + text[flow.start :]
    end = flow.items[-1][1]
    return f"{text[:end]}, {made}{text[end:]}"


def drop(text: str, flow: Flow, index: int) -> str:
    """The text without this item."""
    start, end = flow.items[index]
    if index:
        start = flow.items[index - 1][1]
    elif len(flow.items) > 1:
        end = flow.items[1][0]
    return text[:start] + text[end:]


def _begins_value(text: str, at: int, opening: int) -> bool:
    """Whether a quotation mark opens a text: in YAML it may also stand within a plain one."""
    before = text[opening:at].rstrip()
    return before[-1] in "[{,:=." or "\n" in text[opening + len(before) : at]


def _begins_comment(text: str, at: int) -> bool:
    """In YAML `a#b` is a text; in TOML what stands before a comment without a space is the end of a value."""
    return text[at - 1].isspace() or text[at - 1] in "\"'[]{},0123456789"
