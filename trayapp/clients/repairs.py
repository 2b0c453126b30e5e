"""Problems with the entries in a client's file, and safe repairs: our own ports and keys, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from trayapp.clients import edits, refusals
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import Edit, Written, overwritten_text, write
from trayapp.clients.connections import STALE, comparable_url, is_variable, state_of
from trayapp.clients.edits import EditError
from trayapp.clients.entries import ALL_NAME, ALL_URL, PROXY_URL, Access, Seen, seen
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.survey import Found, survey
from trayapp.clients.table import Client


class Fault(StrEnum):
    """What is wrong with an entry."""

    OLD_PORT = "old_port"
    OLD_KEY = "old_key"
    DIRECT = "direct"  # past us, with a login of the client's own
    GONE = "gone"  # through us, to a workload that isn't there


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry that is not as it should be. `workload` is "" for the single entry for all."""

    entry: str
    workload: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Repaired:
    """A client whose stale entries were fixed, or why they weren't (`problem`, a sentence)."""

    title: str
    restart: str = ""
    problem: str = ""


def repair_all(machine: Machine, changes: Changes, accesses: Mapping[str, Access]) -> list[Repaired]:
    """Fix the entries of all installed clients; those without a stale one are left out."""
    results = []
    for found in survey(machine):
        stale = [
            each for each in findings(found.entries, accesses, {}) if each.fault in (Fault.OLD_PORT, Fault.OLD_KEY)
        ]
        if stale:
            problem = carry_out(machine, changes, found, accesses, stale)
            results.append(Repaired(found.client.title, found.client.restart, problem))
    return results


def carry_out(
    machine: Machine, changes: Changes, found: Found, accesses: Mapping[str, Access], stale: Sequence[Finding]
) -> str:
    """Fix these entries in a client's file; why that failed, as a sentence, or empty."""
    try:
        written = write(changes, found.client, found.file, repair(found.client, accesses))
    except (FileError, EditError) as error:
        return f"{error}."
    refusals.forget(machine, found.client, [each.entry for each in stale])
    return overwritten_text(found.client) if written is Written.OVERWRITTEN else ""


def findings(entries: Mapping[str, Any], accesses: Mapping[str, Access], urls: Mapping[str, str]) -> list[Finding]:
    """Each entry with a fault. `accesses` are of every workload and of all at once, `urls` the servers' own addresses."""
    direct: dict[str, list[str]] = {}
    for name, url in urls.items():
        direct.setdefault(comparable_url(url), []).append(name)
    found = []
    for each in (seen(name, entry) for name, entry in entries.items()):
        if each.proxied is None:
            past = direct.get(comparable_url(each.url), ()) if each.url else ()
            found += [Finding(each.name, name, Fault.DIRECT) for name in past]
        elif (access := accesses.get(each.proxied)) is None:
            found.append(Finding(each.name, each.proxied, Fault.GONE))
        elif (state := state_of(each, access)) in STALE:
            found.append(Finding(each.name, each.proxied, Fault(state.value)))
    return found


def repair(client: Client, accesses: Mapping[str, Access]) -> Edit:
    """Give our stale entries the address and key as they are now; whatever else they say stays."""

    def edit(text: str) -> str:
        for name, entry in edits.servers(client, text).items():
            there = seen(name, entry)
            access = None if there.proxied is None else accesses.get(there.proxied)
            if access is not None and state_of(there, access) in STALE:
                text = edits.put(client, text, name, repaired(client, entry, there, access))
        return text

    return edit


def repaired(client: Client, entry: Mapping[str, Any], there: Seen, access: Access) -> dict[str, Any]:
    """The entry with port and key as they are now, in all the places where the old ones are."""
    made: dict[str, Any] = _replaced(entry, there, access)
    if access.key is not None and there.key is None and not there.stdio:
        holder = made
        for part in client.headers:
            holder = holder.setdefault(part, {})
        holder["Authorization"] = f"Bearer {access.key.reveal()}"
    return made


def _replaced(value: Any, there: Seen, access: Access) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(each, there, access) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, there, access) for each in value]
    return _text(value, there, access) if isinstance(value, str) else value


def _text(text: str, there: Seen, access: Access) -> str:
    address = PROXY_URL.fullmatch(text) or (ALL_URL.fullmatch(text) if there.name == ALL_NAME else None)
    if address is not None:
        return _moved(address, access)
    if access.key is None or not there.key or is_variable(there.key):
        return text
    return re.sub(rf"(?i)(bearer\s+){re.escape(there.key)}$", lambda found: found[1] + _shown(access), text)


def _moved(address: re.Match[str], access: Access) -> str:
    """The address at the port as it is now; a key in its path is replaced, too."""
    port = str(urlsplit(access.url).port or 80)
    text = address.string
    if address["key"] is not None:
        text = text[: address.start("key")] + _shown(access) + text[address.end("key") :]
    if address["port"] is not None:
        return text[: address.start("port")] + port + text[address.end("port") :]
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}:{port}{slash}{path}"


def _shown(access: Access) -> str:
    return "" if access.key is None else access.key.reveal()
