"""Entries in a client's file, one per server: writing ours, and interpreting what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trayapp.clients.table import Client, Field
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Secret

_LOOPBACK = r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::(?P<port>[0-9]{1,5}))?(?:/k/(?P<key>[^/]+))?"
PROXY_URL = re.compile(_LOOPBACK + r"/w/(?P<name>[a-z0-9][a-z0-9_-]{0,62})(?:[/?].*)?")
ALL_URL = re.compile(_LOOPBACK + r"/mcp/?")  # many servers on this machine have such an address: see `ALL_NAME`
ALL_NAME = "amberlight"  # name of the single entry for all workloads in clients' files
URL_FIELDS: tuple[Field, ...] = (
    ("url",),
    ("httpUrl",),
    ("serverUrl",),
    ("uri",),
    ("transport", "url"),
)  # of all clients
HEADER_FIELDS: tuple[Field, ...] = (
    ("headers",),
    ("http_headers",),
    ("transport", "headers"),
    ("requestOptions", "headers"),
    ("requestInit", "headers"),
)
STDIO = "stdio"  # our own command that serves a client which only starts programs


class Transport(StrEnum):
    """How a client reaches us."""

    HTTP = "http"  # streamable HTTP
    SSE = "sse"
    STDIO = "stdio"


@dataclass(frozen=True, slots=True)
class Access:
    """What an entry needs of a workload, or of all at once (`name` is then the entry's own name)."""

    name: str
    url: str
    key: Secret | None
    command: tuple[str, ...]  # the program and arguments that serve it over stdio; no key is in them
    sse: bool = False  # its server speaks SSE, not streamable HTTP


def own_access(access: ClientAccess) -> Access:
    """The same as entries need it."""
    return Access(access.name, access.url, access.key, access.command, access.sse)


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry as it stands in a client's file, as far as it concerns us."""

    name: str  # in the client's file
    url: str = ""  # where it goes; empty for a program
    proxied: str | None = None  # the workload that it reaches through us; "" for all at once; None: it is not ours
    port: int | None = None
    key: str | None = field(default=None, repr=False)  # what it shows us
    stdio: bool = False  # through our `stdio` command


def transport_for(client: Client, access: Access, *, stdio: bool = False) -> Transport:
    """The transport that suits client and server."""
    if stdio or client.url is None or (access.sse and not client.speaks_sse):
        return Transport.STDIO
    return Transport.SSE if access.sse else Transport.HTTP


def entry(client: Client, access: Access, transport: Transport) -> dict[str, Any]:
    """What stands in the client's file. Holds the local key, but not with STDIO."""
    made: dict[str, Any] = {}
    if client.listed:
        made["name"] = access.name
    if transport is Transport.STDIO:
        _merge(made, client.command.more, access.name)
        program, *arguments = access.command
        if client.command.arguments is None:
            _put(made, client.command.program, [program, *arguments])
        else:
            _put(made, client.command.program, program)
            _put(made, client.command.arguments, arguments)
        return made
    sse = transport is Transport.SSE
    value = client.sse if sse else client.http
    if client.kind is not None and value is not None:
        _put(made, client.kind, value)
    place = (client.sse_url or client.url) if sse else client.url
    assert place is not None  # noqa: S101 - else the transport would be STDIO
    _put(made, place, access.url)
    if access.key is not None:
        _put(made, (*client.headers, "Authorization"), f"Bearer {access.key.reveal()}")
    _merge(made, client.more, access.name)
    return made


def seen(name: str, found: Any) -> Seen:
    """What an entry means, whoever wrote it and in whatever client's way."""
    if not isinstance(found, Mapping):
        return Seen(name)
    url = next((text for place in URL_FIELDS if isinstance(text := _get(found, place), str)), "")
    if (own := _own(name, url)) is not None:
        return Seen(name, url, *own[:2], own[2] or _shown_key(found))
    words = command_words(found)
    if (served := _stdio_workload(words)) is not None:
        return Seen(name, proxied=served, stdio=True)
    remote = next((word for word in words if re.match(r"https?://", word)), "")  # mcp-remote
    if not url and (own := _own(name, remote)) is not None:
        return Seen(name, remote, *own[:2], own[2] or _key_in(found.get("env")))
    return Seen(name, url or remote)


def ways(found: Mapping[str, Any]) -> tuple[frozenset[Field], bool]:
    """Where its address stands, and whether it starts a program: how the client reaches the server."""
    places = frozenset(place for place in URL_FIELDS if isinstance(_get(found, place), str))
    return places, bool(command_words(found))


def _own(name: str, url: str) -> tuple[str, int, str | None] | None:
    """Of an address of ours: the workload ("" for all), the port, and the key in the path."""
    found = PROXY_URL.fullmatch(url)
    if found is not None:
        return found["name"], int(found["port"] or 80), found["key"]
    found = ALL_URL.fullmatch(url) if name == ALL_NAME else None
    return None if found is None else ("", int(found["port"] or 80), found["key"])


def _stdio_workload(words: Sequence[str]) -> str | None:
    """The workload that our `stdio` command serves: "" for all; None for other programs."""
    for place, word in enumerate(words[:-1]):
        program = re.split(r"[/\\]", word)[-1].lower()
        ours = program in ("amberlight", "amberlight.exe", "amberlightw.exe") or word == "trayapp"
        if ours and words[place + 1] == STDIO:
            rest = [each for each in words[place + 2 :] if not each.startswith("-")]
            return rest[0] if rest else ""
    return None


def command_words(found: Mapping[str, Any]) -> list[str]:
    """Program and arguments, in any client's way."""
    holder = found.get("transport")
    holders = [found, holder] if isinstance(holder, Mapping) else [found]
    words: list[Any] = []
    for each in holders:
        for name in ("command", "cmd", "args"):
            value = each.get(name)
            words += value if isinstance(value, list) else [value]
    return [word for word in words if isinstance(word, str)]


def _shown_key(found: Mapping[str, Any]) -> str | None:
    for place in HEADER_FIELDS:
        if (key := _key_in(_get(found, place))) is not None:
            return key
    return None


def _key_in(headers: Any) -> str | None:
    """The key in an `Authorization: Bearer KEY`, or in a variable that holds one."""
    if not isinstance(headers, Mapping):
        return None
    for name, value in headers.items():
        if isinstance(name, str) and name.lower().endswith("authorization") and isinstance(value, str):
            scheme, _, key = value.partition(" ")
            return key.strip() if scheme.lower() == "bearer" else None
    return None


def _get(holder: Any, place: Field) -> Any:
    for name in place:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder


def _put(holder: dict[str, Any], place: Field, value: Any) -> None:
    *outer, last = place
    for name in outer:
        holder = holder.setdefault(name, {})
    holder[last] = value


def _merge(made: dict[str, Any], more: Mapping[str, Any], name: str) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            _merge(made.setdefault(key, {}), value, name)
        else:
            made[key] = name if value == "NAME" else list(value) if isinstance(value, list) else value
