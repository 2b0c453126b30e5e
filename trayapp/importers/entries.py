"""Importable entries: another program's server as a workload of ours (`ImportableEntry`), or the reason why not.

Names are changed to fit our rules, and clashes get a number. What is already configured, under any name, is recognised
by its address. Values that `config/settings.py` rejects are left out and named, so that every entry is one that we
accept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trayapp.clients.connecting import joined
from trayapp.clients.connections import comparable_url
from trayapp.config.settings import IN_WORKLOAD, NAME
from trayapp.core.model import Spec

NO_URL = "it has no URL"
NO_LOGIN = "so there's no login to keep"
REMOTE_WITHOUT_URL = "it calls mcp-remote without a URL"
NAME_MAX = 63  # characters
FALLBACK_NAME = "workload"
# Names of headers and query parameters that carry somebody's key.
CREDENTIAL = re.compile(
    r"authorization|proxy-authorization|cookie|key|.*(?:api|access|auth)[-_]?key|.*(?:token|secret|passw(?:or)?d|passphrase)|"
    r"pwd|jwt|bearer|auth|credentials?|sig|signature",
    re.I,
)


@dataclass(frozen=True, slots=True)
class ImportableEntry:
    """An entry that can be imported. `keys` are those of `[workloads.NAME]`, in the configuration file's own types."""

    original_name: str  # the other program's name for it
    keys: Mapping[str, Any] = field(repr=False)
    name: str = ""  # ours; set by `assign_names`
    already_configured: bool = False  # its address is configured already under `name`, or stands earlier in this list
    notes: tuple[str, ...] = ()  # sentences
    ambiguous: bool = False  # several workloads have its address, so `name` is none of them
    needs_secret: bool = False  # its client has a secret, which isn't imported

    @property
    def url(self) -> str:
        return str(self.keys["url"])


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """Something that can't be imported: its `name` in the other program, and the reason."""

    name: str
    reason: str


def make_entry(
    original_name: str, values: Mapping[str, Any], notes: Iterable[str] = ()
) -> ImportableEntry | SkippedEntry:
    """An entry with everything valid in `values`; without a valid address there is none."""
    keys: dict[str, Any] = {}
    notes_so_far = list(notes)
    for key, value in values.items():
        if value in (None, "", [], 0):
            continue
        try:
            IN_WORKLOAD[key].check(value)
        except ValueError as error:  # its sentences never repeat the value
            if key == "url":
                return SkippedEntry(original_name, f"its URL {error}")
            notes_so_far.append(f"Left out its {key}, which {error}.")
        else:
            keys[key] = value
    if "url" not in keys:
        return SkippedEntry(original_name, NO_URL)
    if any(CREDENTIAL.fullmatch(name) for name, _ in parse_qsl(urlsplit(keys["url"]).query)):
        return SkippedEntry(original_name, f"it has a fixed key in its URL, {NO_LOGIN}")
    endpoint_keys = keys.keys() & {"authorization_endpoint", "token_endpoint"}
    # Endpoints are useless alone or without a client: discovery finds them.
    if len(endpoint_keys) == 1 or not keys.keys() & {"issuer", "client_id"}:
        for key in endpoint_keys:
            del keys[key]
    return ImportableEntry(original_name, keys, notes=tuple(notes_so_far))


def assign_names(
    entries: Iterable[ImportableEntry], configured: Mapping[str, Spec], others: Collection[str] = ()
) -> list[ImportableEntry]:
    """Give every entry its name: the one it already has here, or a new one that isn't used.

    Of several workloads with its address (two accounts at one server), the one of its name is meant, or nobody can tell.
    `others` are configured names to leave out, whatever their address is.
    """
    names_by_url: dict[str, list[str]] = {}
    for name, spec in configured.items():
        if name not in others:
            names_by_url.setdefault(comparable_url(spec.url), []).append(name)
    used_names = set(configured)
    next_numbers: dict[str, int] = {}
    named = []
    for entry in entries:
        own_name = workload_name(entry.original_name)
        there = names_by_url.get(comparable_url(entry.url), [])
        if len(there) > 1 and own_name not in there:
            note = f"{joined(sorted(there))} have this URL. Connect the right one with `amberlight connect`."
            named.append(replace(entry, already_configured=True, ambiguous=True, notes=(*entry.notes, note)))
            continue
        name = (own_name if own_name in there else there[0]) if there else unused(own_name, used_names, next_numbers)
        named.append(replace(entry, name=name, already_configured=bool(there)))
        used_names.add(name)
        if not there:
            names_by_url[comparable_url(entry.url)] = [name]
    return named


def workload_name(text: str) -> str:
    """The closest valid name: lower-case letters, digits, hyphens and underscores."""
    name = re.sub(r"[^a-z0-9_]+", "-", text.casefold()).lstrip("-_")[:NAME_MAX].rstrip("-_")
    return name if NAME.fullmatch(name) else FALLBACK_NAME


def unused(name: str, used: Set[str], next_numbers: dict[str, int]) -> str:
    """The name, with a number appended if it is taken. `next_numbers` saves trying the same ones for each entry."""
    candidate, number = name, next_numbers.get(name, 2)
    while candidate in used:
        candidate = f"{name[: NAME_MAX - len(str(number)) - 1]}-{number}"
        number += 1
    next_numbers[name] = number
    return candidate
