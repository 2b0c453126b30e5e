"""Which workloads a client reaches through us, and problems with its entries: old port, old key, separate sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from trayapp.clients.entries import Access, Seen, seen


class State(StrEnum):
    """What a client's file says of one workload."""

    CONNECTED = "connected"
    OLD_PORT = "old_port"  # through us, but at a port where nobody listens now
    OLD_KEY = "old_key"  # through us, with a key that is not the workload's
    DIRECT = "direct"  # straight at the server, with a login of the client's own
    NAME_TAKEN = "name_taken"  # an entry of that name is for something else
    ABSENT = "absent"


STALE = frozenset({State.OLD_PORT, State.OLD_KEY})


@dataclass(frozen=True, slots=True)
class Connection:
    """A workload in a client's file. `entry` is the entry's name there, or the one that it would get."""

    workload: str  # "" for all at once
    entry: str
    state: State


def connection(entries: Mapping[str, Any], access: Access, workload: str, server_url: str = "") -> Connection:
    """What these entries say of a workload; `server_url` is its server's own address."""
    return connections(entries, {workload: access}, {workload: server_url})[0]


def connections(
    entries: Mapping[str, Any], accesses: Mapping[str, Access], urls: Mapping[str, str]
) -> list[Connection]:
    """The same for several workloads, each entry looked at once: there may be thousands of both."""
    ours: dict[str, list[Seen]] = {}
    direct: dict[str, Seen] = {}
    for each in (seen(name, entry) for name, entry in entries.items()):
        if each.proxied is not None:
            ours.setdefault(each.proxied, []).append(each)
        elif each.url:
            direct.setdefault(comparable_url(each.url), each)
    found = []
    for workload, access in accesses.items():
        url = urls.get(workload, "")
        if through := ours.get(workload):
            best = min(through, key=lambda each: _ORDER.index(state_of(each, access)))
            found.append(Connection(workload, best.name, state_of(best, access)))
        elif url and (past := direct.get(comparable_url(url))) is not None:
            found.append(Connection(workload, past.name, State.DIRECT))
        else:
            taken = access.name in entries
            found.append(Connection(workload, access.name, State.NAME_TAKEN if taken else State.ABSENT))
    return found


def own_entries(entries: Mapping[str, Any], workloads: Iterable[str] | None = None) -> list[Seen]:
    """The entries that go through us: to these workloads, or to any."""
    wanted = None if workloads is None else set(workloads)
    found = [seen(name, each) for name, each in entries.items()]
    return [each for each in found if each.proxied is not None and (wanted is None or each.proxied in wanted)]


_ORDER = (State.CONNECTED, State.OLD_KEY, State.OLD_PORT)


def state_of(found: Seen, access: Access) -> State:
    """Whether an entry that goes through us reaches us: connected, or why not."""
    if found.stdio:
        return State.CONNECTED
    if found.port != (urlsplit(access.url).port or 80):
        return State.OLD_PORT
    needed = None if access.key is None else access.key.reveal()
    known = needed in (None, found.key) or is_variable(found.key)
    return State.CONNECTED if known else State.OLD_KEY


def is_variable(key: str | None) -> bool:
    """Whether it is no key but a reference like `${KEY}`: only the client knows what that stands for."""
    return key is not None and re.search(r"[${]", key) is not None


def comparable_url(url: str) -> str:
    """A URL in the form in which two are compared: scheme and host in lower case, no slash at the end."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}" + (
        f"?{parts.query}" if parts.query else ""
    )
