"""Client entries of a workload that is taken over: point them to us, and restore them.

Reads and writes files: in the app, only in a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trayapp.clients import edits, refusals
from trayapp.clients.changes import Changes, read
from trayapp.clients.connecting import Edit, Written, joined, overwritten_text, portable, running_text, short, write
from trayapp.clients.connections import own_entries
from trayapp.clients.edits import EditError
from trayapp.clients.entries import Access, seen
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.projects import is_own
from trayapp.clients.table import BY_NAME, Client
from trayapp.external.pointing import moved, moved_back, points_at
from trayapp.external.taken_over import Entry, Patch, TakenOver


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a client's file: `problem` is a sentence, empty if it was changed."""

    title: str
    restart: str = ""
    problem: str = ""
    note: str = ""  # a sentence: what else to know
    again: str = ""  # the file, if trying again may work


def originals(entries: Iterable[Entry]) -> dict[str, str]:
    """The texts of their files now, as far as they can be read."""
    texts = {}
    for each in entries:
        if (client := BY_NAME.get(each.client)) is not None and not each.moved:
            try:
                texts[each.file] = read(client, Path(each.file)).text
            except FileError:
                continue  # writing it says so
    return texts


def move(
    machine: Machine, changes: Changes, access: Access, record: TakenOver, texts: Mapping[str, str]
) -> tuple[TakenOver, list[Done]]:
    """Point the entries to us that aren't yet; `texts` are the files as they were before the workload was stopped there.

    One that can't be changed is reported, not raised. The record then has the way back.
    """
    kept: list[Entry] = []
    done: list[Done] = []
    for file, entries in _by_file(record.entries):
        client = BY_NAME.get(entries[0].client)
        if client is None or all(each.moved for each in entries):
            kept += entries
            continue
        made, result = _move_file(machine, changes, access, record, client, entries, texts.get(file))
        kept += made
        done.append(result)
    return replace(record, entries=tuple(kept)), done


def _by_file(entries: Iterable[Entry]) -> Iterable[tuple[str, Sequence[Entry]]]:
    """The entries of each file, in the order of the first ones."""
    found: dict[str, list[Entry]] = {}
    for each in entries:
        found.setdefault(each.file, []).append(each)
    return found.items()


def _move_file(
    machine: Machine,
    changes: Changes,
    access: Access,
    record: TakenOver,
    client: Client,
    entries: Sequence[Entry],
    original: str | None,
) -> tuple[Sequence[Entry], Done]:
    file = Path(entries[0].file)
    stdio = not is_own(machine, client, file)  # no key in a project's file
    wanted = portable(access, machine.which) if stdio else access
    bases: list[tuple[str, str]] = []  # of each call: from what, to what

    def edit(text: str) -> str:
        base = _base(client, text, original, entries)
        made = base
        for each in entries:
            there = edits.servers(client, made).get(each.name)
            if there is None or points_at(there, record.client_url):
                made = edits.put(client, made, each.name, moved(client, wanted, there or each.before, stdio=stdio))
        if made != text:
            bases.append((base, made))
        return made

    try:
        kept_original = original if original is not None and _taken_out(client, file, original, entries) else None
        written = write(changes, client, file, edit, original=kept_original)
        left = [each.name for each in entries if not _is_ours(client, file, each.name, access.name)]
    except (FileError, EditError, OSError) as error:
        return entries, Done(client.title, problem=_failed(machine, client, file, error))
    if written is Written.OVERWRITTEN:
        return entries, Done(client.title, problem=overwritten_text(client))
    if left:
        return entries, Done(client.title, problem=_left_text(machine, client, file, left[0]))
    refusals.forget(machine, client, [each.name for each in entries])
    patch = _patch(client, record, entries, bases)
    return [replace(each, moved=True, patch=patch) for each in entries], Done(
        client.title, client.restart, note=running_text(client)
    )


def _base(client: Client, text: str, original: str | None, entries: Sequence[Entry]) -> str:
    """The text to edit. If the other program took its entries out of a file when it stopped, that's the one before."""
    known = edits.servers(client, text)
    names = [each.name for each in entries]
    if original is None or all(name in known for name in names):
        return text
    return original if edits.differ_only_in(client, original, text, names) else text


def _taken_out(client: Client, file: Path, original: str, entries: Sequence[Entry]) -> bool:
    return _base(client, read(client, file).text, original, entries) == original


def _is_ours(client: Client, file: Path, name: str, workload: str) -> bool:
    return seen(name, edits.servers(client, read(client, file).text).get(name)).proxied == workload


def _patch(
    client: Client, record: TakenOver, entries: Sequence[Entry], bases: Sequence[tuple[str, str]]
) -> Patch | None:
    """The way back to the text before; None if its entries were no longer in it."""
    if not bases:
        return None
    before, after = bases[0]
    known = edits.servers(client, before)
    if not all(points_at(known.get(each.name), record.client_url) for each in entries):
        return None
    return Patch.between(before, after)


# --- back ------------------------------------------------------------------------------------------------------------


def put_back(machine: Machine, changes: Changes, name: str, record: TakenOver) -> list[Done]:
    """Restore the entries for `name`: byte for byte, if the file hasn't changed since."""
    done = []
    for file, found in _by_file(record.entries):
        entries = [each for each in found if each.moved]
        client = BY_NAME.get(entries[0].client) if entries else None
        if client is not None:
            done.append(_put_back_file(machine, changes, name, record, client, Path(file), entries))
    return [each for each in done if each is not None]


def _put_back_file(
    machine: Machine,
    changes: Changes,
    name: str,
    record: TakenOver,
    client: Client,
    file: Path,
    entries: Sequence[Entry],
) -> Done | None:
    """What was done; None if there was nothing to do."""
    try:
        left = _left_alone(client, read(client, file).text, name, record, entries)
        written = write(changes, client, file, _back(client, name, entries))
    except (FileError, EditError, OSError) as error:
        return Done(client.title, problem=_failed(machine, client, file, error), again=str(file))
    if written is Written.OVERWRITTEN:
        return Done(client.title, problem=overwritten_text(client), again=str(file))
    if left:
        return Done(client.title, problem=_left_text(machine, client, file, left[0]))
    return Done(client.title, client.restart, note=running_text(client)) if written is Written.CHANGED else None


def _back(client: Client, name: str, entries: Sequence[Entry]) -> Edit:
    def edit(text: str) -> str:
        patch = entries[0].patch
        if patch is not None and (before := patch.undone(text)) is not None:
            return before
        for each in entries:
            known = edits.servers(client, text)
            if (there := _ours(known, each.name, name)) is None:
                continue
            if there != each.name:
                if each.name in known:
                    continue
                text = edits.drop(client, text, there)
            text = edits.put(client, text, each.name, moved_back(client, known[there], each.before))
        return text

    return edit


def _ours(known: Mapping[str, Any], entry: str, workload: str) -> str | None:
    """Our entry in the place of theirs: under its name, or under the workload's after that was renamed."""
    ours = [each.name for each in own_entries(known, (workload,))]
    return next((each for each in (entry, workload) if each in ours), None)


def _left_alone(client: Client, text: str, name: str, record: TakenOver, entries: Sequence[Entry]) -> list[str]:
    """Entries that a person has changed or removed since; they stay that way."""
    known = edits.servers(client, text)
    return [
        each.name
        for each in entries
        if _ours(known, each.name, name) is None and not points_at(known.get(each.name), record.client_url)
    ]


def _left_text(machine: Machine, client: Client, file: Path, name: str) -> str:
    return f"{client.title} ({short(file, machine.home)}): {name} has changed since, so it was left as it is."


def _failed(machine: Machine, client: Client, file: Path, error: Exception) -> str:
    place = short(file, machine.home)
    reason = str(error).removeprefix(f"{file}: ").replace(str(file), place).rstrip(".")
    return f"{client.title} ({place}) wasn't updated: {reason}."


def restarts(done: Iterable[Done]) -> str:
    """What to do so that clients pick up the change; whose each sentence is, where they differ."""
    changed = [each for each in done if not each.problem]
    titles: dict[str, list[str]] = {}  # by what to do
    for each in changed:
        if each.restart and each.title not in titles.setdefault(each.restart, []):
            titles[each.restart].append(each.title)
    hints = list(titles) if len(titles) == 1 else [_named(hint, clients) for hint, clients in titles.items()]
    return " ".join(dict.fromkeys((*hints, *(each.note for each in changed if each.note))))


def _named(hint: str, titles: Sequence[str]) -> str:
    """The hint with its clients' titles, unless it says where."""
    if hint.startswith("In ") or any(title in hint for title in titles):
        return hint
    return f"In {joined(titles)}, {hint[0].lower()}{hint[1:]}"
