"""Edits of YAML: an entry of a table or a list at the top of the file is put in or taken out, line by line.

Where the entries are written inline (`extensions: {}`) it is one more of them. ruamel.yaml says where each value begins;
its import takes 60 ms, and only the clients that write YAML need it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trayapp.clients import flow

ALIASES_MAX = 20  # a few lines of aliases of aliases can stand for gigabytes; with 20 it is at most 3^7 times the text
SIZE_MAX = 1 << 20  # characters; the reader takes 10 s for so many

_EMPTY = re.compile(r"(?:~|null|Null|NULL)?")


class YamlError(ValueError):
    """The text isn't valid; the message names the line and repeats nothing of the text."""


def load(text: str) -> Any:
    """The data; None for an empty text. Raises `YamlError`."""
    node, reader = _read(text)
    with _errors():
        return None if node is None else reader.constructor.construct_document(node)


def compose(text: str) -> Any:
    """The root node; None for an empty text. Raises `YamlError`."""
    return _read(text)[0]


def _read(text: str) -> tuple[Any, Any]:
    """The root node, and the reader that has read it: reading is what takes time."""
    if not text.strip():
        return None, None
    from ruamel.yaml import YAML
    from ruamel.yaml.tokens import AliasToken

    if len(text) > SIZE_MAX:
        raise YamlError("it is larger than 1 MiB")
    with _errors():
        if "*" in text:
            aliases = sum(isinstance(token, AliasToken) for token in YAML(typ="safe", pure=True).scan(text))
            if aliases > ALIASES_MAX:
                raise YamlError(f"it has more than {ALIASES_MAX} aliases")
        reader = YAML(typ="safe", pure=True)
        return reader.compose(text), reader


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """What the reader raises becomes a `YamlError`; it has bugs of its own, and an odd text may meet one."""
    from ruamel.yaml.error import MarkedYAMLError

    try:
        yield
    except YamlError:
        raise
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise YamlError(f"{line}{error.problem or 'not readable'}") from None
    except Exception:  # noqa: BLE001 - see above; the file is not ours, and nothing was changed
        raise YamlError("it can't be read") from None


def put(text: str, servers: str, name: str, value: Mapping[str, Any], *, listed: bool) -> str | None:
    """The text with this server; None if it can't be put in."""
    root = compose(text)
    made: Any = [dict(value)] if listed else {name: dict(value)}
    if root is None or (root.id == "scalar" and root.value == ""):
        return _inserted(text, len(text), _lines({servers: made}, ""))
    if root.id != "mapping" or root.flow_style:
        return None
    key, holder = next(((key, node) for key, node in root.value if key.value == servers), (None, None))
    if key is None or holder is None:
        return _inserted(text, _block_end(text, root), _lines({servers: made}, " " * root.start_mark.column))
    if holder.id == "scalar":
        if _EMPTY.fullmatch(holder.value) is None or holder.style is not None:
            return None
        if holder.value:
            text = text[: holder.start_mark.index] + text[holder.end_mark.index :]
        indent = " " * (root.start_mark.column + 2)
        return _inserted(text, _line_end(text, key.end_mark.index), _lines(made, indent))
    if holder.id != ("sequence" if listed else "mapping"):
        return None
    if holder.flow_style:
        parts = flow.scan(text, text.index("[" if listed else "{", holder.start_mark.index))
        shown = json.dumps(value if listed else made, ensure_ascii=False)
        return flow.put(text, parts, shown if listed else shown[1:-1], _index(holder, name, listed=listed))
    places = _parts(text, holder, listed=listed)
    lines = _lines(made, " " * holder.start_mark.column)
    for found, start, stop in places:
        if found == name:
            kept = _inserted(text[:start], start, lines)
            return (kept if text[start:stop].endswith("\n") else kept.rstrip("\r\n")) + text[stop:]
    return _inserted(text, places[-1][2], lines)


def drop(text: str, servers: str, name: str, *, listed: bool, prune: bool) -> str | None:
    """The text without this server, and with `prune` without the block if it is empty then; None if it can't be done."""
    root = compose(text)
    if root is None or root.id != "mapping":
        return None
    key, holder = next(((key, node) for key, node in root.value if key.value == servers), (None, None))
    if key is None or holder is None or holder.id != ("sequence" if listed else "mapping"):
        return None
    if holder.flow_style:
        index = _index(holder, name, listed=listed)
        opening = text.index("[" if listed else "{", holder.start_mark.index)
        return None if index is None else flow.drop(text, flow.scan(text, opening), index)
    parts = _parts(text, holder, listed=listed)
    found = [(start, stop) for each, start, stop in parts if each == name]
    if len(found) == len(parts) and prune and _bare(text, key):
        return _cut(text, text.rfind("\n", 0, key.start_mark.index) + 1, found[-1][1])
    for start, stop in reversed(found):
        text = _cut(text, start, stop)
    return text


def _bare(text: str, key: Any) -> bool:
    """Whether the line of this key says nothing more: no comment, no anchor."""
    line = text[key.end_mark.index : _line_end(text, key.end_mark.index)]
    return line.strip() == ":"


def _index(holder: Any, name: str, *, listed: bool) -> int | None:
    names = [_name(each) if listed else each[0].value for each in holder.value]
    return names.index(name) if names.count(name) == 1 else None


def _parts(text: str, holder: Any, *, listed: bool) -> list[tuple[str, int, int]]:
    """The entries with their names, and where their lines begin and end."""
    found = []
    for each in holder.value:
        first, node = (each, each) if listed else each
        name = first.value if not listed else _name(node)
        start = text.rfind("\n", 0, first.start_mark.index) + 1
        while listed and text[start + holder.start_mark.column : start + holder.start_mark.column + 1] != "-":
            start = text.rfind("\n", 0, start - 1) + 1  # the dash stands alone in a line above
        found.append((name, start, _block_end(text, node, holder.start_mark.column, first)))
    return found


def _name(node: Any) -> str:
    if node.id != "mapping":
        return ""
    return next((str(value.value) for key, value in node.value if key.value == "name"), "")


def _block_end(text: str, node: Any, column: int = 0, key: Any = None) -> int:
    """Behind the last line of a value, without the blank lines and comments that follow.

    The mark of a block stands behind these, and that of a literal text (`|`) somewhere among them.
    """
    while node.id != "scalar" and not node.flow_style and node.value:
        column = node.start_mark.column
        last = node.value[-1]
        key, node = last if isinstance(last, tuple) else (None, last)
    if node.id == "scalar" and not node.value and node.style is None and key is not None:  # `key:` and nothing more
        return _line_end(text, key.end_mark.index)
    if node.id != "scalar" or node.style not in ("|", ">"):
        return _line_end(text, max(node.end_mark.index - (node.end_mark.column == 0), node.start_mark.index))
    header = end = _line_end(text, node.start_mark.index)
    kept = "+" in text[node.start_mark.index : header].split("#")[0]
    at = end
    while at < len(text):
        stop = _line_end(text, at)
        line = text[at:stop].rstrip("\r\n")
        if line.strip() and len(line) - len(line.lstrip(" ")) <= column:
            break
        at = stop
        end = at if line.strip() or kept else end
    return end


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _inserted(text: str, position: int, lines: Sequence[str]) -> str:
    """The text with these lines; if its last line has no end, the new last one has none either."""
    end = "\r\n" if "\r\n" in text else "\n"
    made = "".join(line + end for line in lines)
    if position and text[position - 1] != "\n":
        return text[:position] + end + made.removesuffix(end) + text[position:]
    return text[:position] + made + text[position:]


def _cut(text: str, start: int, stop: int) -> str:
    """The text without these lines; the counterpart of `_inserted`."""
    if stop == len(text) and not text.endswith("\n"):
        start = len(text[:start].removesuffix("\n").removesuffix("\r")) if start else 0
    return text[:start] + text[stop:]


def _lines(value: Any, indent: str) -> list[str]:
    """Block style; texts are in quotation marks, as YAML reads JSON's texts."""
    if isinstance(value, list):
        lines = []
        for each in value:
            first, *rest = _lines(each, indent + "  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        return lines
    lines = []
    for key, each in value.items():
        shown = key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
        if each and (isinstance(each, dict) or (isinstance(each, list) and isinstance(each[0], dict))):
            lines += [f"{indent}{shown}:", *_lines(each, indent + "  ")]
        else:
            lines.append(f"{indent}{shown}: {json.dumps(each, ensure_ascii=False)}")
    return lines
