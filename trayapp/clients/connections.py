"""Which workloads a client reaches through us, and what is wrong with its entries: a dead port, an old key, a way past us."""

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
    found = [seen(name, each) for name, each in entries.items()]
    ours = [each for each in found if each.proxied == workload]
    if ours:
        best = min(ours, key=lambda each: _ORDER.index(state_of(each, access)))
        return Connection(workload, best.name, state_of(best, access))
    direct = next((each for each in found if server_url and same_url(each.url, server_url)), None)
    if direct is not None:
        return Connection(workload, direct.name, State.DIRECT)
    taken = access.name in entries
    return Connection(workload, access.name, State.NAME_TAKEN if taken else State.ABSENT)


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


def same_url(one: str, other: str) -> bool:
    """Whether two addresses are those of one server: scheme and host in any case, with or without a slash at the end."""
    return bool(one) and _comparable(one) == _comparable(other)


def _comparable(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return (url,)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/"), parts.query
