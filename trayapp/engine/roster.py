"""What the configuration names, against what there is: workloads are added, changed and dropped in slices of the loop.

A workload is taken up whole in one step, so no event ever meets half of one. While it lasts, nothing is published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from trayapp.core.model import Spec, Workload

SLICE = 16  # workloads changed in one step of the loop; then callers, sockets and the tray have their turn
TAKEN = 4 * SLICE  # the same where there is little to do for each: 3 ms. Fewer would delay the listening at the start


class Roster:
    """Brings the engine's workloads in line with the configuration, on its loop. One configuration after the other."""

    def __init__(
        self,
        workloads: Mapping[str, Workload],
        add: Callable[[Spec], None],
        change: Callable[[Spec], None],
        drop: Callable[[str], None],
    ) -> None:
        self._workloads = workloads
        self._add, self._change, self._drop = add, change, drop
        self._named: dict[str, Spec] = {}
        self._dropped: set[str] = set()  # named no longer, but not yet finished
        self._in_turn = asyncio.Lock()
        self._ended = False

    @property
    def busy(self) -> bool:
        """Whether only a part of the configuration has been taken so far."""
        return self._in_turn.locked()

    async def take(self, specs: Iterable[Spec]) -> None:
        """Take these workloads and drop all others; returns when that is done. What comes meanwhile waits for its turn.

        A workload that a person removes during that time stays removed, until a configuration names it again.
        """
        async with self._in_turn:
            self._named = {spec.name: spec for spec in specs}
            known = set(self._workloads)
            names = [*(name for name in self._workloads if name not in self._named), *self._named]
            for number, name in enumerate(names):
                if number and number % TAKEN == 0:
                    await asyncio.sleep(0)
                if self._ended:
                    return
                self._take(name, known=name in known)

    def _take(self, name: str, *, known: bool) -> None:
        w, spec = self._workloads.get(name), self._named.get(name)
        if w is None:
            if spec is not None and not known:
                self._add(spec)
        elif spec is None:
            self._dropped.add(name)
            self._drop(name)
        elif spec != (w.confirm or w.spec):
            self._change(spec)

    def is_dropped(self, name: str) -> bool:
        """Whether the configuration dropped this workload, which therefore ends once it has finished."""
        return name in self._dropped and not self._ended

    def removed(self, name: str) -> Spec | None:
        """It is gone. If the configuration dropped it and names it again, it has to begin anew: with this."""
        dropped = self.is_dropped(name)
        self._dropped.discard(name)
        return self._named.get(name) if dropped else None

    def end(self) -> None:
        """The program quits: take nothing more."""
        self._ended = True
