"""Edits of a client's file as text: one entry is put in, replaced or taken out, and nothing else changes.

A parser locates the place, and the edit is a splice of the text. Each result is parsed again and compared before anybody
may write it: everything but that one entry has to mean what it meant.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from trayapp.clients import json_edit, toml_edit, yaml_edit
from trayapp.clients.jsonc import JsonError
from trayapp.clients.jsonc import parse as parse_json
from trayapp.clients.table import Client, Syntax

MARK = "\ufeff"  # byte order mark


class EditError(Exception):
    """The file can't be read or edited as its client's file; the message completes "FILE: …" and repeats nothing of it."""


def servers(client: Client, text: str) -> dict[str, Any]:
    """The entries in a file, by name. Raises `EditError`."""
    return _servers(client, _load(client, text))


def _servers(client: Client, data: Any) -> dict[str, Any]:
    found: Any = data
    for key in client.servers:
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise EditError(f"{_named(client)} isn't what {client.title} expects there")
        found = found.get(key)
    if found is None:
        return {}
    if client.listed:
        if not isinstance(found, list):
            raise EditError(f"{_named(client)} isn't a list of servers")
        named = [each for each in found if isinstance(each, Mapping) and isinstance(each.get("name"), str)]
        return {each["name"]: each for each in named}
    if not isinstance(found, Mapping):
        raise EditError(f"{_named(client)} isn't a table of servers")
    return {str(name): each for name, each in found.items()}


def differ_only_in(client: Client, one: str, other: str, names: Collection[str]) -> bool:
    """Whether two texts of its file say the same but for these entries, in whatever order. Raises `EditError`."""
    first, second = _load(client, one), _load(client, other)
    return _others(client, first, names) == _others(client, second, names)


def _others(client: Client, data: Any, names: Collection[str]) -> tuple[Any, Any]:
    entries = _servers(client, data)
    return _without(data, client.servers), {name: each for name, each in entries.items() if name not in names}


def fresh(client: Client, name: str, entry: Mapping[str, Any]) -> str:
    """A new file with nothing but this entry. There is nothing else in it that could change, so it isn't read again."""
    return _put(client, "", name, entry) or ""


def put(client: Client, text: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text with this entry under this name, the last one or in the place of the one before. Raises `EditError`."""
    data = _load(client, text)
    before = _servers(client, data)
    mark, plain = _split(text)
    made = _put(client, plain, name, entry)
    if made is None:
        raise EditError(f"{_named(client)} is written in a form that Amberlight can't add to; edit it by hand")
    return _proved(client, data, mark + made, {**before, name: dict(entry)})


def _put(client: Client, plain: str, name: str, entry: Mapping[str, Any]) -> str | None:
    match client.syntax:
        case Syntax.JSON:
            return json_edit.put(plain, client.servers, name, entry)
        case Syntax.TOML:
            return toml_edit.put(plain, client.servers[0], name, entry, listed=client.listed)
        case _:
            return yaml_edit.put(plain, client.servers[0], name, entry, listed=client.listed)


def drop(client: Client, text: str, name: str, *, prune: bool = False) -> str:
    """The text without this entry; with `prune` also without the list of servers if it is empty then.

    Raises `EditError`.
    """
    data = _load(client, text)
    before = _servers(client, data)
    if name not in before:
        return text
    mark, plain = _split(text)
    match client.syntax:
        case Syntax.JSON:
            made = json_edit.drop(plain, client.servers, name, prune=prune)
        case Syntax.TOML:
            made = toml_edit.drop(plain, client.servers[0], name, listed=client.listed)
        case _:
            made = yaml_edit.drop(plain, client.servers[0], name, listed=client.listed, prune=prune)
    if made is None:
        raise EditError(f"{name} is written in a form that Amberlight can't remove; edit it by hand")
    return _proved(client, data, mark + made, {key: each for key, each in before.items() if key != name})


def _split(text: str) -> tuple[str, str]:
    return (MARK, text[1:]) if text.startswith(MARK) else ("", text)


def _named(client: Client) -> str:
    return ".".join(client.servers)


def _load(client: Client, text: str) -> Any:
    """The file's data; None for an empty one. Raises `EditError`."""
    plain = _split(text)[1]
    match client.syntax:
        case Syntax.JSON:
            if not plain.strip():
                return None
            try:
                data = parse_json(plain).data
            except JsonError as error:
                raise EditError(f"it isn't valid JSON: {error}") from None
        case Syntax.TOML:
            try:
                data = toml_edit.load(plain)
            except tomllib.TOMLDecodeError as error:
                raise EditError(f"it isn't valid TOML: {error}") from None
        case _:
            try:
                data = yaml_edit.load(plain)
            except yaml_edit.YamlError as error:
                raise EditError(f"it isn't valid YAML: {error}") from None
    if data is not None and not isinstance(data, Mapping):
        raise EditError("it isn't a table of settings")
    return data


def _proved(client: Client, before: Any, after: str, wanted: Mapping[str, Any]) -> str:
    """`after`, if it says what is wanted and, in every other place, what the data `before` said."""
    try:
        data = _load(client, after)
        # An empty list of servers is like none.
        others = _same(_without(data, client.servers), _without(before, client.servers))
        right = others and _same(_servers(client, data), wanted)
    except (EditError, RecursionError):
        right = False
    if not right:
        raise EditError("other parts of the file would change; edit it by hand")
    return after


def _without(data: Any, place: tuple[str, ...]) -> Any:
    if not isinstance(data, Mapping):
        return {} if data is None else data
    first, *rest = place
    kept = {key: value for key, value in data.items() if key != first}
    if rest and (inner := _without(data.get(first), tuple(rest))):
        kept[first] = inner
    return kept


def _same(one: Any, other: Any) -> bool:
    """Whether both mean the same, in the same order; 1, 1.0 and true are three things, and "not a number" is itself."""
    return repr(one) == repr(other)
