"""Clients' entries that reach a workload through another program's proxy, and what they are once it is ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trayapp.clients.client import Client
from trayapp.clients.entries import Access, Transport, command_words, entry, seen, transport_for, ways
from trayapp.clients.renewing import renewed
from trayapp.clients.survey import Found
from trayapp.core.model import Secret
from trayapp.importers.mcp_json import remote_address

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATHS = ("/mcp", "/sse")  # where MCP servers answer, whatever path the proxy itself names
_SWITCHES = ("enabled", "disabled")  # of an entry that its person has switched off
# Keys that a client would send instead of ours: Codex's, and those of Claude Code's program that prints headers.
_OTHER_KEYS = ("bearer_token_env_var", "headersHelper")
_OTHER_HEADERS = "env_http_headers"  # Codex: headers, with the variables that hold them


@dataclass(frozen=True, slots=True)
class Pointing:
    """An entry in a client's file that goes to the proxy. `shown`: the file as people write it."""

    client: Client
    file: Path
    name: str
    before: Any = field(repr=False)
    shown: str = ""


def pointing(found: Iterable[Found], client_url: str, own: str = "") -> list[Pointing]:
    """All entries that go to the proxy whose clients reach it at `client_url`.

    `own` is an address of ours: a proxy can't be on the same port, whatever its program's files say.
    """
    if own and is_same_port(own, client_url):
        return []
    return [
        Pointing(each.client, each.file, name, value)
        for each in found
        if not each.problem
        for name, value in each.entries.items()
        if points_at(value, client_url)
    ]


def points_at(value: Any, client_url: str) -> bool:
    """Whether an entry goes to this proxy: by its address, or through `mcp-remote`."""
    if not isinstance(value, Mapping) or (there := seen("", value)).proxied is not None:
        return False
    by_address = bool(ways(value)[0])
    url = there.url if by_address else remote_address(command_words(value))
    return bool(url) and is_proxy(str(url), client_url)


def is_proxy(url: str, client_url: str) -> bool:
    """Whether a client's address is this proxy's: the same port on this machine. Fragments and queries don't matter."""
    one, proxy = _place(url), _place(client_url)
    if one is None or proxy is None or one[1] != proxy[1]:
        return False
    return one[0] in (*LOOPBACK, proxy[0]) and one[2] in (proxy[2], *PATHS)


def is_same_port(one: str, other: str) -> bool:
    """Whether both are addresses of HTTP with the same port."""
    places = _place(one), _place(other)
    return None not in places and len({place[1] for place in places if place}) == 1


def _place(url: str) -> tuple[str, int, str] | None:
    """Host, port and path; None for what is no address of HTTP."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "", parts.port or 80, parts.path.rstrip("/")) if parts.scheme == "http" else None
    except ValueError:
        return None


def moved(client: Client, access: Access, there: Mapping[str, Any], *, stdio: bool = False) -> dict[str, Any]:
    """The entry that takes this one's place. What people and clients have added to it stays, including that it's off."""
    transport = transport_for(client, access, stdio=stdio)
    made = renewed(client, access, transport, _readdressed(_without_other_keys(there), access.url))
    if client.listed:
        made["name"] = there.get("name", access.name)
    return made | {key: there[key] for key in _SWITCHES if key in there}


def moved_back(client: Client, there: Mapping[str, Any], before: Any) -> Any:
    """The entry as it was, with what people and clients have added to ours since."""
    if not isinstance(before, Mapping):
        return before
    some = Access("", "http://127.0.0.1", Secret("key"), ("amberlight", "stdio"))
    transports = [Transport.STDIO] if client.url is None else list(Transport)
    ours = {key for transport in transports for key in entry(client, some, transport)}
    return dict(before) | {key: each for key, each in there.items() if key not in before and key not in ours}


def _without_other_keys(there: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without any other key for the proxy: the client would send us that one instead of ours."""
    made = {key: each for key, each in there.items() if key not in _OTHER_KEYS}
    if isinstance(headers := made.get(_OTHER_HEADERS), Mapping):
        left = {name: each for name, each in headers.items() if str(name).lower() != "authorization"}
        made = {key: each for key, each in made.items() if key != _OTHER_HEADERS} | (
            {_OTHER_HEADERS: left} if left else {}
        )
    return made


def _readdressed(value: Mapping[str, Any], url: str) -> dict[str, Any]:
    """The entry with our address in the place of the proxy's."""
    places = ways(value)[0]
    made: dict[str, Any] = dict(value)
    for place in places:
        holder = made
        for key in place[:-1]:
            holder[key] = dict(holder[key])
            holder = holder[key]
        holder[place[-1]] = url
    return made
