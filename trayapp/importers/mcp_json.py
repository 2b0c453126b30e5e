"""The remote servers in another program's list of MCP servers: Claude (Desktop, Code), Cursor, VS Code and their kin.

Found are the objects `mcpServers` and `servers`, at the top, below `mcp` (VS Code's settings) and below each of
`projects` (Claude Code). Taken is what has an address of its own, or hands one to `mcp-remote`. What carries a fixed
`Authorization` is passed over: there is no login in it to keep. A header's value is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trayapp.importers.jsonc import JsonMember, JsonNode, parse
from trayapp.importers.offers import CREDENTIAL, ImportableEntry, SkippedEntry, offer

ADDRESSES = ("url", "serverUrl")  # the second is Windsurf's
REMOTE_TYPES = ("http", "sse", "streamable-http", "streamableHttp")
OURS = re.compile(
    r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?(?:/k/[^/]+)?/w/[a-z0-9][a-z0-9_-]{0,62}(?:[/?].*)?"
)
STATIC = "it carries a fixed key in its headers (Authorization or the like): there is no login to keep"
THROUGH_US = "it goes through Amberlight already"

_MCP_REMOTE = re.compile(r"(?:.*[/\\])?mcp-remote(?:@[^/\\]*)?(?:\.cmd)?")
_HEADER = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:")


@dataclass(frozen=True, slots=True)
class ListedServer:
    """One server of the list, as it stands in the text."""

    name: str
    entry: JsonNode
    style: str  # "servers" or "mcpServers": the name of its list
    group: int  # which of the file's lists it stands in
    place: JsonNode  # of its address: a text
    remote: bool  # it is handed to mcp-remote


@dataclass(frozen=True, slots=True)
class McpServerList:
    """What a file holds. `pairs`: an offer, and each place in the text that it stands for."""

    pairs: tuple[tuple[ImportableEntry, ListedServer], ...]
    passed: tuple[SkippedEntry, ...]
    local: int  # programs on this machine, which need no login
    lists: int  # of servers that the file has; 0: it is of another kind


def read(text: str) -> McpServerList:
    """Raises `JsonError`."""
    pairs: list[tuple[ImportableEntry, ListedServer]] = []
    passed: list[SkippedEntry] = []
    local = count = 0
    for group, (style, servers) in enumerate(lists(parse(text))):
        count += 1
        for member in _last_of_each(servers):
            match _server(member.key, member.value, style, group):
                case None:
                    local += 1
                case SkippedEntry() as found:
                    passed.append(found)
                case ListedServer() as server:
                    if isinstance(made := _offer(server), SkippedEntry):
                        passed.append(made)
                    else:
                        pairs.append((made, server))
    return McpServerList(tuple(pairs), tuple(passed), local, count)


def lists(whole: JsonNode) -> Iterator[tuple[str, JsonNode]]:
    """The lists of servers in a file: their key, and the object."""
    mcp, projects = whole.get("mcp"), whole.get("projects")
    holders = [whole, mcp, *(member.value for member in (projects.members if projects else ()))]
    for holder in holders:
        for style in ("mcpServers", "servers"):
            if holder is not None and (found := holder.get(style)) is not None:
                yield style, found


def _last_of_each(servers: JsonNode) -> Iterator[JsonMember]:
    """Of two with the same name the last counts."""
    last = {member.key: member for member in servers.members}
    return (member for member in servers.members if last[member.key] is member)


def _server(name: str, entry: JsonNode, style: str, group: int) -> ListedServer | SkippedEntry | None:
    """None for a program on this machine."""
    if len({member.key for member in entry.members}) != len(entry.members):
        return SkippedEntry(name, "it has the same key twice")
    place = next((node for key in ADDRESSES if (node := entry.get(key))), None)
    if place is not None and isinstance(place.plain, str):
        ours = OURS.fullmatch(place.plain) is not None  # then the key is ours too
        return (
            SkippedEntry(name, STATIC)
            if _fixed_headers(entry) and not ours
            else ListedServer(name, entry, style, group, place, remote=False)
        )
    kind = entry.get("type")
    if place is not None or (kind is not None and kind.plain in REMOTE_TYPES):
        return SkippedEntry(name, "it has no address")
    return _through_mcp_remote(name, entry, style, group)


def _through_mcp_remote(name: str, entry: JsonNode, style: str, group: int) -> ListedServer | SkippedEntry | None:
    command, arguments = entry.get("command"), entry.get("args")
    items = arguments.items if arguments else ()
    words = [item.plain if isinstance(item.plain, str) else "" for item in items]
    named = command is not None and isinstance(command.plain, str) and _MCP_REMOTE.fullmatch(command.plain)
    at = 0 if named else next((i + 1 for i, word in enumerate(words) if _MCP_REMOTE.fullmatch(word)), None)
    if at is None or command is None:
        return None
    where = next((i for i in range(at, len(words)) if re.match(r"https?://", words[i])), None)
    if where is None:
        return SkippedEntry(name, "it calls mcp-remote without an address")
    if OURS.fullmatch(words[where]):
        return SkippedEntry(name, THROUGH_US)
    given = [words[i + 1] for i in range(at, len(words) - 1) if words[i] == "--header"]
    if any((found := _HEADER.match(header)) and CREDENTIAL.fullmatch(found[1]) for header in given):
        return SkippedEntry(name, STATIC)
    return ListedServer(name, entry, style, group, items[where], remote=True)


def _fixed_headers(entry: JsonNode) -> bool:
    headers = entry.get("headers")
    return headers is not None and any(CREDENTIAL.fullmatch(member.key) for member in headers.members)


def _offer(server: ListedServer) -> ImportableEntry | SkippedEntry:
    url = str(server.place.plain)
    if OURS.fullmatch(url):
        return SkippedEntry(server.name, THROUGH_US)
    if "${" in url:
        return SkippedEntry(server.name, "its address is made of variables, which only the other program knows")
    return offer(server.name, {"url": url, "client_id": _client_id(server.entry)})


def _client_id(entry: JsonNode) -> str | None:
    """The client that a person registered for it: Cursor's `auth.CLIENT_ID`, Claude Code's `oauth.clientId`."""
    for outer, inner in (("auth", "CLIENT_ID"), ("oauth", "clientId")):
        if (holder := entry.get(outer)) and (found := holder.get(inner)) and isinstance(found.plain, str):
            return None if "${" in found.plain else found.plain
    return None
