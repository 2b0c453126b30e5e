"""The invariants of the keyring: a usable login is always there, and the newest one gets there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.simulation import losses
from tests.simulation.truth import Truth, token_of
from trayapp.core.model import Workload

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class KeyringChecks:
    """What `Checks` knows of the keyring."""

    world: World
    truths: dict[str, Truth]

    def broken(self, name: str, rule: str, what: str) -> None:
        self.world.broke(name, rule, what)

    def writing(self, service: str) -> None:
        """An entry is about to change."""
        for truth in self._of(service):
            truth.usable = self._usable(truth)

    def wrote(self, service: str) -> None:
        """It changed."""
        for truth in self._of(service):
            if truth.usable and not self._usable(truth):
                self.broken(truth.name, "storage", "a write left no usable login in the keyring")

    def torn(self) -> None:
        """The machine stopped, perhaps between two entries."""
        for truth in self.truths.values():
            if truth.held != truth.stored and self.world.keyring.troubled and truth.stored in truth.doubts:
                truth.doubts[truth.stored].call.fate = losses.UNSTORABLE
            if truth.usable and not self._usable(truth) and truth.server.honours(truth.stored, self.world.clocks.t):
                self.broken(truth.name, "storage", "a torn write left no usable login in the keyring")

    def _of(self, service: str) -> Iterable[Truth]:
        parts = service.split("/")
        return (self.truths[name] for name in parts[2:3] if name in self.truths)

    def _usable(self, truth: Truth) -> bool:
        """Whether the login that a start would find is honoured. An older one does not count."""
        found = self.world.keyring.login(self.world.install, truth.name)
        return found is not None and truth.server.honours(token_of(found), self.world.clocks.t)

    def kept_in_memory(self, process: Process) -> None:
        """The keyring has worked long enough: no login may be in memory only."""
        for name, w in process.engine.workloads.items():
            if w.attempt is None and w.storing is None and self.in_memory_only(w):
                self.broken(name, "unsaved", "the keyring is well, and the newest login is in memory only")

    def in_memory_only(self, w: Workload) -> bool:
        """Whether the newest login is not in the keyring, whatever the program believes."""
        found = self.world.keyring.login(self.world.install, w.spec.name)
        return w.login is not None and (found is None or token_of(found) != token_of(w.login))
