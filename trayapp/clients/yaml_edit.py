"""Edits of YAML: an entry of a table or a list at the top of the file is put in or taken out, line by line.

ruamel.yaml says where each value begins; its import takes 60 ms, and only the clients that write YAML need it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ALIASES_MAX = 100  # a few lines of aliases of aliases can stand for gigabytes


class YamlError(ValueError):
    """The text isn't valid; the message names the line and repeats nothing of the text."""


def load(text: str) -> Any:
    """The data; None for an empty text. Raises `YamlError`."""
    from ruamel.yaml import YAML

    compose(text)  # its errors, and the limit of aliases
    return YAML(typ="safe", pure=True).load(text)


def compose(text: str) -> Any:
    """The root node; None for an empty text. Raises `YamlError`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.tokens import AliasToken

    try:
        reader = YAML(typ="safe", pure=True)
        aliases = sum(isinstance(token, AliasToken) for token in reader.scan(text)) if "*" in text else 0
        if aliases > ALIASES_MAX:
            raise YamlError(f"it has more than {ALIASES_MAX} aliases")
        return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise YamlError(f"{line}{error.problem or 'it cannot be read'}") from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise error if isinstance(error, YamlError) else YamlError("it cannot be read") from None


def put(text: str, servers: str, name: str, value: Mapping[str, Any], *, listed: bool) -> str | None:
    """The text with this server; None if it can't be put in."""
    end = "\r\n" if "\r\n" in text else "\n"
    root = compose(text)
    if root is None:
        made = _lines({servers: [dict(value)] if listed else {name: dict(value)}}, "")
        return text + ("" if not text or text.endswith("\n") else end) + _joined(made, end)
    if root.id != "mapping" or root.flow_style:
        return None
    holder = next((node for key, node in root.value if key.value == servers), None)
    if holder is None:
        made = _lines({servers: [dict(value)] if listed else {name: dict(value)}}, " " * root.start_mark.column)
        return _inserted(text, _stop(text, root), _joined(made, end), end)
    if holder.id == "scalar" or holder.flow_style or not holder.value:
        if holder.value and holder.id != "scalar":
            return None  # `servers: {a: …}` in one line
        if holder.id == "scalar" and holder.value not in ("", "~", "null", "Null", "NULL"):
            return None
        made = _lines([dict(value)] if listed else {name: dict(value)}, "  ")
        stop = holder.end_mark.index
        return text[: holder.start_mark.index].rstrip(" ") + end + _joined(made, end).rstrip("\r\n") + text[stop:]
    parts = _parts(text, holder, listed=listed)
    indent = " " * holder.start_mark.column
    made = _lines([dict(value)] if listed else {name: dict(value)}, indent)
    for found, start, stop in parts:
        if found == name:
            return text[:start] + _joined(made, end) + text[stop:]
    return _inserted(text, parts[-1][2], _joined(made, end), end)


def drop(text: str, servers: str, name: str, *, listed: bool, prune: bool) -> str | None:
    """The text without this server, and with `prune` without the block if it is empty then; None if it can't be done."""
    root = compose(text)
    if root is None or root.id != "mapping":
        return None
    key, holder = next(((key, node) for key, node in root.value if key.value == servers), (None, None))
    if key is None or holder is None or holder.id == "scalar" or holder.flow_style:
        return None
    parts = _parts(text, holder, listed=listed)
    found = [(start, stop) for each, start, stop in parts if each == name]
    if len(found) == len(parts):  # nothing would be left of the block: an empty one says so
        start = key.start_mark.index if prune else key.end_mark.index
        if prune:
            return text[:start] + text[found[-1][1] :]
        rest = text[found[-1][1] :]
        return f"{text[:start]}: {'[]' if listed else '{}'}" + ("\r\n" if "\r\n" in text else "\n") + rest
    for start, stop in reversed(found):
        text = text[:start] + text[stop:]
    return text


def _parts(text: str, holder: Any, *, listed: bool) -> list[tuple[str, int, int]]:
    """The entries with their names, and where their lines begin and end."""
    found = []
    for each in holder.value:
        first, node = (each, each) if listed else each
        name = first.value if not listed else _name(node)
        start = text.rfind("\n", 0, first.start_mark.index) + 1
        found.append((name, start, _stop(text, node)))
    return found


def _name(node: Any) -> str:
    if node.id != "mapping":
        return ""
    return next((str(value.value) for key, value in node.value if key.value == "name"), "")


def _stop(text: str, node: Any) -> int:
    """The end of the last line of a value: its mark stands behind the blank lines and comments that follow."""
    while node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = text.find("\n", max(node.end_mark.index - 1, 0) if node.end_mark.column == 0 else node.end_mark.index)
    return len(text) if end < 0 else end + 1


def _inserted(text: str, position: int, made: str, end: str) -> str:
    gap = "" if not position or text[position - 1] == "\n" else end
    return text[:position] + gap + made + text[position:]


def _joined(lines: Sequence[str], end: str) -> str:
    return "".join(line + end for line in lines)


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
