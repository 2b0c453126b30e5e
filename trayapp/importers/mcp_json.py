"""Remote servers in other programs' MCP configuration: Claude (Desktop, Code), Cursor, VS Code and similar.

It reads the objects `mcpServers`, `servers` and their names in other clients (`LIST_KEYS`) at the top, and the first two
below `mcp` (VS Code's settings) and below each of `projects` (Claude Code), too; `mcp` itself where it holds servers
(opencode, Crush). A server is importable if it has an address or passes one to `mcp-remote`. One that carries a
fixed `Authorization` is skipped, because there is no login in it to keep. The value of a header is never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trayapp.clients.entries import PROXY_URL
from trayapp.clients.jsonc import JsonMember, JsonNode, parse
from trayapp.importers.entries import (
    CREDENTIAL,
    NO_LOGIN,
    NO_URL,
    REMOTE_WITHOUT_URL,
    ImportableEntry,
    SkippedEntry,
    make_entry,
)

LIST_KEYS = ("mcpServers", "servers", "context_servers", "amp.mcpServers", "extensions")  # Zed, Amp, Goose
URL_KEYS = ("url", "serverUrl", "httpUrl", "uri")  # Windsurf, Gemini CLI, Goose
REMOTE_TYPES = ("http", "sse", "streamable-http", "streamableHttp", "streamable_http", "remote")
FIXED_CREDENTIAL = f"it has a fixed key in its headers, {NO_LOGIN}"
ALREADY_PROXIED = "it already goes through Amberlight"
NOT_AN_OBJECT = "its entry is empty, or not an object"
OF_VARIABLES = "its URL contains variables that only its client knows"

_MCP_REMOTE = re.compile(r"(?:.*[/\\])?mcp-remote(?:@[^/\\]*)?(?:\.cmd)?")
_HEADER = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:")


@dataclass(frozen=True, slots=True)
class ListedServer:
    """One server of a list, as it stands in the text."""

    name: str
    entry: JsonNode
    list_key: str  # "servers" or "mcpServers": the name of its list
    list_index: int  # the file's list that it stands in
    url_node: JsonNode  # the node of its address, a text
    via_mcp_remote: bool  # its address is an argument of mcp-remote


@dataclass(frozen=True, slots=True)
class McpServerList:
    """What a file holds. `importable` pairs each entry with the server in the text that it stands for."""

    importable: tuple[tuple[ImportableEntry, ListedServer], ...]
    skipped: tuple[SkippedEntry, ...]
    local_count: int  # programs on this machine, which need no login
    list_count: int  # lists of servers in the file; 0 means another kind of file


def read(text: str) -> McpServerList:
    """Read a file's text. Raises `JsonError`."""
    importable: list[tuple[ImportableEntry, ListedServer]] = []
    skipped: list[SkippedEntry] = []
    local_count = list_count = 0
    for list_index, (list_key, servers) in enumerate(server_lists(parse(text))):
        list_count += 1
        for member in _effective_members(servers):
            match _server(member.key, member.value, list_key, list_index):
                case None:
                    local_count += 1
                case SkippedEntry() as found:
                    skipped.append(found)
                case ListedServer() as server:
                    if isinstance(entry := _importable(server), SkippedEntry):
                        skipped.append(entry)
                    else:
                        importable.append((entry, server))
    return McpServerList(tuple(importable), tuple(skipped), local_count, list_count)


def server_lists(root: JsonNode) -> Iterator[tuple[str, JsonNode]]:
    """The lists of servers in a file, each with its key."""
    mcp, projects = root.get("mcp"), root.get("projects")
    holders = [root, mcp, *(member.value for member in (projects.members if projects else ()))]
    for place, holder in enumerate(holders):
        for list_key in LIST_KEYS if place == 0 else LIST_KEYS[:2]:
            if holder is not None and (found := holder.get(list_key)) is not None:
                yield list_key, found
    if mcp is not None and mcp.members and not any(mcp.get(key) for key in (*LIST_KEYS[:2], "inputs")):
        yield "mcp", mcp


def _effective_members(servers: JsonNode) -> Iterator[JsonMember]:
    """The members that count: of two with the same name the last."""
    last = {member.key: member for member in servers.members}
    return (member for member in servers.members if last[member.key] is member)


def _server(name: str, entry: JsonNode, list_key: str, list_index: int) -> ListedServer | SkippedEntry | None:
    """The server in an entry; None for a program on this machine."""
    if not isinstance(entry.data, dict):
        return SkippedEntry(name, NOT_AN_OBJECT)
    if len({member.key for member in entry.members}) != len(entry.members):
        return SkippedEntry(name, "it has the same key twice")
    url_node = next((node for key in URL_KEYS if (node := entry.get(key))), None)
    if url_node is not None and isinstance(url_node.data, str):
        is_proxied = PROXY_URL.fullmatch(url_node.data) is not None  # then the key in its headers is ours too
        return (
            SkippedEntry(name, FIXED_CREDENTIAL)
            if _fixed_headers(entry) and not is_proxied
            else ListedServer(name, entry, list_key, list_index, url_node, via_mcp_remote=False)
        )
    kind = entry.get("type")
    if url_node is not None or (kind is not None and kind.data in REMOTE_TYPES):
        return SkippedEntry(name, NO_URL)
    return _through_mcp_remote(name, entry, list_key, list_index)


def _through_mcp_remote(
    name: str, entry: JsonNode, list_key: str, list_index: int
) -> ListedServer | SkippedEntry | None:
    command, arguments = entry.get("command"), entry.get("args")
    items = arguments.items if arguments else ()
    argument_texts = [item.data if isinstance(item.data, str) else "" for item in items]
    is_command = command is not None and isinstance(command.data, str) and _MCP_REMOTE.fullmatch(command.data)
    first = (
        0 if is_command else next((i + 1 for i, word in enumerate(argument_texts) if _MCP_REMOTE.fullmatch(word)), None)
    )
    if first is None or command is None:
        return None
    url_index = next((i for i in range(first, len(argument_texts)) if re.match(r"https?://", argument_texts[i])), None)
    if url_index is None:
        return SkippedEntry(name, REMOTE_WITHOUT_URL)
    if PROXY_URL.fullmatch(argument_texts[url_index]):
        return SkippedEntry(name, ALREADY_PROXIED)
    header_arguments = [
        argument_texts[i + 1] for i in range(first, len(argument_texts) - 1) if argument_texts[i] == "--header"
    ]
    if any(is_fixed_header(header) for header in header_arguments):
        return SkippedEntry(name, FIXED_CREDENTIAL)
    return ListedServer(name, entry, list_key, list_index, items[url_index], via_mcp_remote=True)


def remote_address(words: Sequence[str]) -> str | None:
    """The address that these words (program and arguments) pass to `mcp-remote`: empty if none, None for other programs."""
    first = next((i + 1 for i, word in enumerate(words) if _MCP_REMOTE.fullmatch(word)), None)
    if first is None:
        return None
    return next((word for word in words[first:] if re.match(r"https?://", word)), "")


def is_fixed_header(header: str) -> bool:
    """Whether a `--header` argument carries somebody's key."""
    return (found := _HEADER.match(header)) is not None and CREDENTIAL.fullmatch(found[1]) is not None


def _fixed_headers(entry: JsonNode) -> bool:
    headers = entry.get("headers")
    return headers is not None and any(CREDENTIAL.fullmatch(member.key) for member in headers.members)


def _importable(server: ListedServer) -> ImportableEntry | SkippedEntry:
    url = str(server.url_node.data)
    if PROXY_URL.fullmatch(url):
        return SkippedEntry(server.name, ALREADY_PROXIED)
    if "${" in url:
        return SkippedEntry(server.name, OF_VARIABLES)
    return make_entry(server.name, {"url": url, "client_id": _client_id(server.entry)})


def _client_id(entry: JsonNode) -> str | None:
    """The client id that a person registered: Cursor's `auth.CLIENT_ID`, Claude Code's `oauth.clientId`."""
    for outer, inner in (("auth", "CLIENT_ID"), ("oauth", "clientId")):
        if (holder := entry.get(outer)) and (found := holder.get(inner)) and isinstance(found.data, str):
            return None if "${" in found.data else found.data
    return None
