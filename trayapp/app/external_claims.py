"""Claims on other programs' workloads: one action at a time for each, or a login gets two owners.

A claim belongs to whoever made it, and nobody else ends it. It lasts until everything that was asked under it has ended
in its thread, even if nobody waits for that any more; a restart's lasts until it shows. Claims outlive the watch of their
program, which a setting may end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from trayapp.core.external import ExternalWorkload, status_of
from trayapp.core.model import Problem
from trayapp.core.snapshot import Status
from trayapp.system.worker import HangingError

BUSY, HANGING = "busy", "hanging"  # kinds of problems; what hangs may still be done

EFFECT_LIMIT = 30.0  # s for which a restart without an effect is shown

PASSING = frozenset({Status.STARTING, Status.STOPPING, Status.STOPPED})  # on the way from before a restart to after it


class Claim:
    """A claim on one workload. `doing` is shown in its row. `before`, its state before a restart, and `effect`, that
    the restart was asked for, may be set in a thread."""

    def __init__(self, doing: str, before: tuple[str, float], *, restarts: bool) -> None:
        self.doing = doing
        self.before = before
        self.effect = False
        self.restarts = restarts
        self.held = True  # by whoever made it
        self.until: float | None = None  # on the loop's clock: by when a restart that was asked for has to show
        self.jobs: set[object] = set()  # what runs in threads

    def is_over(self) -> bool:
        return not self.held and not self.jobs and (self.until is None or _now() >= self.until)

    def has_shown(self, found: ExternalWorkload | None, read_at: float) -> bool:
        """Whether the restart shows: a different state that lasts. A reading from before it ended says nothing."""
        if found is None or self.until is None or read_at < self.until - EFFECT_LIMIT:
            return False
        return status_of(found.word) not in PASSING and (found.word, found.since) != self.before


class Claims:
    """One program's claims, by its own names for workloads. Belongs to the engine's loop; `changed` is called after one has ended."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._by_name: dict[str, Claim] = {}

    def get(self, name: str) -> Claim | None:
        """The claim on it, if there is one."""
        claim = self._by_name.get(name)
        return None if claim is None or claim.is_over() else claim

    def make(self, name: str, doing: str, before: tuple[str, float], *, restarts: bool = False) -> Claim | Problem:
        """Claim it until `release`; a problem if it's already claimed."""
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
        """While a job runs under it. The job calls what this yields when it ends, in its thread: whoever waited for it may
        be gone."""
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
        """Seconds until each restart that doesn't show yet is given up."""
        return [each.until - _now() for each in self._by_name.values() if each.until is not None]

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def seen(self, workloads: Mapping[str, ExternalWorkload], read_at: float) -> None:
        """End the claims that these workloads, read from that instant on, show to be done; none if the program can't be
        read. The caller shows what has changed."""
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
