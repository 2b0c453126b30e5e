"""Carries out effects: hands them to the adapters, and turns what comes back into events. Decides nothing.

Every effect that has an answer answers by exactly one event, whatever goes wrong (M13): adapters promise not to raise,
and are not trusted in that. state.db may fail or hang, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, assert_never

from trayapp.core import deadlines, machine
from trayapp.core.classify import classify
from trayapp.core.messages import (
    Abandon,
    Ambiguous,
    Answer,
    CloseIntent,
    Discard,
    Done,
    Effect,
    Finished,
    Forget,
    KeyringDown,
    Load,
    Loaded,
    Note,
    NotStored,
    Outcome,
    Probe,
    ProbeOk,
    ReadConfiguration,
    Save,
    Send,
    ServerBusy,
    Store,
    Stored,
)
from trayapp.core.model import Login, Problem, Saved, Trigger, Trouble
from trayapp.core.quirks import provider_of
from trayapp.engine.ports import Adapters, EffectHost

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_AGAIN = 1.0  # s; between two looks at what holds an attempt back
RECORD_LIMIT = 5.0  # s; what state.db may take of an attempt's time: a disk that hangs must not end all refreshing


class EffectRunner:
    """The hands of the engine. Belongs to its loop."""

    def __init__(self, engine: EffectHost, adapters: Adapters) -> None:
        self._engine = engine
        self._out = adapters
        self._attempts: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.refreshes: Counter[tuple[str, str, str]] = Counter()  # since the start: workload, outcome, trigger

    def perform(self, name: str, effect: Effect) -> None:
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
                self._needed(f"store {name} #{login.generation}", self._store(name, login, settles))
            case CloseIntent(fingerprint=fingerprint):
                self._write(f"close intent {name}", self._out.journal.close_intent(name, fingerprint))
            case Save():
                saved = machine.saved(self._engine.workloads[name], self._engine.now())
                self._write(f"save {name}", self._out.journal.save(name, saved))
            case Note():
                self.write(name, effect)
            case Discard(login=login, revoke=revoke):
                self._needed(f"discard {name}", self._discard(name, login, revoke))
            case Forget(login=login, revoke=revoke):
                self._needed(f"forget {name}", self._forget(name, login, revoke))
            case Done():
                self._engine.finished(name)
            case ReadConfiguration():
                self._engine.read_configuration()
            case _:
                assert_never(effect)

    def _attempt(self, name: str, number: int, work: Coroutine[Any, Any, None]) -> None:
        key = (name, number)
        task = self._engine.task(f"refresh {name} #{number}", work)
        self._attempts[key] = task
        task.add_done_callback(lambda done: self._attempts.pop(key) if self._attempts.get(key) is done else None)

    def _needed(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """The end of the program waits for it."""
        self._engine.task(what, work, needed=True)

    def _write(self, what: str, work: Awaitable[None]) -> None:
        self._needed(what, self._recorded(what, work, None))

    async def _recorded(self, what: str, work: Awaitable[T], otherwise: T) -> T:
        """What state.db answers in time; else `otherwise`, and no login is lost by it."""
        try:
            async with asyncio.timeout(RECORD_LIMIT):
                return await work
        except TimeoutError:
            log.warning("%s: state.db does not answer", what)
        except Exception:
            log.exception("%s failed", what)
        return otherwise

    async def _kept(self, what: str, work: Awaitable[T]) -> T | Trouble:
        """What the keyring answers; its own thread watches the time."""
        try:
            return await work
        except Exception:
            log.exception("%s failed", what)
            return Trouble.FAILED

    async def _load(self, name: str, prompt: bool) -> None:
        what = f"load {name}"
        found = await self._kept(what, self._out.keystore.load(name, prompt=prompt))
        if isinstance(found, Trouble):
            self._engine.apply(name, KeyringDown(self._engine.now(), found))
            return
        saved = await self._recorded(what, self._out.journal.load(name), Saved())
        self._engine.apply(name, Loaded(self._engine.now(), found.login, saved))

    async def _probe(self, name: str, number: int, prompt: bool) -> None:
        what = f"probe {name} #{number}"
        login = self._engine.workloads[name].login
        trouble = await self._kept(what, self._out.keystore.probe(prompt=prompt))
        if trouble is not None or login is None:
            self._engine.apply(name, KeyringDown(self._engine.now(), trouble or Trouble.FAILED, number))
            return
        intent = self._out.journal.intent(name, login, number, self._engine.now().wall)
        if not await self._recorded(what, intent, False):
            log.warning("the intent of %s #%d could not be recorded", name, number)
        await self._until_open(name)
        self._engine.apply(name, ProbeOk(self._engine.now(), number))

    async def _until_open(self, name: str) -> None:
        """M10 once more: keyring or disk took their time, and by now sleep is imminent or the network another."""
        while (w := self._engine.workloads.get(name)) is not None:
            at, manual = self._engine.now().at, w.last_trigger is Trigger.MANUAL
            opens = deadlines.open_at(w, self._engine.gate, at, manual=manual)
            if opens is not None and opens <= at:
                return
            await self._out.clock.sleep(LOOK_AGAIN if opens is None else min(opens - at, LOOK_AGAIN))

    async def _send(self, name: str, number: int, login: Login) -> None:
        outcome: Outcome
        try:
            outcome = await self._asked(name, login)
        except Exception:  # M13: after the request may have left, nothing is proved
            log.exception("attempt %s #%d failed unexpectedly", name, number)
            outcome = Ambiguous(Problem("internal", "Something unexpected went wrong; the log has the details."))
        now, jitter, serial = self._engine.now(), self._out.clock.jitter(), self._engine.serial()
        self._engine.apply(name, Finished(now, number, login.fingerprint(), login.lineage, outcome, jitter, serial))

    async def _asked(self, name: str, login: Login) -> Outcome:
        w = self._engine.workloads[name]
        policy = w.spec.policy
        reply = await self._out.tokens.refresh(login, limit=policy.attempt_limit, connect=policy.connect_limit)
        outcome = classify(reply, provider_of(login.token_endpoint), self._engine.now().wall)
        portal = isinstance(outcome, ServerBusy) and outcome.portal
        if isinstance(reply, Answer) and not portal and not w.loopback:
            self._engine.answered()
        return outcome

    async def _store(self, name: str, login: Login, settles: str) -> None:
        what = f"store {name} #{login.generation}"
        trouble = await self._kept(what, self._out.keystore.store(name, login))
        if trouble is not None:
            self._engine.apply(name, NotStored(self._engine.now(), login.generation, login.lineage, trouble))
            return
        await self._recorded(what, self._out.journal.close_intent(name, settles, login.generation), None)
        self._engine.apply(name, Stored(self._engine.now(), login.generation, login.lineage))

    async def _discard(self, name: str, login: Login | None, revoke: bool) -> None:
        """Delete first: a sign-in that follows at once must not be deleted by a slow server's revocation."""
        if (trouble := await self._kept(f"discard {name}", self._out.keystore.discard(name))) is not None:
            log.warning("%s: its login could not be deleted from the keyring (%s)", name, trouble)
        if revoke and login is not None and not await self._revoked(login):
            log.info("%s: the server did not confirm the revocation", name)

    async def _revoked(self, login: Login) -> bool:
        try:
            return await self._out.tokens.revoke(login)
        except Exception:
            log.exception("revoking failed unexpectedly")
            return False

    async def _forget(self, name: str, login: Login | None, revoke: bool) -> None:
        await self._discard(name, login, revoke)
        await self._recorded(f"forget {name}", self._out.journal.forget(name), None)
        self._engine.gone(name)

    def write(self, name: str, note: Note) -> None:
        """One row of history, with the status of this instant. Attempts are counted."""
        if note.kind == "attempt":
            self.refreshes[name, note.outcome, str(note.trigger)] += 1
        seen = self._engine.view_of(name)
        status, detail = (seen.status.value, seen.auth.detail.value) if seen else ("", "")
        wall = self._engine.now().wall
        self._write(f"note {name}", self._out.journal.note(name, wall, note, status, detail))
