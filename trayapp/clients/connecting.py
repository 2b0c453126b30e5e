"""Connect a client to workloads and take them out again: what to write, what to leave as it is, and what came of it.

Used by the command and by the app; prints nothing. All of it reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from trayapp.clients import edits, entries
from trayapp.clients.changes import Changes, read
from trayapp.clients.connections import Connection, State, connection, own_entries
from trayapp.clients.entries import ALL_NAME, Access
from trayapp.clients.survey import Found
from trayapp.clients.table import Client
from trayapp.core.client_settings import ClientAccess

ALL = ""  # stands for the one entry over all workloads
SETTLE = 0.5  # s after which a client's file is read once more, if the client writes it while it runs

Edit = Callable[[str], str]  # a file's text → its new text; raises `EditError`


class Written(Enum):
    """What came of a change."""

    UNCHANGED = auto()  # the file said so already
    CHANGED = auto()
    OVERWRITTEN = auto()  # the client, which is running, wrote its own version right after


@dataclass(frozen=True, slots=True)
class Plan:
    """What connecting a client means."""

    targets: Mapping[str, Access]  # the entries to write, by their names in the client's file
    kept: tuple[Connection, ...]  # workloads whose place an entry has that is not ours


def own_access(access: ClientAccess) -> Access:
    """The same as entries need it."""
    return Access(access.name, access.url, access.key, access.command, access.sse)


def connections(found: Found, accesses: Mapping[str, Access], urls: Mapping[str, str]) -> list[Connection]:
    """What a client's file says of each of these workloads; `urls` are their servers' own addresses."""
    return [connection(found.entries, access, name, urls.get(name, "")) for name, access in accesses.items()]


def plan(
    found: Found,
    accesses: Mapping[str, Access],
    urls: Mapping[str, str],
    replace: Callable[[Connection], bool],
) -> Plan:
    """The entries to write. `replace` says of each entry that is not ours whether to replace it."""
    targets: dict[str, Access] = {}
    kept: list[Connection] = []
    for there in connections(found, accesses, urls):
        if there.state in (State.DIRECT, State.NAME_TAKEN) and not replace(there):
            kept.append(there)
        else:
            targets[there.entry] = accesses[there.workload]
    return Plan(targets, tuple(kept))


def kept_because(title: str, there: Connection) -> str:
    """Why an entry was left as it is; the client's `title` begins the sentence."""
    if there.state is State.DIRECT:
        return f"{title} signs in to {there.workload or ALL_NAME} itself, by its entry {there.entry}."
    return f"{title} has another server called {there.entry}."


def put_all(client: Client, targets: Mapping[str, Access], *, stdio: bool = False) -> Edit:
    """Write these entries; with `stdio` the client starts our command, and no key is in its file."""

    def edit(text: str) -> str:
        for name, access in targets.items():
            made = entries.entry(client, access, entries.transport_for(client, access, stdio=stdio))
            text = edits.put(client, text, name, {**made, "name": name} if client.listed else made)
        return text

    return edit


def drop_all(client: Client, workloads: Collection[str] | None = None) -> Edit:
    """Take our entries out: those of these workloads, or all."""

    def edit(text: str) -> str:
        for each in own_entries(edits.servers(client, text), workloads):
            text = edits.drop(client, text, each.name, prune=True)
        return text

    return edit


def write(changes: Changes, client: Client, file: Path, edit: Edit) -> Written:
    """Carry out a change, and look once more where the client may write its file meanwhile.

    Raises `FileError` or `EditError`, both naming the file; then it is as it was.
    """
    if not changes.apply(client, file, edit):
        return Written.UNCHANGED
    if client.rewrites:
        time.sleep(SETTLE)
        text = read(client, file).text
        if edit(text) != text:
            return Written.OVERWRITTEN
    return Written.CHANGED


def joined(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    each = list(names)
    return " and ".join([", ".join(each[:-1]), each[-1]]) if len(each) > 1 else "".join(each)


def short(file: Path, home: Path) -> str:
    """The path as people write it."""
    try:
        return f"~/{file.relative_to(home).as_posix()}"
    except ValueError:
        return str(file)
