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
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Protocol, TypeVar

from trayapp.app.change_lines import ChangeLines
from trayapp.app.directory_changes import DirectoryChanges
from trayapp.core.external import (
    LOOK_EVERY,
    LOOK_EVERY_TROUBLED,
    NAME,
    ExternalWorkload,
    external_name,
    external_view,
    look_after,
    status_of,
)
from trayapp.core.model import Problem
from trayapp.core.one_line import clean
from trayapp.core.snapshot import Status, WorkloadView
from trayapp.external.owner import ExternalError, ExternalOwner, Reading
from trayapp.osevents.process_ends import ProcessEnds
from trayapp.system.worker import ClosedError, HangingError, Worker, run_alone

log = logging.getLogger(__name__)

READ_LIMIT = 10.0  # s for reading it once
ACT_LIMIT = 45.0  # s for carrying out one action; a command waits for 60
BURST = 0.1  # s from a change to its reading: programs write several files together
BURST_MAX = 2.0  # s; the same while changes come again and again
GROWTH, GROWTH_NEW = 2.0, 1.5  # of that time with each reading that found nothing new, or something
DOING_LIMIT = 30.0  # s for which an action is shown that has no effect
LOOK_EVERY_DOING = 1.0  # s between two looks meanwhile, where changes aren't reported
KEPT = 60.0  # s for which workloads stay that can't be read any more
PROBLEMS_MAX = 20  # sentences about what can't be read
PROBLEM_MAX = 1000  # characters of one; it may have a path in it
SHOWN_MAX = 40  # characters of a bad name
ROUNDS = 3  # of reading it, until everything that belongs to it is watched

PASSING = frozenset({Status.STARTING, Status.STOPPING, Status.STOPPED})  # on the way from before a restart to after it

T = TypeVar("T")


class Threads(Protocol):
    """Where a program is read and asked. Both raise `HangingError` after a limit."""

    async def read(self, work: Callable[[], T]) -> T:
        """Run it after what was begun before. Raises `ClosedError` after the end."""
        ...

    async def ask(self, work: Callable[[], T]) -> T:
        """Run it beside everything else."""
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


@dataclass(frozen=True, slots=True)
class _Doing:
    """What the program is being asked to do to a workload: a sentence, its state before, and how long that is shown."""

    sentence: str
    before: tuple[str, float]
    until: float | None = None  # of the loop's clock; None: until it was asked


class WatchedOwner:
    """Belongs to the engine's loop. `show` is called when `views` have changed."""

    def __init__(
        self,
        owner: ExternalOwner,
        show: Callable[[], None],
        threads: Threads | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.owner = owner
        self.views: Mapping[str, WorkloadView] = {}
        self.problems: tuple[str, ...] = ()
        self._show = show
        self._threads = threads or OwnThreads(owner.title)
        self._hint = asyncio.Event()
        self._directories = DirectoryChanges(self._hint.set)
        self._ends = ProcessEnds(self._hint.set)
        self._ends_reported = True
        self._looking = asyncio.Lock()
        self._reading = Reading()
        self._failed_at: float | None = None  # since when it can't be read
        self._doing: dict[str, _Doing] = {}  # by its own name for the workload
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
            new = await self.look()
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
        waits = [each.until - self._now() for each in self._doing.values() if each.until is not None]
        if self._doing and not self._reported:
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
        reading = self.owner.read()
        for _ in range(ROUNDS):
            if not self._directories.watch(reading.files):
                break
            reading = self.owner.read()
        return reading

    def _take(self, reading: Reading) -> bool:
        if self._failed_at is not None:
            self._log(logging.INFO, "", f"{self.owner.title} can be read again")
        self._failed_at = None
        self._ends_reported = self._ends.watch(reading.processes)
        self._reading = reading
        self._end_doing(reading)
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
            self._reading = Reading()
        self._end_doing(None)
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
        doing = self._doing.get(found.name)
        found = replace(found, since=self._dated(found))
        return external_view(
            self.owner.id, self.owner.title, found, self._reading.actions, doing.sentence if doing else ""
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

    # --- acting ------------------------------------------------------------------------------------------------------

    async def act(self, name: str, job: Callable[[ExternalOwner], T], doing: str) -> T | Problem:
        """Have the program do something to one of its workloads, in a thread; meanwhile and until that shows, its row
        says `doing`. A second call during the first fails."""
        if name in self._doing:
            return Problem("busy", f"{self.owner.title} is already busy with {name}.")
        self.begin(name, doing)
        try:
            result = await self.ask(job)
        except BaseException:
            self.end(name)
            raise
        if isinstance(result, Problem):
            self.end(name)
        elif (asked := self._doing.get(name)) is not None:
            self._doing[name] = _Doing(asked.sentence, asked.before, self._now() + DOING_LIMIT)
        self._hint.set()
        return result

    async def ask(self, job: Callable[[ExternalOwner], T]) -> T | Problem:
        """The same without a word in the row: for what changes nothing."""
        try:
            return await self._threads.ask(lambda: job(self.owner))
        except HangingError:
            return Problem("hanging", f"{self.owner.title} isn't responding.")
        except ExternalError as error:
            return Problem("external", clean(error)[:PROBLEM_MAX])
        except Exception as error:  # noqa: BLE001 - the same
            log.warning("%s wasn't asked: %s", self.owner.title, _where(error))
            return Problem("external", f"The request to {self.owner.title} failed. See Amberlight's log.")

    def is_busy(self, name: str) -> bool:
        """Whether it is being asked to do something to this workload, or that doesn't show yet."""
        return name in self._doing

    def begin(self, name: str, doing: str) -> None:
        """Show in the workload's row what is being done, until `end`."""
        found = next((each for each in self._reading.workloads if each.name == name), None)
        self._doing[name] = _Doing(doing, (found.word, found.since) if found else ("", 0.0))
        self._asked_at[name] = self._wall()
        self._update(self.problems)

    def end(self, name: str) -> None:
        """It is over, or has failed."""
        if self._doing.pop(name, None) is not None:
            self._update(self.problems)
            self._hint.set()

    def _end_doing(self, reading: Reading | None) -> None:
        """What was asked for is over once the workload's state is another one that lasts, or after a limit."""
        now = self._now()
        state = {each.name: (each.word, each.since) for each in reading.workloads} if reading else {}
        for name, doing in list(self._doing.items()):
            if doing.until is None:
                continue
            found = state.get(name)
            lasting = found is not None and status_of(found[0]) not in PASSING and found != doing.before
            if lasting or now >= doing.until:
                del self._doing[name]

    def close(self) -> None:
        """Stop watching."""
        self._directories.close()
        self._ends.close()
        self._threads.end()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def next_pause(pause: float, *, took: float, rested: float, new: bool) -> float:
    """Seconds from a change to its reading, by the last one: how long it took, whether it found anything new, and how
    long nothing changed after it. Changes without a rest are read more and more seldom, and at most half of the time.
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
