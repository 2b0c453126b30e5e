"""Interpreter of effects: calls the adapters and turns their results into events. Decides nothing.

Every effect that has an answer answers by exactly one event, whatever goes wrong (M13): adapters promise not to raise,
but that promise is not relied on. state.db may fail or hang without delaying anything for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, assert_never

from trayapp.core import deadlines, machine
from trayapp.core.classify import classify
from trayapp.core.messages import (
    Abandon,
    CheckStored,
    CloseIntent,
    Discard,
    Done,
    Effect,
    Finished,
    Forget,
    KeyringDown,
    Load,
    Loaded,
    LoginMissing,
    Note,
    NotStored,
    Probe,
    ProbeOk,
    ReadConfiguration,
    Save,
    Send,
    Store,
    Stored,
    Unreachable,
)
from trayapp.core.model import Login, Phase, Problem, Saved, Trigger, Trouble
from trayapp.core.outcomes import Ambiguous, Answer, NotSent, Outcome, ServerBusy
from trayapp.core.quirks import provider_of
from trayapp.engine.guards import from_keyring
from trayapp.engine.paths import Paths, server_at, server_of
from trayapp.engine.ports import Adapters, EffectHost, StoredLogin
from trayapp.engine.removals import Removals
from trayapp.engine.roster import SLICE

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOKS = 500  # workloads of one step of the loop that are only looked at
GATE_POLL = 1.0  # s between two checks of a gate that holds an attempt back
RECORD_LIMIT = 5.0  # s that an attempt waits for state.db: a disk that hangs must not end all refreshing


class EffectRunner:
    """The one place where effects are carried out, on the engine's loop."""

    def __init__(self, engine: EffectHost, adapters: Adapters) -> None:
        self._engine = engine
        self._adapters = adapters
        self.paths = Paths()
        self.removals = Removals(engine, adapters)
        self.on_slots_read: Callable[[str, StoredLogin], None] = lambda name, stored: None
        self.before_reading: Callable[[str], Awaitable[Trouble | None]] | None = None  # of the login of a workload
        self._attempts: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.refreshes: Counter[tuple[str, str, str]] = Counter()  # by workload, outcome and trigger, since the start

    def perform(self, name: str, effect: Effect) -> None:
        """Begin one effect of this workload. Returns immediately; what takes time runs in a task."""
        match effect:
            case Load(prompt=prompt):
                self._engine.task(f"load {name}", self._load(name, prompt))
            case Probe(attempt=number, prompt=prompt):
                self._attempt(name, number, self._probe(name, number, prompt))
            case Send(attempt=number, login=login):
                self._attempt(name, number, self._send(name, number, login))
            case Abandon(attempt=number):
                if (task := self._attempts.get((name, number))) is not None:
                    task.cancel()
            case Store(login=login, settles=settles):
                self._begin_needed(f"store {name} #{login.generation}", self._store(name, login, settles))
            case CheckStored(login=login):
                self._engine.task(f"check the login of {name}", self._check_stored(name, login))
            case CloseIntent(fingerprint=fingerprint):
                self._record(f"close intent {name}", self._adapters.journal.close_intent(name, fingerprint))
            case Save():
                saved = machine.saved(self._engine.workloads[name], self._engine.now())
                self._record(f"save {name}", self._adapters.journal.save(name, self.removals.saved(name, saved)))
            case Note():
                self.write_note(name, effect)
            case Discard(login=login, revoke=revoke):
                self._begin_needed(f"discard {name}", self.removals.discard(name, login, revoke=revoke))
            case Forget(login=login, revoke=revoke):
                self._begin_needed(f"forget {name}", self._forget(name, login, revoke))
            case Done():
                self._engine.finished(name)
            case ReadConfiguration():
                self._engine.read_configuration()
            case _:
                assert_never(effect)

    def _attempt(self, name: str, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Run one step of an attempt as a task that `Abandon` can cancel."""
        key = (name, number)
        task = self._engine.task(f"refresh {name} #{number}", work)
        self._attempts[key] = task
        task.add_done_callback(lambda done: self._attempts.pop(key) if self._attempts.get(key) is done else None)

    def _begin_needed(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` as a task that a quit waits for."""
        self._engine.task(what, work, needed=True)

    def _record(self, what: str, work: Awaitable[None]) -> None:
        """Write to state.db; a failure is logged and has no other consequence."""
        self._begin_needed(what, self._from_journal(what, work, None))

    async def _from_journal(self, what: str, work: Awaitable[T], otherwise: T) -> T:
        """What state.db answers within `RECORD_LIMIT`, else `otherwise`. No login is lost: those are in the keyring."""
        try:
            async with asyncio.timeout(RECORD_LIMIT):
                return await work
        except TimeoutError:
            log.warning("%s: state.db is not responding", what)
        except Exception:
            log.exception("%s failed", what)
        return otherwise

    async def _load(self, name: str, prompt: bool) -> None:
        """Read the login from the keyring, then what state.db remembers of the workload."""
        what = f"load {name}"
        stored = await self._read(name, what, prompt=prompt)
        if isinstance(stored, Trouble):
            known = await self._from_journal(what, self._adapters.journal.load(name), Saved())
            self._engine.apply(name, KeyringDown(self._engine.now(), stored, saved=known))
            return
        self.on_slots_read(name, stored)
        saved, login = await self._from_journal(what, self._adapters.journal.load(name), Saved()), stored.login
        word = self.removals.word(name) or saved.discard
        if word and not self.removals.replaced(name, login, word):  # it was given up behind a locked keyring
            if (trouble := await self.removals.complete(name, login, word)) is not None:
                self._engine.apply(name, KeyringDown(self._engine.now(), trouble))
                return
            saved, login = Saved(paused=saved.paused), None
        self._engine.apply(name, Loaded(self._engine.now(), login, saved, self._engine.next_serial(), prompt))

    async def _read(self, name: str, what: str, *, prompt: bool) -> StoredLogin | Trouble:
        """What the keyring holds, once what has to come before has been done."""
        if self.before_reading is not None and (trouble := await self.before_reading(name)) is not None:
            return trouble
        return await from_keyring(what, self._adapters.keystore.load(name, prompt=prompt))

    async def _probe(self, name: str, number: int, prompt: bool) -> None:
        """Prove that the keyring can be written, record the intent, and wait for the gate."""
        what = f"probe {name} #{number}"
        login = self._engine.workloads[name].login
        trouble = await from_keyring(what, self._adapters.keystore.probe(name, prompt=prompt))
        if trouble is not None or login is None:
            self._engine.apply(name, KeyringDown(self._engine.now(), trouble or Trouble.FAILED, number))
            return
        intent = self._adapters.journal.intent(name, login, number, self._engine.now().wall)
        if not await self._from_journal(what, intent, False):
            log.warning("the intent of %s #%d could not be recorded", name, number)
        await self._until_open(name)
        self._engine.apply(name, ProbeOk(self._engine.now(), number))

    async def _until_open(self, name: str) -> None:
        """Wait for the gate once more (M10): while keyring and disk took their time, the network may have changed or a sleep
        been announced."""
        while (w := self._engine.workloads.get(name)) is not None:
            at, manual = self._engine.now().at, w.last_trigger is Trigger.MANUAL
            opens = deadlines.open_at(w, self._engine.gate, at, manual=manual)
            if opens is not None and opens <= at:
                return
            await self._adapters.clock.sleep(GATE_POLL if opens is None else min(opens - at, GATE_POLL))

    async def _send(self, name: str, number: int, login: Login) -> None:
        """One refresh request; its outcome, even that of an unexpected exception, comes back as `Finished`."""
        outcome: Outcome
        began = self._engine.now().at
        try:
            outcome = await self._refresh(name, login)
        except Exception:  # M13: the request may have left, and nothing proves that it did not
            log.exception("attempt %s #%d failed unexpectedly", name, number)
            outcome = Ambiguous(Problem("internal", "Something unexpected went wrong; the log has the details."))
        now, jitter, serial = self._engine.now(), self._adapters.clock.jitter(), self._engine.next_serial()
        self._engine.apply(name, Finished(now, number, login.fingerprint(), login.lineage, outcome, jitter, serial))
        server = server_at(login.token_endpoint)
        if self.paths.tried(server, outcome, now.at) and isinstance(outcome, NotSent):
            await self._tell_others(name, server, Unreachable(now, outcome, began, jitter))

    async def _tell_others(self, name: str, server: str, event: Unreachable) -> None:
        """Let the server's other workloads know, in slices, that there is no way to it: they need not try it (M8)."""
        told = 0
        with self.paths.telling(server):
            for number, other in enumerate(list(self._engine.workloads), 1):
                w = self._engine.workloads.get(other)
                if other != name and w is not None and w.phase is Phase.WAITING and server_of(w) == server:
                    self._engine.apply(other, event)
                    told += 1
                if told == SLICE or number % LOOKS == 0:
                    told = 0
                    await asyncio.sleep(0)
        self._engine.wake()  # passes in between began nothing at this server

    async def _refresh(self, name: str, login: Login) -> Outcome:
        """One request and its outcome. An answer from beyond this machine opens the gate, unless it is a portal's."""
        w = self._engine.workloads[name]
        policy = w.spec.policy
        limit = deadlines.attempt_limit(login, policy)
        reply = await self._adapters.tokens.refresh(
            login, limit=limit, connect=policy.connect_limit, in_doubt=w.maybe_spent
        )
        outcome = classify(reply, provider_of(login.token_endpoint), self._engine.now().wall)
        portal = isinstance(outcome, ServerBusy) and outcome.portal
        if isinstance(reply, Answer) and not portal and not w.loopback:
            self._engine.answered()
        return outcome

    async def _store(self, name: str, login: Login, settles: str) -> None:
        """Write a new login to the keyring, then close its intent; `settles` is the fingerprint of the spent token."""
        what = f"store {name} #{login.generation}"
        trouble = await from_keyring(what, self._adapters.keystore.store(name, login))
        if trouble is not None:
            self._engine.apply(name, NotStored(self._engine.now(), login.generation, login.lineage, trouble))
            return
        await self._from_journal(what, self._adapters.journal.close_intent(name, settles, login.generation), None)
        self.removals.stored(name)
        self._engine.apply(name, Stored(self._engine.now(), login.generation, login.lineage))

    async def _check_stored(self, name: str, login: Login) -> None:
        """Report a login that the keyring no longer has. One that can't be read now is looked for next time."""
        what = f"look for the login of {name}"
        if await from_keyring(what, self._adapters.keystore.holds(name, login)) is False:
            log.warning("the keyring no longer has the login of %s: it was replaced or reset", name)
            self._engine.apply(name, LoginMissing(self._engine.now(), login.generation, login.lineage))

    async def _forget(self, name: str, login: Login | None, revoke: bool) -> None:
        """Discard the login, erase the workload from state.db, and report it as removed."""
        await self.removals.discard(name, login, revoke=revoke)
        await self._from_journal(f"forget {name}", self._adapters.journal.forget(name), None)
        await self.removals.forgotten(name)
        self._engine.removed(name)

    def forget(self, name: str) -> None:
        """The workload was removed: its counters go too."""
        for key in [key for key in self.refreshes if key[0] == name]:
            del self.refreshes[key]

    def write_note(self, name: str, note: Note) -> None:
        """Write one row of history with the current status. Attempts are counted."""
        if note.kind == "attempt":
            self.refreshes[name, note.outcome, str(note.trigger)] += 1
        view = self._engine.view_of(name)
        status, detail = (view.status.value, view.auth.detail.value) if view else ("", "")
        wall = self._engine.now().wall
        self._record(f"note {name}", self._adapters.journal.note(name, wall, note, status, detail))
