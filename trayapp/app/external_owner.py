"""Watch one other program that keeps workloads signed in: when to read it, what it had last, what it was asked to do.

It is read in a thread with a time limit, so a disk or a program that hangs holds up nothing. It is read again when the
kernel reports a change of its files or the end of one of its processes, after it was asked to do something, and after a
time only where changes aren't reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Protocol, TypeVar

from trayapp.app.change_lines import ChangeLines
from trayapp.app.directory_changes import DirectoryChanges
from trayapp.app.external_claims import HANGING, Claim, Claims
from trayapp.core.external import (
    LOOK_EVERY,
    LOOK_EVERY_TROUBLED,
    NAME,
    ExternalWorkload,
    external_name,
    external_view,
    is_passing,
    look_after,
)
from trayapp.core.model import Problem
from trayapp.core.one_line import clean
from trayapp.core.snapshot import WorkloadView
from trayapp.external.owner import ExternalError, ExternalOwner, PendingError, Reading
from trayapp.osevents.process_ends import ProcessEnds
from trayapp.system.worker import ClosedError, HangingError, Worker, run_alone

log = logging.getLogger(__name__)

READ_LIMIT = 10.0  # s for reading it once
ACT_LIMIT = 45.0  # s for carrying out one action; a command waits for 60
BURST = 0.1  # s from a change to its reading: programs write several files together
BURST_MAX = 2.0  # s; the same while changes keep coming
GROWTH, GROWTH_NEW = 2.0, 1.5  # factors of that time, after a reading with nothing new and after one with something
LOOK_EVERY_DOING = 1.0  # s between two looks meanwhile, where changes aren't reported
KEPT = 60.0  # s for which workloads stay that can't be read any more
PROBLEMS_MAX = 20  # sentences about what can't be read
PROBLEM_MAX = 1000  # characters of one; it may have a path in it
SHOWN_MAX = 40  # characters of a bad name
ROUNDS = 3  # of reading it, until everything that belongs to it is watched

T = TypeVar("T")


class Threads(Protocol):
    """Where a program is read and asked. Both raise `HangingError` after a limit."""

    async def read(self, work: Callable[[], T]) -> T:
        """Run it after what was begun before. Raises `ClosedError` after the end."""
        ...

    async def ask(self, work: Callable[[], T]) -> T:
        """Run it beside everything else. After the limit, and if the caller is cancelled, it still runs to its end."""
        ...

    def end(self) -> None:
        """Read no more."""
        ...


class OwnThreads:
    """A thread that stays for reading, and one for each action."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._reader = Worker(f"read {title}", READ_LIMIT)

    async def read(self, work: Callable[[], T]) -> T:
        """See `Threads`."""
        return await self._reader.run(work)

    async def ask(self, work: Callable[[], T]) -> T:
        """See `Threads`."""
        return await run_alone(f"ask {self._title}", work, ACT_LIMIT)

    def end(self) -> None:
        """See `Threads`."""
        self._reader.end()


class WatchedOwner:
    """Belongs to the engine's loop. `show` is called when `views` have changed; `claims` may hold those of an earlier watch."""

    def __init__(
        self,
        owner: ExternalOwner,
        show: Callable[[], None],
        claims: Claims,
        threads: Threads | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.owner = owner
        self.views: Mapping[str, WorkloadView] = {}
        self.problems: tuple[str, ...] = ()
        self.has_read = False
        self.claims = claims
        claims.changed = self._claims_changed
        self._show = show
        self._threads = threads or OwnThreads(owner.title)
        self._hint = asyncio.Event()
        self._directories = DirectoryChanges(self._hint.set)
        self._ends = ProcessEnds(self._hint.set)
        self._ends_reported = True
        self._looking = asyncio.Lock()
        self._reading = Reading()
        self._failed_at: float | None = None  # since when it can't be read
        self._since: dict[str, tuple[tuple[str, float], float]] = {}  # each one's state, and since when (wall)
        self._asked_at: dict[str, float] = {}  # wall; when something was last done to it
        self._wall = wall
        self._looked_at = float("-inf")
        self._lines = ChangeLines()

    # --- looking -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = BURST
        while True:
            began = self._now()
            self._hint.clear()
            try:
                new = await self.look()
            except Exception as error:  # noqa: BLE001 - no mistake in showing it may end the watching
                new = False
                self._failed_at = self._now() if self._failed_at is None else self._failed_at  # it is read again soon
                self._log(logging.ERROR, "", f"Can't show {self.owner.title}'s workloads: {_where(error)}.")
            ended = self._now()
            if await self._hinted():
                pause = next_pause(pause, took=ended - began, rested=self._now() - ended, new=new)
                await asyncio.sleep(pause)

    async def _hinted(self) -> bool:
        """Wait until a look is due; whether something asked for it."""
        try:
            async with asyncio.timeout(self._next_look()):
                await self._hint.wait()
        except TimeoutError:
            return False
        return True

    def _next_look(self) -> float | None:
        """Seconds until a look is due by time alone; None: nothing but a change asks for one."""
        waits = self.claims.waits()
        if self.claims and not self._reported:
            waits.append(LOOK_EVERY_DOING)
        if self._failed_at is not None:
            waits.append(LOOK_EVERY_TROUBLED if self.views else LOOK_EVERY)
        elif self._reading.running and not self._reported:
            waits.append(look_after(self.views.values()))
        return max(0.0, min(waits)) if waits else None

    @property
    def _reported(self) -> bool:
        """Whether all of its changes are reported."""
        return self._reading.reports and self._directories.reported and self._ends_reported

    def passed(self) -> None:
        """The engine made a pass: while the program doesn't run, its start is looked for with those."""
        if not self._directories.reported and self._now() - self._looked_at >= LOOK_EVERY - 2 * BURST_MAX:
            self._hint.set()

    def machine_returned(self) -> None:
        """The machine woke, or its network is another: what isn't reported may have changed."""
        if not self._reported and self._reading.running:
            self._hint.set()

    async def look(self) -> bool:
        """Read it, and show what is new; whether anything was. Returns what a look found that began after the call."""
        async with self._looking:
            self._looked_at = self._now()
            try:
                return self._take(await self._threads.read(self._read))
            except ClosedError:
                return False
            except HangingError:
                return self._failed(f"Can't read {self.owner.title}'s workloads: it isn't responding.")
            except ExternalError as error:
                return self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - worth no more than a line in the log, without its texts
                return self._failed(f"Can't read {self.owner.title}'s workloads: {_where(error)}.")

    def _read(self) -> Reading:
        """In the worker's thread: once more if what has to be watched was not watched before."""
        found = self._read_once()
        for _ in range(ROUNDS):
            if not self._directories.watch(found.files):
                break
            found = self._read_once()
        if isinstance(found, ExternalError):
            raise found
        return found

    def _read_once(self) -> Reading | ExternalError:
        """A failure has files to watch, too (the previous ones, if it names none): it may be over when they change."""
        try:
            return self.owner.read()
        except ExternalError as error:
            error.files = error.files or self._reading.files
            return error

    def _take(self, reading: Reading) -> bool:
        if self._failed_at is not None:
            self._log(logging.INFO, "", f"{self.owner.title} can be read again")
        self._failed_at = None
        self._ends_reported = self._ends.watch(reading.processes)
        self._reading, self.has_read = reading, True
        self.claims.seen({each.name: each for each in reading.workloads}, self._looked_at)
        bad = [each.name for each in reading.workloads if not NAME.fullmatch(each.name)]
        names = [
            f"{self.owner.title} has a workload whose name can't be used here: {_shown(name)}." for name in bad[:1]
        ]
        return self._update((*reading.problems, *names))

    def _failed(self, sentence: str) -> bool:
        """What it had last stays for a while: the next look may succeed."""
        now = self._now()
        if self._failed_at is None:
            self._failed_at = now
        elif now - self._failed_at >= KEPT:
            self._reading, self.has_read = Reading(), False
        self.claims.seen({}, self._looked_at)
        return self._update((sentence,))

    def _update(self, problems: tuple[str, ...]) -> bool:
        """Make the views of the newest reading; unchanged ones stay the same objects."""
        problems = tuple(clean(sentence)[:PROBLEM_MAX] for sentence in problems[:PROBLEMS_MAX])
        for sentence in problems:
            if sentence not in self.problems:
                self._log(logging.WARNING, sentence, sentence)
        views: dict[str, WorkloadView] = {}
        for found in self._reading.workloads:
            if NAME.fullmatch(found.name) and external_name(self.owner.id, found.name) not in views:
                view = self._view(found)
                old = self.views.get(view.name)
                views[view.name] = old if old is not None and old == view else view
        unchanged = (problems, views) == (self.problems, self.views)
        for name, view in views.items():
            before = self.views.get(name)
            if before is None or before.external is None or before.external.word != _word(view):
                self._log(logging.INFO, name, f"{name} is {_word(view)}")
        for by_name in (self._since, self._asked_at):
            for name in [each for each in by_name if external_name(self.owner.id, each) not in views]:
                del by_name[name]
        self.problems, self.views = problems, views
        if not unchanged:
            self._show()
        return not unchanged

    def _log(self, level: int, about: str, sentence: str) -> None:
        if line := self._lines.line(about, sentence, self._now()):
            log.log(level, "%s", line)

    def _view(self, found: ExternalWorkload) -> WorkloadView:
        claim = self.claims.get(found.name)
        found = replace(found, since=self._dated(found))
        return external_view(
            self.owner.id, self.owner.title, found, self._reading.actions, claim.doing if claim else ""
        )

    def _dated(self, found: ExternalWorkload) -> float:
        """Since when it is like this: what the program says, unless that is nothing, to come or before what was seen
        last."""
        state, now = (found.word, found.since), self._wall()
        last, since = self._since.get(found.name, (None, 0.0))
        if last != state:
            since = max(since, self._asked_at.get(found.name, 0.0))
            since = found.since if since < found.since <= now else now
            self._since[found.name] = state, since
        return since

    def urls(self) -> dict[str, str]:
        """The servers' full addresses by the names of `views`; they may contain keys."""
        return {external_name(self.owner.id, each.name): each.url for each in reversed(self._reading.workloads)}

    # --- acting ------------------------------------------------------------------------------------------------------

    async def restart(self, name: str, doing: str, *, only_passing: bool = False) -> bool | Problem:
        """Have it restarted, in a thread; meanwhile and until that shows, its row says `doing`. `only_passing`: only if
        its login has failed for a temporary reason; False if it hasn't."""
        claim = self.claim(name, doing, restarts=True)
        if isinstance(claim, Problem):
            return claim
        try:
            return await self.restart_claimed(name, claim, only_passing=only_passing)
        finally:
            self.claims.release(claim)

    async def restart_claimed(self, name: str, claim: Claim, *, only_passing: bool = False) -> bool | Problem:
        """The same for whoever has the claim."""

        def restart(owner: ExternalOwner) -> bool:
            found = next((each for each in owner.read().workloads if each.name == name), None)
            if found is None:
                raise ExternalError(f"{owner.title} no longer has a workload named {name}.")
            if only_passing and not is_passing(external_view(owner.id, owner.title, found, ())):
                return False
            claim.before, claim.effect = (found.word, found.since), True
            try:
                owner.restart(name)
            except PendingError:
                raise
            except BaseException:
                claim.effect = False
                raise
            return True

        return await self.ask(restart, claim)

    async def ask(self, job: Callable[[ExternalOwner], T], claim: Claim | None = None) -> T | Problem:
        """Ask the program something, in a thread; with a claim to the workload, for what changes it."""
        try:
            return await self._ask(job, claim)
        except HangingError:
            return Problem(HANGING, f"{self.owner.title} isn't responding.")
        except PendingError as error:
            return Problem(HANGING, clean(error)[:PROBLEM_MAX])
        except ExternalError as error:
            return Problem("external", clean(error)[:PROBLEM_MAX])
        except Exception as error:  # noqa: BLE001 - the same
            log.warning("%s wasn't asked: %s", self.owner.title, _where(error))
            return Problem("external", f"The request to {self.owner.title} failed. See Amberlight's log.")

    async def _ask(self, job: Callable[[ExternalOwner], T], claim: Claim | None) -> T:
        if claim is None:
            return await self._threads.ask(lambda: job(self.owner))
        with self.claims.asked(claim) as ended:

            def work() -> T:
                try:
                    return job(self.owner)
                finally:
                    ended()

            return await self._threads.ask(work)

    def claim(self, name: str, doing: str, *, restarts: bool = False) -> Claim | Problem:
        """Claim a workload, whose row says `doing` until `claims.release`; a problem if it's busy."""
        found = next((each for each in self._reading.workloads if each.name == name), None)
        before = (found.word, found.since) if found else ("", 0.0)
        claim = self.claims.make(name, doing, before, restarts=restarts)
        if isinstance(claim, Claim):
            self._asked_at[name] = self._wall()
            self._update(self.problems)
        return claim

    def _claims_changed(self) -> None:
        self._update(self.problems)
        self._hint.set()

    def close(self) -> None:
        """Stop watching."""
        self._directories.close()
        self._ends.close()
        self._threads.end()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def next_pause(pause: float, *, took: float, rested: float, new: bool) -> float:
    """Seconds from a change to its reading, from the last one: how long it took, whether it found anything new, and how
    long nothing changed after it. Changes that keep coming are read less and less often, and for at most half of the time.
    """
    if rested > BURST_MAX:
        return BURST
    return min(max(pause * (GROWTH_NEW if new else GROWTH), took), BURST_MAX)


def _word(view: WorkloadView) -> str:
    return view.external.word if view.external else ""


def _shown(name: str) -> str:
    return ascii(name[:SHOWN_MAX])


def _where(error: Exception) -> str:
    """A mistake of ours without its text, which may hold something of the other program's."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {PurePath(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}"
