"""Clients' entries for workloads that were removed: those that we wrote are taken out, others are named.

Reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from trayapp.clients import edits
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import (
    Edit,
    Written,
    disconnected_text,
    joined,
    overwritten_text,
    running_text,
    short,
    write,
)
from trayapp.clients.connections import own_entries
from trayapp.clients.edits import EditError
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.projects import command, everywhere
from trayapp.clients.survey import Found
from trayapp.clients.table import Client

NAMED_MAX = 5  # entries that a sentence names


def take_out(machine: Machine, changes: Changes, workloads: Collection[str]) -> list[str]:
    """Take our entries for these workloads out of all clients' files; what was done and what is left, in sentences."""
    told: list[str] = []
    written_to = changes.written_files()
    for found in everywhere(machine, changes):
        title, place = found.client.title, short(found.file, machine.home)
        if found.problem and found.file in written_to:
            told.append(
                f"{title} may still have entries for what was removed: {found.problem.replace(str(found.file), place)}."
            )
        ours = [] if found.problem else own_entries(found.entries, workloads)
        by_us = changes.wrote(found.file)
        names = [each.name for each in ours if by_us(each.name)]
        if names:
            told.append(_taken_out(machine, changes, found, workloads, names))
        if left := [each for each in ours if not by_us(each.name)]:
            fix = command(machine, "disconnect", found, *dict.fromkeys(str(each.proxied) for each in left))
            told.append(
                f"{title} ({place}) still has {_named([each.name for each in left])}, added by hand. To take it out: {fix}"
            )
    return told


def _taken_out(
    machine: Machine, changes: Changes, found: Found, workloads: Collection[str], names: Sequence[str]
) -> str:
    client, place = found.client, short(found.file, machine.home)
    try:
        written = write(changes, client, found.file, _without(client, workloads, names))
        failure = overwritten_text(client).rstrip(".") if written is Written.OVERWRITTEN else ""
    except (FileError, EditError, OSError) as error:
        failure = str(error).replace(str(found.file), place)
    if failure:
        gone = dict.fromkeys(str(each.proxied) for each in own_entries(found.entries, workloads) if each.name in names)
        return f"{client.title} still has {_named(names)}: {failure}. Fix it: {command(machine, 'disconnect', found, *gone)}"
    return f"{disconnected_text(client, [_named(names)], place)} {running_text(client)}".rstrip()


def _without(client: Client, workloads: Collection[str], names: Iterable[str]) -> Edit:
    """Take these entries out, as long as they still go to these workloads."""

    def edit(text: str) -> str:
        for each in own_entries(edits.servers(client, text), workloads):
            if each.name in names:
                text = edits.drop(client, text, each.name, prune=True)
        return text

    return edit


def _named(names: Sequence[str]) -> str:
    return joined(names) if len(names) <= NAMED_MAX else f"{len(names)} entries"
