"""Plan of a take-over: what it would be called here, what it says about it, and why it can't be done. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from trayapp.clients.connecting import joined
from trayapp.clients.connections import comparable_url
from trayapp.clients.entries import ALL_URL, PROXY_URL
from trayapp.config.settings import NAME, NAME_HELP
from trayapp.core.external import GONE, ExternalWorkload, external_name, status_of
from trayapp.core.model import Spec
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Status, WorkloadView
from trayapp.external.owner import Reading
from trayapp.external.pointing import Pointing
from trayapp.external.taken_over import Entry, TakenOver
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


def needs_sign_in(plan: Plan, view: WorkloadView | None) -> bool:
    """A workload that was added has no login; another may well have one that is reconnecting."""
    if view is None:
        return True
    if plan.configured_as is None:
        return not view.auth.usable
    return view.status is Status.UNAUTHENTICATED and not view.auth.signing_in


def plan(
    source: Source,
    configured: Mapping[str, Spec],
    clients: Sequence[Pointing] = (),
    name: str = "",
    records: Mapping[str, TakenOver] | None = None,
) -> Plan:
    """The plan; `name` is the one that a person wants here. `records` are earlier take-overs, by the names here."""
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
    if _is_ours(source.entry.url):
        return replace(
            made, problem=f"{theirs.name} already gets its token from Amberlight, so there's nothing to take over."
        )
    before, others = _taken_before(source, configured, records or {})
    free = {each: spec for each, spec in configured.items() if each not in others}
    [entry] = assign_names([source.entry], configured, others)
    there = _there(entry, free, name, before)
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
    if problem := _name_problem(named, entry, configured, free, name):
        return replace(named, problem=problem)
    if made.runs and Verb.TAKE_OVER not in source.actions:
        text = f"{source.owner} can't stop {theirs.name} right now. Start {source.owner}, then try again."
        return replace(named, problem=text)
    return named


def _is_ours(url: str) -> bool:
    """Whether an address leads to us: by a workload's path, or by a local key in it."""
    every = ALL_URL.fullmatch(url)
    return bool(PROXY_URL.fullmatch(url)) or (every is not None and every["key"] is not None)


def _taken_before(
    source: Source, configured: Mapping[str, Spec], records: Mapping[str, TakenOver]
) -> tuple[str, Collection[str]]:
    """Its own name here, if it was taken over already, and the names of others that were. Those are undone
    separately, and one at the same address is probably for another account."""
    at = (source.owner_id, source.workload.name)
    own, others = "", set()
    for name, record in records.items():
        if (spec := configured.get(name)) is None:
            continue
        if (record.owner, record.theirs) != at:
            if is_same_url(spec.url, record.url):
                others.add(name)
        elif is_same_url(source.workload.url, record.url) and _is_same_host(spec.url, record.url):
            own = name
    return own, others


def is_same_url(one: str, other: str) -> bool:
    """Whether two workloads are at the same address. A name alone says little: something else may have it."""
    return comparable_url(one) == comparable_url(other)


def is_its(spec: Spec, record: TakenOver) -> bool:
    """Whether the workload here that has the record's name took that one's place: one that was here before the take-over
    may have had another address."""
    return not record.added or is_same_url(spec.url, record.url)


def _is_same_host(one: str, other: str) -> bool:
    """Whether they are on the same host: a person may have corrected the rest of the address since."""
    try:
        return urlsplit(one).hostname == urlsplit(other).hostname
    except ValueError:
        return False


def _there(entry: ImportableEntry, configured: Mapping[str, Spec], name: str, before: str) -> str | None:
    """The workload here that has its address."""
    if before in configured:
        return before
    if not entry.already_configured:
        return None
    same = _of_same_url(entry, configured)
    return name if name in same else entry.name or None


def _of_same_url(entry: ImportableEntry, configured: Mapping[str, Spec]) -> list[str]:
    return [each for each, spec in configured.items() if is_same_url(spec.url, entry.url)]


def _name_problem(
    made: Plan, entry: ImportableEntry, configured: Mapping[str, Spec], free: Mapping[str, Spec], name: str
) -> str:
    if made.configured_as is None and entry.ambiguous:
        same = _of_same_url(entry, free)
        command = f"amberlight take-over {external_name(made.owner_id, made.theirs)} --name {sorted(same)[0]}"
        return f"{joined(sorted(same))} have the same URL. Choose which one to use: {command}"
    if made.configured_as is not None:
        if name in ("", made.configured_as):
            return ""
        return (
            f"Its URL is already configured as {made.configured_as}. Leave out the name, or rename that workload first."
        )
    if name and not NAME.fullmatch(name):
        return f"{NAME_HELP}."
    return f"A workload named {name} already exists. Choose another name." if name in configured else ""


def way_back(plan: Plan, before: TakenOver | None) -> TakenOver:
    """What undoing it needs, including what an earlier take-over that was cut short had found."""
    found = [Entry(each.client.name, str(each.file), each.name, each.before) for each in plan.clients]
    added, ran = plan.configured_as is None, plan.runs
    if not added and before is not None and (before.owner, before.theirs) == (plan.owner_id, plan.theirs):
        places = {(each.file, each.name) for each in found}
        found = [*(each for each in before.entries if (each.file, each.name) not in places), *found]
        added, ran = before.added, ran or before.ran
    return TakenOver(plan.owner_id, plan.theirs, plan.url, plan.client_url, added, ran, tuple(found))
