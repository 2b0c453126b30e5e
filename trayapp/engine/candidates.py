"""New logins that wait for a person's agreement, for ten minutes, and what becomes of those that don't get it.

A declined login is deleted from its slot. It is revoked only if it's known to be another account's than every login that
stays: some servers revoke all that a user gave a client, so with the same account the login that stays would end as well.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from trayapp.core.model import Login, Spec
from trayapp.engine.guards import from_keyring, revoked
from trayapp.engine.ports import Adapters, EngineCore, NewLogin, StoredLogin

log = logging.getLogger(__name__)

CANDIDATE_LIFE = 600.0  # s in which a candidate may be accepted


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A login, until when (`at`) it may be accepted, and what was configured when it was made."""

    new: NewLogin
    until: float
    spec: Spec


class Candidates:
    """One per workload at most, on the engine's loop."""

    def __init__(self, engine: EngineCore, adapters: Adapters) -> None:
        self._engine = engine
        self._adapters = adapters
        self._pending: dict[str, Candidate] = {}
        self.considering: set[str] = set()  # sign-ins whose login is in a slot already, and not decided about

    def offer(self, name: str, new: NewLogin, spec: Spec) -> None:
        """Keep it for a person to accept, instead of the one that waited before."""
        self.drop(name, kept=new.login)
        candidate = self._pending[name] = Candidate(new, self._engine.now().at + CANDIDATE_LIFE, spec)
        self._engine.task(f"offer a login of {name}", self._until_declined(name, candidate))

    def take(self, name: str) -> Candidate | None:
        """The one that waits, to be used or dropped; None if there is none, or its time is over."""
        found = self._pending.get(name)
        if found is None or self._engine.now().at > found.until:
            return None
        return self._pending.pop(name)

    def drop(self, name: str, kept: Login | None = None) -> None:
        """Nobody will accept it any more: `kept` is the login that takes its place."""
        if (found := self._pending.pop(name, None)) is not None:
            self.decline(name, found.new.login, kept)

    def decline(self, name: str, login: Login, kept: Login | None = None) -> None:
        """Delete it from its slot, and revoke it if that can't end another login."""
        staying = tuple(w.login for w in self._engine.workloads.values() if w.login is not None)
        staying = (*staying, kept) if kept is not None else staying
        self._engine.task(f"decline a login of {name}", self._discard(name, login, _is_alone(login, staying)))

    def found(self, name: str, stored: StoredLogin) -> None:
        """The slots were read for the first time: a candidate of an earlier run can't be accepted any more."""
        w, left = self._engine.workloads.get(name), stored.candidate
        if left is None or w is None or w.slots_read or w.login is not None:
            return
        if name in self._pending or name in self.considering:
            return
        self.decline(name, left, stored.login)

    async def _until_declined(self, name: str, candidate: Candidate) -> None:
        while (left := candidate.until - self._engine.now().at) >= 0.0 and self._pending.get(name) is candidate:
            await self._adapters.clock.sleep(left + 1.0)
        if self._pending.get(name) is candidate:
            self.drop(name)

    async def _discard(self, name: str, login: Login, revoke: bool) -> None:
        work = self._adapters.keystore.discard_candidate(name, login)
        trouble = await from_keyring(f"deleting the declined login of {name}", work)
        if trouble is not None:
            log.warning("%s: its declined login could not be deleted from the keyring (%s)", name, trouble)
        if revoke and not await revoked(self._adapters.tokens, login):
            log.warning("%s: the server did not confirm that the declined login is revoked", name)


def _is_alone(login: Login, staying: tuple[Login, ...]) -> bool:
    """Whether none of the logins that stay may be of the same account and client, so that none can end with this one."""
    related = [
        each for each in staying if (each.token_endpoint, each.client_id) == (login.token_endpoint, login.client_id)
    ]
    return bool(login.subject and related) and all(each.subject and each.subject != login.subject for each in related)
