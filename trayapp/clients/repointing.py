"""Clients' entries for a workload that was renamed: they go to its new address, and everything else stays.

Reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trayapp.clients import edits, entries
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import Edit, Written, overwritten_text, short, write
from trayapp.clients.connections import own_entries
from trayapp.clients.edits import EditError
from trayapp.clients.entries import Access
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.survey import survey
from trayapp.clients.table import Client


@dataclass(frozen=True, slots=True)
class Repointed:
    """A client that had an entry: what was done, in sentences."""

    client: Client
    text: str


def repoint(machine: Machine, changes: Changes, name: str, access: Access) -> list[Repointed]:
    """Change the entries for `name` in the files of all clients. One that can't be changed is reported, not raised."""
    found = []
    for each in survey(machine):
        client = each.client
        if each.problem or not own_entries(each.entries, (name,)):
            continue
        place = short(each.file, machine.home)
        try:
            written = write(changes, client, each.file, _edit(client, name, access))
        except (FileError, EditError, OSError) as error:
            reason = str(error).replace(str(each.file), place)
            found.append(Repointed(client, _failed(client, name, access.name, reason)))
            continue
        if written is Written.OVERWRITTEN:
            found.append(Repointed(client, _failed(client, name, access.name, overwritten_text(client).rstrip("."))))
        else:
            found.append(Repointed(client, f"Updated {client.title} ({place}). {client.restart}".rstrip()))
    return found


def _failed(client: Client, name: str, new: str, reason: str) -> str:
    fix = f"amberlight disconnect {client.name} {name}, then amberlight connect {client.name} {new}"
    return f"{client.title} still uses {name}: {reason}. Fix it: {fix}"


def _edit(client: Client, name: str, access: Access) -> Edit:
    """An entry that has the workload's name gets its new one; any other keeps its own."""

    def edit(text: str) -> str:
        for each in own_entries(edits.servers(client, text), (name,)):
            taken: Sequence[str] = tuple(edits.servers(client, text))
            entry_name = access.name if each.name == name and access.name not in taken else each.name
            own = replace(access, name=entry_name)
            transport = entries.transport_for(client, own, stdio=each.stdio)
            made = entries.entry(client, own, transport)
            if entry_name != each.name:
                text = edits.drop(client, text, each.name)
            text = edits.put(client, text, entry_name, {**made, "name": entry_name} if client.listed else made)
        return text

    return edit
