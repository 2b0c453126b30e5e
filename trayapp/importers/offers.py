"""Servers that could become workloads: those in the files of installed clients, and ToolHive's remote ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from trayapp.clients import files
from trayapp.clients.connections import comparable_url
from trayapp.clients.jsonc import JsonError
from trayapp.clients.places import Machine
from trayapp.clients.survey import Found
from trayapp.clients.table import Syntax
from trayapp.core.model import Spec
from trayapp.importers import client_servers, mcp_json, toolhive
from trayapp.importers.entries import ImportableEntry, assign_names


@dataclass(frozen=True, slots=True)
class Offer:
    """A server that can be added, and where it is configured."""

    entry: ImportableEntry
    places: tuple[str, ...] = field(default=())

    @property
    def host(self) -> str:
        return urlsplit(self.entry.url).hostname or ""


def offers(machine: Machine, found: Iterable[Found], configured: Mapping[str, Spec]) -> list[Offer]:
    """Every remote server in clients and ToolHive that Amberlight doesn't have yet, once per address."""
    by_url: dict[str, Offer] = {}
    listed = [(each.client.title, entry) for each in found for entry in _importable(each)]
    for title, entry in [*listed, *(("ToolHive", entry) for entry in _toolhive(machine))]:
        offer = by_url.setdefault(comparable_url(entry.url), Offer(entry))
        if title not in offer.places:
            by_url[comparable_url(entry.url)] = replace(offer, places=(*offer.places, title))
    named = assign_names([offer.entry for offer in by_url.values()], configured)
    both = zip(by_url.values(), named, strict=True)
    return [replace(offer, entry=entry) for offer, entry in both if not entry.already_configured]


def _importable(found: Found) -> Sequence[ImportableEntry]:
    if found.client.syntax is Syntax.JSON and not found.problem:  # also what Claude Code keeps for each project
        try:
            return [entry for entry, _ in mcp_json.read(files.read(found.file).text).importable]
        except (files.FileError, JsonError):
            pass
    return client_servers.read(found.entries).importable


def _toolhive(machine: Machine) -> Sequence[ImportableEntry]:
    folder = toolhive.folder(machine.platform, machine.environ, machine.home)
    try:
        return [each for each in toolhive.entries(folder) if isinstance(each, ImportableEntry)]
    except OSError:
        return ()
