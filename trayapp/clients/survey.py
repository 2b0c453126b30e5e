"""The clients installed on this machine, their files, and the entries in them. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trayapp.clients.changes import read
from trayapp.clients.edits import EditError, servers
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.table import TABLE, Client
from trayapp.system.plain_files import within


@dataclass(frozen=True, slots=True)
class Found:
    """One client: its file, the entries there, and why they can't be read if they can't."""

    client: Client
    file: Path
    installed: bool
    entries: Mapping[str, Any] = field(default_factory=dict, repr=False)
    problem: str = ""  # a sentence without its full stop


def survey(machine: Machine, clients: Iterable[Client] = TABLE) -> list[Found]:
    """All of these clients, installed or not, in the table's order."""
    return [look(machine, client) for client in clients]


def look(machine: Machine, client: Client, file: Path | None = None) -> Found:
    """One client, or another file of the same kind (a project's)."""
    first = machine.path(client.files(machine.platform)[0])
    try:
        place = file or within(first, lambda: machine.file(client))
        installed = within(first, lambda: machine.installed(client))
    except OSError as error:
        return Found(client, first, False, problem=f"{first} can't be read: {error.strerror}")
    try:
        return Found(client, place, installed, servers(client, read(client, place).text))
    except FileError as error:
        return Found(client, place, installed, problem=str(error))
    except EditError as error:
        return Found(client, place, installed, problem=f"{place}: {error}")
