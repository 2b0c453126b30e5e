"""Two-slot storage of a login: the slot with the highest generation is never written (RULES.md section 4).

Blocking, and called from one thread only. Both slots are read before anything is decided: for a refresh before its token
is spent, because between the server's answer and the write no time may be lost to reading. A read error is never taken
for absence: it is raised. What this run has seen is remembered, so that a keyring that answers with an older value than
before can't make us overwrite the newest login.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trayapp.core.model import Login
from trayapp.engine.ports import StoredLogin
from trayapp.vault import slots
from trayapp.vault.slots import DamagedError, RefusalError, Slot

log = logging.getLogger(__name__)

LETTERS = "ab"  # of the two slots
PREPARED_FOR = 60.0  # s for which slots count as they were read; an attempt that waits longer reads them again


class Vault(Protocol):
    """A keyring that was accepted (`vaults.py`). Every method may block and may raise anything."""

    name: str  # for people
    limit: int | None  # longest entry, in characters
    prompt: bool  # whether a person asked, so that a dialog may appear

    def get(self, service: str, user: str) -> str | None: ...

    def set(self, service: str, user: str, value: str) -> None: ...

    def delete(self, service: str, user: str) -> None: ...

    def locked(self) -> bool | None:
        """Whether it is locked, found out without any dialog; None if that can't be seen."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _NewestSeen:
    """The newest login of a workload that this run has seen."""

    letter: str
    generation: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A slot as it was read at `at`, for the write that follows."""

    at: float
    slot: Slot


@dataclass(slots=True)
class LoginStore:
    """The slots of all workloads of one installation."""

    install: str
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, _NewestSeen] = field(default_factory=dict)
    _prepared: dict[tuple[str, str], _Prepared] = field(default_factory=dict)  # by name and letter
    _reported_damage: set[tuple[str, str, str]] = field(default_factory=set)

    def load(self, vault: Vault, name: str) -> StoredLogin:
        """What the keyring holds. Raises `RefusalError` if that is older than what it held before."""
        pair = self._read_slots(vault, name)
        if self._is_stale(name, pair):
            pair = self._read_slots(vault, name)
        if self._is_stale(name, pair):
            raise RefusalError(
                f"the keyring returned an older login of {name} than before;"
                " if you removed it there yourself, restart Amberlight"
            )
        held, candidate = slots.current(pair), slots.pending(pair)
        self._remember(name, held)
        return StoredLogin(held.login if held else None, candidate.login if candidate else None)

    def prepare(self, vault: Vault, name: str, letter: str) -> None:
        """Read a slot for a `write` soon after. Raises `RefusalError` if it must not be written."""
        slot, now = self._read_slot(vault, name, letter), self.clock()
        self._prepared = {key: read for key, read in self._prepared.items() if now - read.at < PREPARED_FOR}
        self._prepared[name, letter] = _Prepared(now, slot)

    def forget_prepared(self) -> None:
        """The keyring may be another one by now: read the slots again."""
        self._prepared.clear()

    def write(self, vault: Vault, name: str, login: Login, *, candidate: bool) -> None:
        """Write to the slot that doesn't hold the highest generation, header last, and read it back.

        What `prepare` has read isn't read again. Writing what is already stored does nothing. Raises `RefusalError` for a
        generation that isn't new, unless it is the newest login itself and the keyring has lost it.
        """
        pair = self._take_prepared(name) or self._read_slots(vault, name)
        if self._is_stale(name, pair):
            pair = self._read_slots(vault, name)
        newest = self._newest(name, pair)
        if self._is_stored(pair, newest, login, candidate):
            return
        if not candidate and self._is_lost(name, pair, login):
            held = slots.current(pair)
            newest = _newest_seen(held.letter, held.login) if held and held.login else None
        if newest is not None and login.generation <= newest.generation:
            raise RefusalError(
                f"generation {login.generation} of {name} isn't newer than {newest.generation}, which is stored"
            )
        slot = slots.target(pair, newest.letter if newest else None, login)
        self._write_slot(vault, name, slot, login, candidate)
        written = self._read_slot(vault, name, slot.letter)
        if written.login != login or written.candidate is not candidate:
            raise RefusalError(f"the keyring returned a different login of {name} than was written")
        if not candidate:
            self._remember(name, written)
        self._clear_leftovers(vault, name, written)

    def holds(self, vault: Vault, name: str, login: Login) -> bool:
        """Whether this login is stored, or a newer one. An answer that denies it is asked for twice."""
        found = any(self._has(self._read_slots(vault, name), login) for _ in range(2))
        if not found:
            self._take_prepared(name)  # that was read from the keyring of before
        return found

    def _has(self, pair: tuple[Slot, Slot], login: Login) -> bool:
        held = slots.current(pair)
        return held is not None and (held.login == login or held.rank[0] > login.generation)

    def erase_candidate(self, vault: Vault, name: str, login: Login) -> None:
        """Delete the slots that hold this login as a candidate; the current login's is never touched."""
        self._take_prepared(name)
        for slot in self._read_slots(vault, name):
            if slot.candidate and slot.login is not None and slot.login.lineage == login.lineage:
                self._clear_parts(vault, name, slot.letter, keep=0)
                _delete(vault, self._service(name, slot.letter), name)

    def erase(self, vault: Vault, name: str) -> None:
        """Delete both slots, the older one first: if interrupted, the newest login is what remains."""
        self._take_prepared(name)
        letters = "ab"
        try:
            held = slots.current(self._read_slots(vault, name))
        except RefusalError:
            held = None
        if held is not None and held.letter == "a":
            letters = "ba"
        for letter in letters:
            self._clear_parts(vault, name, letter, keep=0)
            _delete(vault, self._service(name, letter), name)
        self._seen.pop(name, None)

    def move(self, vault: Vault, name: str, new: str) -> None:
        """Make `new` the owner of the login of `name`, which has none afterwards.

        The slots of `name` are erased only once the login has been read back from those of `new`, so a move that was cut
        short loses nothing and can be made again. The caller knows of an unfinished move, and lets nobody use either
        name meanwhile. A login that a sign-in has stored under `new` since is newer, and stays.
        """
        pair = self._read_slots(vault, name)
        there = slots.current(self._read_slots(vault, new))
        for slot, candidate in ((slots.current(pair), False), (slots.pending(pair), True)):
            if slot is not None and slot.login is not None and not _is_newer(there, slot):
                self.write(vault, new, slot.login, candidate=candidate)
        self.erase(vault, name)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _service(self, name: str, letter: str, part: int = 0) -> str:
        """The keyring service of an entry. Each entry has its own, because the Windows vault rewrites neighbours of the
        same service."""
        return f"amberlight/{self.install}/{name}/{letter}" + (f"/{part}" if part else "")

    def _read_slots(self, vault: Vault, name: str) -> tuple[Slot, Slot]:
        a, b = (self._read_slot(vault, name, letter) for letter in LETTERS)
        return a, b

    def _take_prepared(self, name: str) -> tuple[Slot, Slot] | None:
        """Both slots as `prepare` has read them, once; None if they weren't, or too long ago."""
        read = [self._prepared.pop((name, letter), None) for letter in LETTERS]
        oldest = self.clock() - PREPARED_FOR
        match [each.slot for each in read if each is not None and each.at > oldest]:
            case [a, b]:
                return a, b
        return None

    def _read_slot(self, vault: Vault, name: str, letter: str) -> Slot:
        text = vault.get(self._service(name, letter), name)
        if text is None:
            return Slot(letter)
        try:
            header = slots.read_header(text)
            if header.place not in ("", _slot_place(name, letter)):
                # Not damage, which would be overwritten: the real entry may well hold the newest login.
                raise RefusalError(f"the keyring returned a different entry than slot {letter} of {name}")
            texts = tuple(vault.get(self._service(name, letter, part), name) for part in range(1, header.parts + 1))
            login = slots.read_login(header, texts)
        except DamagedError as reason:
            self._report_damage(name, letter, str(reason))
            return Slot(letter, damage=str(reason))
        return Slot(letter, login, header.candidate, parts=header.parts)

    def _report_damage(self, name: str, letter: str, reason: str) -> None:
        if (name, letter, reason) not in self._reported_damage:
            self._reported_damage.add((name, letter, reason))
            log.warning("Slot %s of %s in the keyring is damaged and will be overwritten: %s", letter, name, reason)

    # --- what this run knows -----------------------------------------------------------------------------------------

    def _remember(self, name: str, slot: Slot | None) -> None:
        if slot is not None and slot.login is not None:
            self._seen[name] = _newest_seen(slot.letter, slot.login)

    def _is_stale(self, name: str, pair: tuple[Slot, Slot]) -> bool:
        seen, held = self._seen.get(name), slots.current(pair)
        return seen is not None and (held is None or held.rank[0] < seen.generation)

    def _is_lost(self, name: str, pair: tuple[Slot, Slot], login: Login) -> bool:
        """Whether this is the newest login that this run has seen, and the keyring has lost it."""
        seen = self._seen.get(name)
        same = seen is not None and (seen.generation, seen.fingerprint) == (login.generation, login.fingerprint())
        return same and self._is_stale(name, pair)

    def _newest(self, name: str, pair: tuple[Slot, Slot]) -> _NewestSeen | None:
        """The newest of what was just read and what was seen before: the slot that must not be written.

        A slot that reads as damaged twice is no longer worth protecting from the next write.
        """
        seen, held = self._seen.get(name), slots.current(pair)
        if seen is not None and any(slot.letter == seen.letter and slot.damage for slot in pair):
            seen = None
        if held is None or held.login is None or (seen is not None and seen.generation > held.login.generation):
            return seen
        return _newest_seen(held.letter, held.login)

    def _is_stored(self, pair: tuple[Slot, Slot], newest: _NewestSeen | None, login: Login, candidate: bool) -> bool:
        """Whether exactly this was stored already, by a call whose answer was lost."""
        found = slots.pending(pair) if candidate else slots.current(pair)
        if found is None or found.login != login:
            return False
        return candidate or newest is None or newest.generation == login.generation

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write_slot(self, vault: Vault, name: str, slot: Slot, login: Login, candidate: bool) -> None:
        *parts, header = slots.encode(
            login, candidate=candidate, limit=vault.limit, place=_slot_place(name, slot.letter)
        )
        if not (slots.same_payload(slot, login) and slot.parts == len(parts)):
            for number, part in enumerate(parts, 1):
                vault.set(self._service(name, slot.letter, number), name, part)
        vault.set(self._service(name, slot.letter), name, header)

    def _clear_leftovers(self, vault: Vault, name: str, slot: Slot) -> None:
        """Delete old parts. The login is already safe, so a failure here is retried at the next write."""
        try:
            self._clear_parts(vault, name, slot.letter, keep=slot.parts)
        except Exception as error:  # noqa: BLE001 - keyrings raise anything
            log.debug("Old parts of slot %s of %s stay for now: %s", slot.letter, name, type(error).__name__)

    def _clear_parts(self, vault: Vault, name: str, letter: str, *, keep: int) -> None:
        """Delete what a longer login left behind. Nothing reads it, but it is a piece of a secret.

        The last part goes first, so that an interruption leaves no gap that would hide the rest.
        """
        if vault.limit is None:
            return
        last = keep
        while last < slots.MAX_PARTS and vault.get(self._service(name, letter, last + 1), name) is not None:
            last += 1
        for part in range(last, keep, -1):
            vault.delete(self._service(name, letter, part), name)


def _is_newer(there: Slot | None, slot: Slot) -> bool:
    """Whether what is there already is newer than this slot: by generation, or by time if another sign-in brought it."""
    if there is None or there.login is None or slot.login is None:
        return False
    if there.login.lineage == slot.login.lineage:
        return there.login.generation > slot.login.generation
    return there.login.obtained_at > slot.login.obtained_at


def _newest_seen(letter: str, login: Login) -> _NewestSeen:
    return _NewestSeen(letter, login.generation, login.fingerprint())


def _slot_place(name: str, letter: str) -> str:
    return f"{name}/{letter}"


def _delete(vault: Vault, service: str, user: str) -> None:
    """Delete an entry after looking for it: backends raise for a missing one, each in its own way."""
    if vault.get(service, user) is not None:
        vault.delete(service, user)
