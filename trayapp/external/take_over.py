"""Plan of a take-over: what it would be called here, what it says about it, and why it can't be done. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trayapp.clients.connections import comparable_url
from trayapp.clients.entries import PROXY_URL
from trayapp.config.settings import NAME, NAME_HELP
from trayapp.core.external import GONE, ExternalWorkload, external_name, status_of
from trayapp.core.model import Spec
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Status
from trayapp.external.owner import Reading
from trayapp.external.pointing import Pointing
from trayapp.importers.entries import ImportableEntry, SkippedEntry, assign_names


@dataclass(frozen=True, slots=True)
class Plan:
    """What a take-over would change. `problem`: a sentence, why it can't be done; empty if it can.

    `configured_as`: the workload here that already has this address; then nothing is added.
    """

    owner: str  # as people call it
    owner_id: str
    theirs: str  # the workload's name there
    name: str = ""  # and here
    url: str = ""
    client_url: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    configured_as: str | None = None
    runs: bool = False  # there
    needs_secret: bool = False  # its client has one, which stays there
    clients: tuple[Pointing, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A workload of another program: how it is, what it is, and what that program can be asked to do."""

    owner: str
    owner_id: str
    workload: ExternalWorkload
    actions: Collection[Verb]
    entry: ImportableEntry | SkippedEntry


def is_stopped(reading: Reading, name: str) -> bool | None:
    """Whether it has stopped; None while it is stopping. One that isn't there has, unless something couldn't be read."""
    found = next((each for each in reading.workloads if each.name == name), None)
    if found is None:
        return not reading.problems
    word = status_of(found.word)
    return None if word in (Status.STOPPING, Status.REMOVING) else word in GONE


def secret_first(name: str) -> str:
    """What to do about a client whose secret isn't here."""
    return f"Store its client secret: amberlight secret set {name}. Then sign in: amberlight reauthorize {name}."


def plan(
    source: Source, configured: Mapping[str, Spec], clients: Sequence[Pointing] = (), name: str = "", before: str = ""
) -> Plan:
    """The plan; `name` is the one that a person wants here. `before`: its name here, if it was taken over already."""
    theirs = source.workload
    made = Plan(
        source.owner,
        source.owner_id,
        theirs.name,
        url=theirs.url,
        client_url=theirs.client_url,
        runs=status_of(theirs.word) not in GONE,
        clients=tuple(clients),
    )
    if isinstance(source.entry, SkippedEntry):
        return replace(made, problem=f"Amberlight can't keep {theirs.name} signed in: {source.entry.reason}.")
    if PROXY_URL.fullmatch(source.entry.url):
        return replace(
            made, problem=f"{theirs.name} already gets its token from Amberlight, so there's nothing to take over."
        )
    [entry] = assign_names([source.entry], configured)
    there = _there(entry, configured, name, before)
    here = there or name or entry.name
    named = replace(
        made,
        name=here,
        url=entry.url,
        keys=entry.keys,
        configured_as=there,
        needs_secret=entry.needs_secret and there is None,
        notes=tuple(note.replace("NAME", here) for note in source.entry.notes) if there is None else (),
    )
    if problem := _name_problem(named, entry, configured, name):
        return replace(named, problem=problem)
    if made.runs and Verb.TAKE_OVER not in source.actions:
        text = f"{source.owner} can't stop {theirs.name} right now. Start {source.owner}, then try again."
        return replace(named, problem=text)
    return named


def _there(entry: ImportableEntry, configured: Mapping[str, Spec], name: str, before: str) -> str | None:
    """The workload here that has its address."""
    if before in configured:
        return before
    if not entry.already_configured:
        return None
    same = _of_same_url(entry, configured)
    return name if name in same else entry.name or None


def _of_same_url(entry: ImportableEntry, configured: Mapping[str, Spec]) -> list[str]:
    return [each for each, spec in configured.items() if comparable_url(spec.url) == comparable_url(entry.url)]


def _name_problem(made: Plan, entry: ImportableEntry, configured: Mapping[str, Spec], name: str) -> str:
    if made.configured_as is None and entry.ambiguous:
        same = _of_same_url(entry, configured)
        command = f"amberlight take-over {external_name(made.owner_id, made.theirs)} --name {sorted(same)[0]}"
        return f"{' and '.join(sorted(same))} have the same URL. Choose which one to use: {command}"
    if made.configured_as is not None:
        if name in ("", made.configured_as):
            return ""
        return (
            f"Its URL is already configured as {made.configured_as}. Leave out the name, or rename that workload first."
        )
    if name and not NAME.fullmatch(name):
        return f"{NAME_HELP}."
    return f"A workload named {name} already exists. Choose another name." if name in configured else ""
