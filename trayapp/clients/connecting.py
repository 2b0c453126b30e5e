"""Connect clients to workloads and disconnect them: what to write, what to leave unchanged, and the result.

Used by the command and by the app; prints nothing. All of it reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from urllib.parse import urlsplit

from trayapp.clients import edits, entries, refusals
from trayapp.clients.changes import Changes, read
from trayapp.clients.connections import Connection, State, own_entries
from trayapp.clients.connections import connections as connections_of
from trayapp.clients.entries import ALL_NAME, Access
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.renewing import renewed
from trayapp.clients.survey import Found, look, survey
from trayapp.clients.table import Client
from trayapp.system.running import runs

ALL = ""  # stands for the single entry for all workloads
PROGRAM = "amberlight"  # as it is found on the PATH
SETTLE = 0.5  # s after which a client's file is checked again, if the client writes it while it runs

Edit = Callable[[str], str]  # a file's text → its new text; raises `EditError`


class Written(Enum):
    """The result of a change."""

    UNCHANGED = auto()  # the file was up to date
    CHANGED = auto()
    OVERWRITTEN = auto()  # the client, which is running, replaced it with its own version


@dataclass(frozen=True, slots=True)
class Plan:
    """What connecting a client means."""

    targets: Mapping[str, Access]  # the entries to write, by their names in the client's file
    kept: tuple[Connection, ...]  # workloads whose place an entry has that is not ours


def connections(found: Found, accesses: Mapping[str, Access], urls: Mapping[str, str]) -> list[Connection]:
    """What a client's file says of each of these workloads; `urls` are their servers' own addresses."""
    return connections_of(found.entries, accesses, urls)


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
        return f"{title} signs in to {there.workload or ALL_NAME} separately (entry {there.entry})."
    return f"{title} has another server called {there.entry}."


def put_all(client: Client, targets: Mapping[str, Access], *, stdio: bool = False) -> Edit:
    """Write these entries; with `stdio` the client starts our command, and no key is in its file."""

    def edit(text: str) -> str:
        for name, access in targets.items():
            there = edits.servers(client, text).get(name)
            made = renewed(client, access, entries.transport_for(client, access, stdio=stdio), there)
            if client.listed:
                made["name"] = name
            if made != there:
                text = edits.put(client, text, name, made)
        return text

    return edit


def portable(access: Access, which: Callable[[str], str | None]) -> Access:
    """With a command that others who share a project's file can start, too: by its name, where ours is found by it."""
    at = access.command.index(entries.STDIO)
    return replace(access, command=(PROGRAM, *access.command[at:])) if which(PROGRAM) else access


def drop_all(client: Client, workloads: Collection[str] | None = None) -> Edit:
    """Take our entries out: those of these workloads, or all."""

    def edit(text: str) -> str:
        for each in own_entries(edits.servers(client, text), workloads):
            text = edits.drop(client, text, each.name, prune=True)
        return text

    return edit


def write(changes: Changes, client: Client, file: Path, edit: Edit, *, original: str | None = None) -> Written:
    """Make a change, and check it again if the client may write its file meanwhile. `original`: see `Changes.apply`.

    Raises `FileError` or `EditError`, both naming the file; then it is as it was.
    """
    if not changes.apply(client, file, edit, original=original):
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


# --- as values, for the app ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One client with what its file says of each workload, and of all at once (`ALL`)."""

    found: Found
    place: str  # its file, as people write it
    connections: tuple[Connection, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What `connect` or `disconnect` did: a sentence for the person, what was left as it is, and the client then."""

    message: str
    changed: bool
    kept: tuple[str, ...]  # a sentence each
    row: Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workloads that it is about. `accesses` and `urls` are of all that there are, and of `ALL`."""

    accesses: Mapping[str, Access]
    urls: Mapping[str, str]
    names: Collection[str] = ()


def rows(machine: Machine, wanted: Wanted) -> list[Row]:
    """Each client of the table, installed or not."""
    return [_row(machine, found, wanted) for found in survey(machine)]


def connect(machine: Machine, changes: Changes, client: Client, wanted: Wanted, *, replace: bool) -> Change:
    """Write entries for these workloads; one that is not ours is replaced only with `replace`.

    Raises `FileError` or `EditError`; then the file is as it was.
    """
    found = _readable(machine, client)
    accesses = {name: wanted.accesses[name] for name in wanted.names}
    planned = plan(found, accesses, wanted.urls, lambda there: replace)
    kept = tuple(kept_because(client.title, there) for there in planned.kept)
    if not planned.targets:
        return Change("", False, kept, _row(machine, found, wanted))
    written = write(changes, client, found.file, put_all(client, planned.targets))
    refusals.forget(machine, client, planned.targets)
    names = [access.name for access in planned.targets.values()]
    message = connected_text(client, names, short(found.file, machine.home))
    return _change(machine, client, wanted, written, message, kept)


def disconnect(machine: Machine, changes: Changes, client: Client, wanted: Wanted) -> Change:
    """Take our entries for these workloads out. Raises `FileError` or `EditError`; then the file is as it was."""
    found = _readable(machine, client)
    names = [each.name for each in own_entries(found.entries, wanted.names)]
    message = disconnected_text(client, names, short(found.file, machine.home))
    written = write(changes, client, found.file, drop_all(client, wanted.names)) if names else Written.UNCHANGED
    return _change(machine, client, wanted, written, message, ())


def connected_text(client: Client, names: Sequence[str], place: str) -> str:
    """What was done, and what to restart."""
    return f"Connected {joined(names)} to {client.title} ({place}). {client.restart}".rstrip()


def running_text(client: Client) -> str:
    """A warning about a running client that writes its file itself; empty if it isn't running, or that isn't known."""
    if not client.rewrites or not runs(client.programs):
        return ""
    return f"{client.title} is running and may overwrite this change. If it does, quit it and try again."


def not_lasting_text(url: str) -> str:
    """What to do so that clients can rely on this address."""
    port = None
    with contextlib.suppress(ValueError):
        port = urlsplit(url).port
    keep = (
        "Run `amberlight doctor`."
        if port is None
        else f"To keep it, set port = {port} under [settings] in config.toml."
    )
    return f"Amberlight's port changes the next time it starts. {keep}"


def disconnected_text(client: Client, names: Sequence[str], place: str) -> str:
    """What was done."""
    return f"Disconnected {joined(names)} from {client.title} ({place})."


def unchanged_text(place: str) -> str:
    """Nothing had to be written."""
    return f"{place} is already up to date."


def overwritten_text(client: Client) -> str:
    """Why the change did not last."""
    return f"{client.title} has overwritten the change. Quit it and try again."


def _readable(machine: Machine, client: Client) -> Found:
    found = look(machine, client)
    if found.problem:
        raise FileError(found.problem)
    return found


def _change(
    machine: Machine, client: Client, wanted: Wanted, written: Written, message: str, kept: tuple[str, ...]
) -> Change:
    if written is Written.OVERWRITTEN:
        raise FileError(overwritten_text(client).removesuffix("."))
    then = _row(machine, look(machine, client), wanted)
    if written is Written.UNCHANGED:
        return Change(unchanged_text(then.place), False, kept, then)
    return Change(f"{message} {running_text(client)}".rstrip(), True, kept, then)


def _row(machine: Machine, found: Found, wanted: Wanted) -> Row:
    return Row(found, short(found.file, machine.home), tuple(connections(found, wanted.accesses, wanted.urls)))
