"""Edit another program's MCP configuration so that a server goes through the proxy. Nothing else in the text changes.

An entry keeps its form, its comments and all members that don't concern the connection. An entry that runs `mcp-remote`
becomes a direct one where the program is known to accept addresses, and keeps `mcp-remote` otherwise (Claude Desktop
reads no addresses). The result is parsed again and compared before anybody may write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trayapp.clients.jsonc import JsonError, JsonMember, JsonNode, parse
from trayapp.importers.mcp_json import URL_KEYS, ListedServer, server_lists

KEY_VARIABLE = "AMBERLIGHT_AUTHORIZATION"  # mcp-remote expands it, which keeps the key off the command line
OWN_LOGIN_KEYS = frozenset({"auth", "oauth"})  # settings for a sign-in of the program's own
# Files of Cursor, VS Code and Claude Code, which accept addresses.
DIRECT_CONFIG_FILES = ("mcp.json", ".mcp.json", ".claude.json", "settings.json")

Edit = tuple[int, int, str]  # start, end (exclusive), replacement text


class ProxyEditError(Exception):
    """The file can't be changed safely; the message says why."""


@dataclass(frozen=True, slots=True)
class ProxyEntry:
    """A server and the entry that `client-config` prints for it: `type`, `url` and, with the local key, `headers`."""

    server: ListedServer
    entry: Mapping[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        return str(self.entry["url"])

    @property
    def headers(self) -> dict[str, str]:
        headers = self.entry.get("headers")
        return dict(headers) if isinstance(headers, Mapping) else {}


def client_name(file: Path, style: str) -> str:
    """The program that `client-config` has to print for."""
    if style == "servers":
        return "vscode"
    return "cursor" if file.parent.name == ".cursor" else "claude-code"


def point_at_proxy(text: str, targets: Sequence[ProxyEntry], *, direct: bool) -> str:
    """The text with these servers going through the proxy. Raises `ProxyEditError`.

    `direct` means that the program accepts an address in place of `mcp-remote`.
    """
    edits = [edit for target in targets for edit in _edits(text, target, direct)]
    parts: list[str] = []
    position = 0
    for start, end, insertion in sorted(edits, key=lambda edit: edit[:2]):
        if start < position:
            raise ProxyEditError("the entries overlap")
        parts += [text[position:start], insertion]
        position = end
    result = "".join([*parts, text[position:]])
    _verify(text, result, targets)
    return result


def _edits(text: str, target: ProxyEntry, direct: bool) -> list[Edit]:
    server = target.server
    if not server.via_mcp_remote:
        return _edit_url(text, target)
    arguments = server.entry.get("args")
    plain = arguments is not None and "--header" not in arguments.data
    return _edit_to_direct(text, target) if direct and plain else _edit_mcp_remote(text, target)


def _edit_url(text: str, target: ProxyEntry) -> list[Edit]:
    """Edit an entry with an address: the new address, and the local key beside it."""
    entry = target.server.entry
    holders = [m for m in entry.members if m.key in URL_KEYS and isinstance(m.value.data, str)]
    edits = [(m.value.start, m.value.end, json.dumps(target.url)) for m in holders]
    last = holders[-1]
    added: dict[str, Any] = {}
    if "type" in target.entry and entry.get("type") is None and last.key == "url":
        added["type"] = target.entry["type"]
    headers = entry.get("headers")
    if headers is None:
        added |= {"headers": target.headers} if target.headers else {}
    else:
        edits += _insert_into(text, headers, target.headers)
    return [*edits, *_insert_after(text, last, added), *_remove_members(entry, OWN_LOGIN_KEYS)]


def _edit_to_direct(text: str, target: ProxyEntry) -> list[Edit]:
    """Replace the `mcp-remote` command by an address, where it is no longer needed."""
    entry, arguments = target.server.entry, target.server.entry.get("args")
    argument_texts = arguments.data if arguments else []
    sse = "sse-only" in argument_texts or str(target.server.url_node.data).partition("?")[0].endswith("/sse")
    kind = "sse" if sse else str(target.entry.get("type", ""))
    parts: dict[str, Any] = {"url": target.url} | ({"headers": target.headers} if target.headers else {})
    edits: list[Edit] = []
    if (old := entry.get("type")) is not None:
        edits.append((old.start, old.end, json.dumps(kind or "http")))
    elif kind:
        parts = {"type": kind} | parts
    command = next(m for m in entry.members if m.key == "command")
    insertion = _separator(text, command.start).join(_member_text(key, value) for key, value in parts.items())
    return [
        *edits,
        (command.start, command.value.end, insertion),
        *_remove_members(entry, OWN_LOGIN_KEYS | {"args", "env"}),
    ]


def _edit_mcp_remote(text: str, target: ProxyEntry) -> list[Edit]:
    """Point `mcp-remote` at the proxy; it finds the local key in its environment."""
    entry, place = target.server.entry, target.server.url_node
    edits: list[Edit] = [(place.start, place.end, json.dumps(target.url))]
    key = target.headers.get("Authorization")
    arguments = next((m for m in entry.members if m.key == "args"), None)
    if key is None or arguments is None:
        return edits
    separator = _separator(text, place.start)
    header = separator.join(["", '"--header"', json.dumps(f"Authorization:${{{KEY_VARIABLE}}}")])
    edits.append((place.end, place.end, header))
    environment = entry.get("env")
    if environment is None:
        return edits + _insert_after(text, arguments, {"env": {KEY_VARIABLE: key}})
    return edits + _insert_into(text, environment, {KEY_VARIABLE: key})


# --- small edits -----------------------------------------------------------------------------------------------------


def _insert_into(text: str, holder: JsonNode, added: Mapping[str, Any]) -> list[Edit]:
    """Insert members into an object, before the others and laid out like them."""
    if not added:
        return []
    if not holder.members:
        return [(holder.start, holder.end, json.dumps(dict(added)))]
    first = holder.members[0].start
    between = text[holder.start + 1 : first]
    indent = between if between.strip() == "" else " "
    insertion = "".join(f"{indent}{_member_text(key, value)}," for key, value in added.items())
    return [(holder.start + 1, holder.start + 1, insertion)]


def _insert_after(text: str, member: JsonMember, added: Mapping[str, Any]) -> list[Edit]:
    """Insert members after one, laid out like it."""
    separator = _separator(text, member.start)
    insertion = "".join(separator + _member_text(key, value) for key, value in added.items())
    return [(member.value.end, member.value.end, insertion)] if insertion else []


def _remove_members(holder: JsonNode, keys: Iterable[str]) -> list[Edit]:
    """Remove members, each with one of the commas around it. At least one other member must remain."""
    members, removed = holder.members, set(keys)
    edits: list[Edit] = []
    i = 0
    while i < len(members):
        j = i
        while j < len(members) and members[j].key in removed:
            j += 1
        if j > i:
            has_next = j < len(members)
            start = members[i].start if has_next else members[i - 1].value.end
            edits.append((start, members[j].start if has_next else members[j - 1].value.end, ""))
        i = j + 1
    return edits


def _member_text(key: str, value: Any) -> str:
    return f"{json.dumps(key)}: {json.dumps(value)}"


def _separator(text: str, start: int) -> str:
    """The text between two members: a comma, and a new line with the same indent if this one begins its line."""
    line = text.rfind("\n", 0, start) + 1
    indent = text[line:start]
    if line == 0 or indent.strip():
        return ", "
    return ("," + ("\r\n" if text.endswith("\r\n", 0, line) else "\n")) + indent


# --- proof -----------------------------------------------------------------------------------------------------------


def _verify(before: str, after: str, targets: Sequence[ProxyEntry]) -> None:
    """Prove that everything but these entries means what it meant, and that these name the proxy."""
    try:
        insertion = parse(after)
    except JsonError:
        raise ProxyEditError("the changed text would be no JSON") from None
    parts = [servers.data for _, servers in server_lists(insertion)]
    for target in targets:
        if json.dumps(target.url) not in json.dumps(parts[target.server.list_index][target.server.name]):
            raise ProxyEditError(f"the entry {target.server.name} couldn't be changed")
    if _unrelated_data(parse(before), targets) != _unrelated_data(insertion, targets):
        raise ProxyEditError("other parts of the file would change")


def _unrelated_data(whole: JsonNode, targets: Sequence[ProxyEntry]) -> Any:
    server_objects = [servers.data for _, servers in server_lists(whole)]
    for target in targets:
        server_objects[target.server.list_index].pop(target.server.name, None)
    return whole.data
