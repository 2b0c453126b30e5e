"""What other programs are asked to do to their workloads: one thing at a time for each, or a login gets two owners.

A claim belongs to whoever made it, and nobody else ends it. It lasts until everything that was asked under it has ended
in its thread, also if nobody waits for that any more, and a restart's lasts until it shows. Claims outlive the watch of
their program, which a setting may end in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from trayapp.core.external import ExternalWorkload, status_of
from trayapp.core.model import Problem
from trayapp.core.snapshot import Status
from trayapp.system.worker import HangingError

BUSY, HANGING = "busy", "hanging"  # kinds of problems; what hangs may be done yet

EFFECT_LIMIT = 30.0  # s for which a restart is shown that has no effect

PASSING = frozenset({Status.STARTING, Status.STOPPING, Status.STOPPED})  # on the way from before a restart to after it


class Claim:
    """One workload's. `doing` is shown in its row. `before` and `effect` may be set in a thread: its state before a
    restart, and that this has been asked for."""

    def __init__(self, doing: str, before: tuple[str, float], *, restarts: bool) -> None:
        self.doing = doing
        self.before = before
        self.effect = False
        self.restarts = restarts
        self.held = True  # by whoever made it
        self.until: float | None = None  # of the loop's clock: how long a restart that was asked for may take to show
        self.jobs: set[object] = set()  # what is under way in threads

    def is_over(self) -> bool:
        return not self.held and not self.jobs and (self.until is None or _now() >= self.until)

    def has_shown(self, found: ExternalWorkload | None, read_at: float) -> bool:
        """Whether what was asked for is done: its state is another one that lasts. What was read before says nothing."""
        if found is None or self.until is None or read_at < self.until - EFFECT_LIMIT:
            return False
        return status_of(found.word) not in PASSING and (found.word, found.since) != self.before


class Claims:
    """Those of one program, by its own names. Belongs to the engine's loop; `changed` is called after one has ended."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._by_name: dict[str, Claim] = {}

    def get(self, name: str) -> Claim | None:
        """What is being done to it."""
        claim = self._by_name.get(name)
        return None if claim is None or claim.is_over() else claim

    def make(self, name: str, doing: str, before: tuple[str, float], *, restarts: bool = False) -> Claim | Problem:
        """Begin to do something to it, until `release`; a problem while anything else is being done."""
        if (other := self.get(name)) is not None:
            return Problem(BUSY, f"{name} is busy: {other.doing} Try again once it has finished.")
        claim = self._by_name[name] = Claim(doing, before, restarts=restarts)
        return claim

    def release(self, claim: Claim) -> None:
        """Nothing more is asked under it."""
        claim.held = False
        self._ended(claim)

    @contextlib.contextmanager
    def asked(self, claim: Claim) -> Iterator[Callable[[], None]]:
        """While something is asked under it. What is given is to be called at the end of that, in its thread: whoever
        waits for it may be gone by then."""
        loop, number = asyncio.get_running_loop(), object()
        claim.jobs.add(number)

        def end() -> None:
            claim.jobs.discard(number)
            if not claim.held:
                self._ended(claim)

        def end_in_thread() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(end)

        try:
            yield end_in_thread
        except (HangingError, asyncio.CancelledError):
            raise  # it still runs
        except BaseException:
            end()
            raise
        end()

    def waits(self) -> list[float]:
        """Seconds until those that wait for their effect are given up."""
        return [each.until - _now() for each in self._by_name.values() if each.until is not None]

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def seen(self, workloads: Mapping[str, ExternalWorkload], read_at: float) -> None:
        """The program's workloads are these, read from that instant on; empty, if it can't be read. The caller shows
        what has changed."""
        self._by_name = {
            name: claim
            for name, claim in self._by_name.items()
            if not claim.is_over() and not claim.has_shown(workloads.get(name), read_at)
        }

    def _ended(self, claim: Claim) -> None:
        if claim.effect and not claim.jobs and claim.until is None:
            claim.until = _now() + EFFECT_LIMIT
        if claim.is_over():
            self._by_name = {name: each for name, each in self._by_name.items() if each is not claim}
        self.changed()


def _now() -> float:
    return asyncio.get_running_loop().time()
