"""Carries out effects: hands them to the adapters, and turns what comes back into events. Decides nothing.

Every effect that has an answer answers by exactly one event, whatever goes wrong (M13).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, assert_never

from trayapp.core import machine
from trayapp.core.classify import classify, quirk_for
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
    Store,
    Stored,
)
from trayapp.core.model import Login, Problem, Saved, Trouble
from trayapp.ports import Adapters, Found

if TYPE_CHECKING:
    from trayapp.engine import Engine

log = logging.getLogger(__name__)


class Performer:
    """The hands of the engine. Belongs to its loop."""

    def __init__(self, engine: Engine, adapters: Adapters) -> None:
        self._engine = engine
        self._out = adapters
        self._attempts: dict[tuple[str, int], asyncio.Task[None]] = {}

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
                self._engine.task(f"store {name} #{login.generation}", self._store(name, login, settles))
            case CloseIntent(fingerprint=fingerprint):
                self._engine.task(f"close intent {name}", self._out.journal.close_intent(name, fingerprint))
            case Save():
                self._engine.task(
                    f"save {name}",
                    self._out.journal.save(name, machine.saved(self._engine.workloads[name], self._engine.now())),
                )
            case Note():
                self.write(name, effect)
            case Discard(login=login, revoke=revoke):
                self._engine.task(f"discard {name}", self._discard(name, login, revoke))
            case Forget(login=login, revoke=revoke):
                self._engine.task(f"forget {name}", self._forget(name, login, revoke))
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

    async def _load(self, name: str, prompt: bool) -> None:
        found: Found | Trouble = Trouble.FAILED
        saved = Saved()
        try:
            found = await self._out.keystore.load(name, prompt=prompt)
            saved = await self._out.journal.load(name)
        except Exception:  # M13: whatever it is, the workload goes on waiting for its keyring
            log.exception("reading the login of %s failed", name)
            found = Trouble.FAILED
        if isinstance(found, Trouble):
            self._engine.apply(name, KeyringDown(self._engine.now(), found))
        else:
            self._engine.apply(name, Loaded(self._engine.now(), found.login, saved))

    async def _probe(self, name: str, number: int, prompt: bool) -> None:
        login = self._engine.workloads[name].login
        try:
            trouble = await self._out.keystore.probe(prompt=prompt)
        except Exception:
            log.exception("probing the keyring for %s failed", name)
            trouble = Trouble.FAILED
        if trouble is not None or login is None:
            self._engine.apply(name, KeyringDown(self._engine.now(), trouble or Trouble.FAILED, number))
            return
        if not await self._out.journal.intent(name, login, number, self._engine.now().wall):
            log.warning("the intent of %s #%d could not be recorded", name, number)
        self._engine.apply(name, ProbeOk(self._engine.now(), number))

    async def _send(self, name: str, number: int, login: Login) -> None:
        policy = self._engine.workloads[name].spec.policy
        provider = quirk_for(login.token_endpoint)
        outcome: Outcome
        try:
            reply = await self._out.tokens.refresh(login, limit=policy.attempt_limit, connect=policy.connect_limit)
            if isinstance(reply, Answer):
                self._engine.answered()
            outcome = classify(reply, provider, self._engine.now().wall)
        except Exception:  # M13: after the request may have left, nothing is proved
            log.exception("attempt %s #%d failed unexpectedly", name, number)
            outcome = Ambiguous(Problem("internal", "Something unexpected went wrong; the log has the details."))
        fingerprint = login.fingerprint()
        self._engine.apply(
            name,
            Finished(
                self._engine.now(),
                number,
                fingerprint,
                login.lineage,
                outcome,
                self._out.clock.jitter(),
                self._engine.serial(),
            ),
        )

    async def _store(self, name: str, login: Login, settles: str) -> None:
        try:
            trouble = await self._out.keystore.store(name, login)
        except Exception:
            log.exception("storing the login of %s failed", name)
            trouble = Trouble.FAILED
        if trouble is not None:
            self._engine.apply(name, NotStored(self._engine.now(), login.generation, login.lineage, trouble))
            return
        await self._out.journal.close_intent(name, settles, login.generation)
        self._engine.apply(name, Stored(self._engine.now(), login.generation, login.lineage))

    async def _discard(self, name: str, login: Login | None, revoke: bool) -> None:
        if revoke and login is not None and not await self._out.tokens.revoke(login):
            log.info("%s: the server did not confirm the revocation", name)
        if (trouble := await self._out.keystore.discard(name)) is not None:
            log.warning("%s: its login could not be deleted from the keyring (%s)", name, trouble)

    async def _forget(self, name: str, login: Login | None, revoke: bool) -> None:
        await self._discard(name, login, revoke)
        await self._out.journal.forget(name)
        self._engine.gone(name)

    def write(self, name: str, note: Note) -> None:
        """One row of history, with the status of this instant."""
        seen = self._engine.view_of(name)
        status, detail = (seen.status.value, seen.auth.detail.value) if seen else ("", "")
        wall = self._engine.now().wall
        self._engine.task(f"note {name}", self._out.journal.note(name, wall, note, status, detail))
