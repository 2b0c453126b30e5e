"""Logins that a person gave up, until the keyring has deleted them and their server has ended them.

A locked keyring deletes nothing: what is left to do is in state.db, and done once it can be, also after a restart. A
server that doesn't confirm a revocation (RFC 7009) is asked again for an hour, as long as the program runs: the token is
only in memory by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from trayapp.core import machine
from trayapp.core.model import Login, Phase, Saved, Trouble
from trayapp.core.snapshot import Removal
from trayapp.core.storing import keyring_retry_wait
from trayapp.engine.guards import from_keyring, revoked
from trayapp.engine.ports import Adapters, RemovalHost, StoredLogin
from trayapp.engine.tasks import first_of

log = logging.getLogger(__name__)

REVOKE_WAITS = (60.0, 240.0, 900.0, 2400.0)  # s between two requests; an hour in all
SHOWN_FOR = 60.0  # s that a login without a way to revoke it is shown
REVOKE, KEEP = "revoke", "keep"  # in state.db, before the lineage: whether its server is still to be told


@dataclass(frozen=True, slots=True)
class _Revocation:
    """A login that its server hasn't ended. `until` is wall time; None: there is no way to ask for it."""

    login: Login
    until: float | None


class Removals:
    """What is left to do for logins that were given up. On the engine's loop."""

    def __init__(self, engine: RemovalHost, adapters: Adapters) -> None:
        self._engine = engine
        self._adapters = adapters
        self._undeleted: dict[str, str] = {}  # by name: `REVOKE` or `KEEP`, and whose lineage, if that is known
        self._unrevoked: dict[str, _Revocation] = {}
        self._begun = False
        self._settled_early: set[str] = set()  # before that
        self._sleepers: set[asyncio.Event] = set()
        self.on_deleted: Callable[[str], Awaitable[object]] | None = None  # of a workload that is gone

    # --- for the engine ----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Continue with what the last run left undone."""
        for name, word in (await self._adapters.journal.undeleted()).items():
            if name not in self._undeleted and name not in self._settled_early:
                self._delete_later(name, word)
        self._begun = True
        self._settled_early.clear()
        self._publish()

    def keyring_up(self) -> None:
        """The keyring was unlocked, or it appeared."""
        for sleeper in self._sleepers:
            sleeper.set()

    def saved(self, name: str, saved: Saved) -> Saved:
        """What state.db is to keep of a workload, together with what is left to do for the login it had before."""
        return replace(saved, discard=self.word(name))

    def stored(self, name: str) -> None:
        """A newer login is in the keyring under this name, so that is no longer to be deleted."""
        self._settle(name)

    async def discard(self, name: str, login: Login | None, *, revoke: bool) -> None:
        """Delete the login, then end it: a slow server mustn't delete what a sign-in has stored meanwhile."""
        trouble = await self._deleted(name)
        if trouble is not None:
            log.warning("%s: its login could not be deleted from the keyring (%s)", name, trouble)
            self._delete_later(name, _word(REVOKE if revoke else KEEP, login))
            await self._record(name)
        if revoke and login is not None and await self._ended(name, login) and name in self._undeleted:
            self._undeleted[name] = _word(KEEP, login)
            await self._record(name)
        self._publish()

    def word(self, name: str) -> str:
        """What is left to do in the keyring, as this run knows it, even where state.db failed; empty if nothing is known."""
        return self._undeleted.get(name, "")

    def is_given_up(self, name: str, found: Login) -> bool:
        """Whether this is the login that waits to be deleted."""
        return bool(word := self.word(name)) and _is_about(word, found)

    def replaced(self, name: str, found: Login | None, word: str) -> bool:
        """Whether a newer login has taken the place of the one to be deleted: it was found there, or is being written.

        state.db may not know that yet, after a crash for example.
        """
        if found is not None and not _is_about(word, found):
            self.stored(name)
            return True
        w = self._engine.workloads.get(name)
        return w is not None and w.storing is not None

    async def complete(self, name: str, login: Login | None, word: str) -> Trouble | None:
        """Delete what should be gone, as the keyring can be read again; `login` is what it holds. None if that's done."""
        if (trouble := await self._deleted(name)) is not None:
            return trouble
        log.info("%s: the login that was given up is deleted from the keyring", name)
        self._settle(name)
        await self._record(name)
        if _to_revoke(word) and login is not None and name not in self._unrevoked:
            self._engine.task(f"revoke {name}", self._end(name, login))
        if self.on_deleted is not None and name not in self._engine.workloads:
            await self.on_deleted(name)
        return None

    async def forgotten(self, name: str) -> None:
        """state.db has erased the workload; what is left to do isn't part of it."""
        if name in self._undeleted:
            await self._record(name)

    def _settle(self, name: str) -> None:
        """Nothing is left to delete, whatever `begin` reads from state.db, which may be older."""
        if not self._begun:
            self._settled_early.add(name)
        if self._undeleted.pop(name, None) is not None:
            self._publish()

    # --- the keyring -------------------------------------------------------------------------------------------------

    def _delete_later(self, name: str, word: str) -> None:
        running = name in self._undeleted
        self._undeleted[name] = word
        if not running:
            self._engine.task(f"delete the login of {name}", self._until_deleted(name))

    async def _until_deleted(self, name: str) -> None:
        """Try again when the keyring returns, and after the same waits as any reading of it (M14)."""
        tries = 0
        while name in self._undeleted:
            await self._sleep(keyring_retry_wait(tries))
            tries += 1
            w = self._engine.workloads.get(name)
            if w is not None and (w.login is not None or w.phase is Phase.LOADING):
                continue  # the name is used again: its next reading deletes, its next write replaces
            found, word = await self._found(name), self._undeleted.get(name)
            if found is not None and word is not None and not self.replaced(name, found.login, word):
                await self.complete(name, found.login, word)

    async def _sleep(self, seconds: float) -> None:
        sleeper = asyncio.Event()
        self._sleepers.add(sleeper)
        try:
            await first_of(sleeper, self._adapters.clock.sleep(seconds))
        finally:
            self._sleepers.discard(sleeper)

    async def _found(self, name: str) -> StoredLogin | None:
        found = await from_keyring(f"reading the login of {name}", self._adapters.keystore.load(name))
        return None if isinstance(found, Trouble) else found

    async def _deleted(self, name: str) -> Trouble | None:
        return await from_keyring(f"discarding the login of {name}", self._adapters.keystore.discard(name))

    async def _record(self, name: str) -> None:
        """Write down what is left to do; a failure is logged and has no other consequence."""
        journal, w = self._adapters.journal, self._engine.workloads.get(name)
        try:
            if w is not None and w.phase is Phase.LOADING and w.after != "remove":  # it doesn't know yet what was saved
                await journal.save(name, self.saved(name, await journal.load(name)))
            elif w is not None and w.after != "remove":
                await journal.save(name, self.saved(name, machine.saved(w, self._engine.now())))
            elif name in self._undeleted:
                await journal.save(name, self.saved(name, Saved()))
            else:
                await journal.forget(name)
        except Exception:
            log.exception("what is left to delete of %s could not be recorded", name)

    # --- the server --------------------------------------------------------------------------------------------------

    async def _ended(self, name: str, login: Login) -> bool:
        """Whether the server has confirmed the revocation. If it hasn't, it's asked again."""
        if await revoked(self._adapters.tokens, login):
            return True
        log.warning("%s: its server did not confirm that the login is revoked", name)
        until = self._engine.now().wall + sum(REVOKE_WAITS) if login.revocation_endpoint else None
        revocation = self._unrevoked[name] = _Revocation(login, until)
        self._engine.task(f"revoke {name}", self._until_ended(name, revocation))
        return False

    async def _end(self, name: str, login: Login) -> None:
        await self._ended(name, login)
        self._publish()

    async def _until_ended(self, name: str, revocation: _Revocation) -> None:
        """Ask again, unless somebody has signed in under this name: some servers revoke all that the client was given."""
        for wait in REVOKE_WAITS if revocation.until is not None else (SHOWN_FOR,):
            await self._adapters.clock.sleep(wait)
            w = self._engine.workloads.get(name)
            if self._unrevoked.get(name) is not revocation or (w is not None and w.login is not None):
                break
            if revocation.until is not None and await revoked(self._adapters.tokens, revocation.login):
                log.info("%s: its server has revoked the login", name)
                break
        else:
            log.warning("%s: its login was not revoked, and may still be valid at its server", name)
        if self._unrevoked.get(name) is revocation:
            del self._unrevoked[name]
        self._publish()

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        names = sorted({*self._undeleted, *self._unrevoked})
        self._engine.set_app_fields(removals=tuple(self._removal(name) for name in names))

    def _removal(self, name: str) -> Removal:
        revocation, word = self._unrevoked.get(name), self._undeleted.get(name)
        return Removal(
            name=name,
            server=_server(revocation.login) if revocation else "",
            deleted=word is None,
            revoked=revocation is None and not _to_revoke(word or ""),
            until=revocation.until if revocation else None,
        )


def _word(word: str, login: Login | None) -> str:
    return word if login is None else f"{word} {login.lineage}"


def _is_about(word: str, found: Login) -> bool:
    return word.partition(" ")[2] in ("", found.lineage)


def _to_revoke(word: str) -> bool:
    return word.partition(" ")[0] == REVOKE


def _server(login: Login) -> str:
    """The host that knows the login."""
    return urlsplit(login.revocation_endpoint or login.issuer or login.token_endpoint).hostname or ""
