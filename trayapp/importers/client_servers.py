"""Remote servers in the file of a client of the table (`clients/table.py`), whatever its format: values, never secrets.

A server is importable if its entry has an address, or passes one to `mcp-remote`. One that carries a fixed
`Authorization` is skipped, because there is no login in it to keep; the value of a header is never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.clients.entries import HEADER_FIELDS, PROXY_URL, URL_FIELDS
from trayapp.importers.entries import CREDENTIAL, NO_URL, REMOTE_WITHOUT_URL, ImportableEntry, SkippedEntry, make_entry
from trayapp.importers.mcp_json import (
    ALREADY_PROXIED,
    FIXED_CREDENTIAL,
    NOT_AN_OBJECT,
    OF_VARIABLES,
    REMOTE_TYPES,
    is_fixed_header,
    remote_address,
)

_CLIENT_IDS = (("auth", "CLIENT_ID"), ("oauth", "clientId"))


@dataclass(frozen=True, slots=True)
class ClientServers:
    """What a client has. `local_count`: programs on this machine, which need no login."""

    importable: tuple[ImportableEntry, ...]
    skipped: tuple[SkippedEntry, ...]
    local_count: int


def read(entries: Mapping[str, Any]) -> ClientServers:
    """The servers of a client, from the entries in its file."""
    found = [_server(name, entry) for name, entry in entries.items()]
    return ClientServers(
        tuple(each for each in found if isinstance(each, ImportableEntry)),
        tuple(each for each in found if isinstance(each, SkippedEntry)),
        sum(each is None for each in found),
    )


def _server(name: str, entry: Any) -> ImportableEntry | SkippedEntry | None:
    """One entry; None for a program on this machine."""
    if not isinstance(entry, Mapping):
        return SkippedEntry(name, NOT_AN_OBJECT)
    url = next((text for place in URL_FIELDS if isinstance(text := _get(entry, place), str)), None)
    if url is None:
        kind = next((each for each in (entry.get("type"), _get(entry, ("transport", "type"))) if each), None)
        if kind in REMOTE_TYPES:
            return SkippedEntry(name, NO_URL)
        return _through_mcp_remote(name, entry)
    if PROXY_URL.fullmatch(url):
        return SkippedEntry(name, ALREADY_PROXIED)
    if any(CREDENTIAL.fullmatch(key) for place in HEADER_FIELDS for key in _keys(_get(entry, place))):
        return SkippedEntry(name, FIXED_CREDENTIAL)
    return _importable(name, url, entry)


def _through_mcp_remote(name: str, entry: Mapping[str, Any]) -> ImportableEntry | SkippedEntry | None:
    words = [word for key in ("command", "cmd", "args") for word in _words(entry.get(key))]
    match remote_address(words):
        case None:
            return None
        case "":
            return SkippedEntry(name, REMOTE_WITHOUT_URL)
        case url:
            if PROXY_URL.fullmatch(url):
                return SkippedEntry(name, ALREADY_PROXIED)
            headers = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--header"]
            if any(is_fixed_header(header) for header in headers):
                return SkippedEntry(name, FIXED_CREDENTIAL)
            return _importable(name, url, entry)


def _importable(name: str, url: str, entry: Mapping[str, Any]) -> ImportableEntry | SkippedEntry:
    if "${" in url or "{env:" in url:
        return SkippedEntry(name, OF_VARIABLES)
    client_id = next((text for place in _CLIENT_IDS if isinstance(text := _get(entry, place), str)), None)
    return make_entry(name, {"url": url, "client_id": client_id if client_id and "${" not in client_id else None})


def _words(value: Any) -> list[str]:
    return [word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)]


def _keys(value: Any) -> list[str]:
    return [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []


def _get(holder: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        holder = holder.get(key) if isinstance(holder, Mapping) else None
    return holder
