"""Files of projects that Amberlight wrote to: nothing but its own record knows where they are. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from trayapp.clients.changes import Changes
from trayapp.clients.places import Machine
from trayapp.clients.survey import Found, look, survey
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.system.shown_command import quoted


def everywhere(machine: Machine, changes: Changes) -> list[Found]:
    """All clients with their own files, and then each further file that was written to."""
    found = survey(machine)
    seen = {each.file for each in found}
    return [*found, *(look(machine, client, file) for client, file in _known(changes) if file not in seen)]


def _known(changes: Changes) -> Iterator[tuple[Client, Path]]:
    for file, name in changes.written_files().items():
        client = BY_NAME.get(name) or next((each for each in TABLE if project_of(each, file)), None)
        if client is not None:
            yield client, file


def project_of(client: Client, file: Path) -> Path | None:
    """The project that this file of the client's belongs to; None for its file in the home directory."""
    if client.project is None:
        return None
    parts = PurePath(client.project).parts
    return Path(*file.parts[: -len(parts)]) if file.parts[-len(parts) :] == parts else None


def is_own(machine: Machine, client: Client, file: Path) -> bool:
    """Whether it is the client's file in the home directory, not one of a project."""
    return file in {machine.path(each) for each in client.files(machine.platform)}


def command(machine: Machine, verb: str, found: Found, *names: str) -> str:
    """`amberlight connect` or `disconnect` for this file."""
    text = f"amberlight {verb} {' '.join((found.client.name, *names))}"
    project = None if is_own(machine, found.client, found.file) else project_of(found.client, found.file)
    return text if project is None else f"{text} --project {quoted(str(project))}"
