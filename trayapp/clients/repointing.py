"""Clients' entries for a workload that was renamed: they go to its new address, and everything else stays.

Reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.clients import edits
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import Edit, Written, overwritten_text, running_text, short, write
from trayapp.clients.connections import own_entries
from trayapp.clients.edits import EditError
from trayapp.clients.entries import PROXY_URL, STDIO
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.projects import command, everywhere
from trayapp.clients.survey import Found
from trayapp.clients.table import Client


@dataclass(frozen=True, slots=True)
class Repointed:
    """A client that had an entry: what was done, in sentences."""

    client: Client
    text: str


def repoint(machine: Machine, changes: Changes, name: str, new: str) -> list[Repointed]:
    """Change the entries for `name` in the files of all clients and in those of projects that we wrote to.

    One that can't be read or changed is reported, not raised.
    """
    found = []
    written_to = changes.written_files()
    for each in everywhere(machine, changes):
        client, place = each.client, short(each.file, machine.home)
        if each.problem and each.file in written_to:
            reason = each.problem.replace(str(each.file), place)
            found.append(
                Repointed(client, f"{client.title} may still use {name}: {reason}. {_fix(machine, each, name, new)}")
            )
        if each.problem or not own_entries(each.entries, (name,)):
            continue
        try:
            written = write(changes, client, each.file, repointed(client, name, new))
            failure = overwritten_text(client).rstrip(".") if written is Written.OVERWRITTEN else ""
        except (FileError, EditError, OSError) as error:
            failure = str(error).replace(str(each.file), place)
        if failure:
            text = f"{client.title} still uses {name}: {failure}. {_fix(machine, each, name, new)}"
        else:
            text = " ".join(f"Updated {client.title} ({place}). {client.restart} {running_text(client)}".split())
        found.append(Repointed(client, text))
    return found


def _fix(machine: Machine, found: Found, name: str, new: str) -> str:
    return f"Fix it: {command(machine, 'disconnect', found, name)}, then {command(machine, 'connect', found, new)}"


def repointed(client: Client, name: str, new: str) -> Edit:
    """Send the entries for `name` to `new`. One that has the workload's name gets the new one; others keep theirs."""

    def edit(text: str) -> str:
        for each in own_entries(edits.servers(client, text), (name,)):
            known = edits.servers(client, text)
            entry_name = new if each.name == name and new not in known else each.name
            made = _renamed(known[each.name], name, new)
            if made.get("name") == each.name:
                made["name"] = entry_name
            if entry_name != each.name:
                text = edits.drop(client, text, each.name)
            text = edits.put(client, text, entry_name, made)
        return text

    return edit


def _renamed(value: Any, name: str, new: str) -> Any:
    """An entry with the new name in our addresses and after our command; the local key is the same."""
    if isinstance(value, Mapping):
        return {key: _renamed(each, name, new) for key, each in value.items()}
    if isinstance(value, list):
        behind = value.index(STDIO) + 1 if STDIO in value else len(value)
        head = [_renamed(each, name, new) for each in value[:behind]]
        return head + [new if each == name else _renamed(each, name, new) for each in value[behind:]]
    found = PROXY_URL.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["name"] != name:
        return value
    return found.string[: found.start("name")] + new + found.string[found.end("name") :]
