"""What `amberlight setup` can add: servers configured in clients and ToolHive, and what a person types."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from trayapp.catalog.lookup import BY_NAME, near
from trayapp.cli.import_command import toolhive_entries
from trayapp.clients import files
from trayapp.clients.connections import comparable_url
from trayapp.clients.jsonc import JsonError
from trayapp.clients.survey import Found
from trayapp.clients.table import Syntax
from trayapp.core.model import Spec
from trayapp.importers import client_servers, mcp_json, toolhive
from trayapp.importers.entries import ImportableEntry, SkippedEntry, assign_names, make_entry


@dataclass(frozen=True, slots=True)
class Offer:
    """A server that can be added, and where it is configured."""

    entry: ImportableEntry
    places: tuple[str, ...] = field(default=())

    @property
    def host(self) -> str:
        return urlsplit(self.entry.url).hostname or ""


def offers(found: Iterable[Found], configured: Mapping[str, Spec]) -> list[Offer]:
    """Every remote server in clients and ToolHive that Amberlight doesn't have yet, once per address."""
    by_url: dict[str, Offer] = {}
    listed = [(each.client.title, entry) for each in found for entry in _importable(each)]
    for title, entry in [*listed, *(("ToolHive", entry) for entry in _toolhive())]:
        offer = by_url.setdefault(comparable_url(entry.url), Offer(entry))
        if title not in offer.places:
            by_url[comparable_url(entry.url)] = replace(offer, places=(*offer.places, title))
    named = assign_names([offer.entry for offer in by_url.values()], configured)
    both = zip(by_url.values(), named, strict=True)
    return [replace(offer, entry=entry) for offer, entry in both if not entry.already_configured]


def typed(text: str) -> ImportableEntry | str:
    """A name of the catalog or an address, as an entry; or a sentence about it."""
    if (server := BY_NAME.get(text.lower())) is not None:
        if server.needs_client:
            return f"{server.title} needs a client id of your own. See: amberlight add {server.name}"
        return _made(server.name, server.url)
    if not re.search(r"[.:/]", text):
        similar = near(text.lower())
        question = f" Did you mean {' or '.join(similar)}?" if similar else " Enter its address."
        return f"{text} isn't in the catalog.{question}"
    url = text if "://" in text else f"https://{text}"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "That isn't a valid address. Enter one that starts with https://"
    label = host.removeprefix("www.").removeprefix("mcp.").split(".")[0]
    return _made("server" if not label or label.isdigit() or ":" in host else label, url)


def _made(name: str, url: str) -> ImportableEntry | str:
    made = make_entry(name, {"url": url})
    return f"{name} can't be added: {made.reason}." if isinstance(made, SkippedEntry) else made


def _importable(found: Found) -> Sequence[ImportableEntry]:
    if found.client.syntax is Syntax.JSON and not found.problem:  # also what Claude Code keeps for each project
        try:
            return [entry for entry, _ in mcp_json.read(files.read(found.file).text).importable]
        except (files.FileError, JsonError):
            pass
    return client_servers.read(found.entries).importable


def _toolhive() -> Sequence[ImportableEntry]:
    folder = toolhive.folder(sys.platform, os.environ, Path.home())
    try:
        return [each for each in toolhive_entries(folder) if isinstance(each, ImportableEntry)]
    except OSError:
        return ()
