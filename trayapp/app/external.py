"""Workloads of other programs (ToolHive) beside our own: which programs are watched, and what they are asked to do.

A program's module is loaded once its directory exists, so a machine without it pays for one look, and on Linux for one
descriptor that wakes nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack

from trayapp.config.loader import Settings
from trayapp.core.checks import OK, WARNING, Check
from trayapp.core.external import GONE, HEAL_AFTER, LOOK_EVERY, Heals, heal, split_name
from trayapp.core.gate import Gate
from trayapp.core.model import Moment, Problem
from trayapp.core.owners import TITLES
from trayapp.core.presentation import Verb
from trayapp.core.sentences import SEE_LOG
from trayapp.core.snapshot import WorkloadView
from trayapp.engine.publisher import AppFields
from trayapp.system.plain_files import is_directory
from trayapp.system.worker import HangingError, run_alone

if TYPE_CHECKING:  # loaded once one of these programs is there
    from trayapp.app.directory_changes import DirectoryChanges
    from trayapp.app.external_claims import Claim, Claims
    from trayapp.app.external_owner import WatchedOwner
    from trayapp.clients.places import Machine
    from trayapp.external.owner import ExternalOwner

log = logging.getLogger(__name__)

PRESENCE_LIMIT = 10.0  # s for looking whether the directories exist
HEALED_TOGETHER = 4  # workloads that are restarted at the same time: each may ask its sign-in server

UNSEEN = "unseen"  # the kind of problem with a workload that can't be seen, but may exist

HEALING = "Restarting it because the network is back."

T = TypeVar("T")


class ExternalEngine(Protocol):
    """What is needed of the engine."""

    @property
    def gate(self) -> Gate: ...

    def now(self) -> Moment: ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None: ...

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


Tell = Callable[[str, str, str], None]  # shows a key, a title and a sentence to the person who clicked
Owners = Callable[["Machine"], Sequence["ExternalOwner"]]


def no_such_workload(name: str, problems: Sequence[str] = ()) -> Problem:
    """The answer for a name that no program's workload has. If `problems`, sentences, say what can't be seen, it may
    exist."""
    if not problems:
        return Problem("unknown_workload", f"No other program has a workload named {name}.")
    about = [each for each in problems if name.rpartition("/")[2] in each]
    return Problem(UNSEEN, f"Amberlight can't see {name}. {(about or problems)[0]}")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claimed workload: nobody else can have its program act on it, even once that is no longer watched."""

    watched: WatchedOwner
    name: str  # its own
    claim: Claim

    async def ask(self, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        """Ask the program about it, or have it do something, in a thread with a limit."""
        return await self.watched.ask(lambda owner: job(owner, self.name), self.claim)

    async def restart(self) -> Problem | None:
        """Have it restarted; the claim lasts until that shows."""
        result = await self.watched.restart_claimed(self.name, self.claim)
        return result if isinstance(result, Problem) else None


def _is_restartable(view: WorkloadView) -> bool:
    return view.external is not None and Verb.RESTART in view.external.actions


async def _not_taken_over(_: str) -> str | None:
    return None


class ExternalWatch:
    """Belongs to the engine's loop. `machine` is None where other programs are left alone: the demo.

    `owners` are watched without looking for their directories first; None: those of this machine. `watched` replaces
    how one of them is watched.
    """

    def __init__(
        self,
        machine: Callable[[], Machine] | None,
        engine: ExternalEngine,
        tell: Tell,
        owners: Owners | None = None,
        watched: Callable[[ExternalOwner, Callable[[], None], Claims], WatchedOwner] | None = None,
    ) -> None:
        # Our name for `OWNER/NAME`, if one of ours has taken its place.
        self.taken_over_as: Callable[[str], Awaitable[str | None]] = _not_taken_over
        self._machine = machine
        self._engine = engine
        self._tell = tell
        self._owners = owners
        self._make = watched
        self._settings = Settings()
        self._watched: dict[str, tuple[WatchedOwner, asyncio.Task[None]]] = {}  # by the owner's id
        self._claims: dict[str, Claims] = {}  # the same, including those no longer watched
        self._look = asyncio.Event()
        self._looked_at = float("-inf")
        self._has_looked = False  # with a result
        self._absent = False  # one of the programs isn't there
        self._unseen = ""  # why that isn't known
        self._directories: DirectoryChanges | None = None  # where the absent ones would appear
        self._shown: Mapping[str, WorkloadView] = {}
        self._heals = Heals()
        self._waiting: asyncio.Task[None] | None = None  # for the network to settle
        self._turns = asyncio.Semaphore(HEALED_TOGETHER)

    # --- which programs ----------------------------------------------------------------------------------------------

    def configured(self, settings: Settings) -> None:
        """The settings are these from now on."""
        self._settings = settings
        self._look.set()

    def _wanted(self, owner_id: str) -> bool:
        return self._settings.toolhive_watch if owner_id == "toolhive" else True

    def _heals_for(self, owner_id: str) -> bool:
        return self._settings.toolhive_heal if owner_id == "toolhive" else False

    async def run(self) -> None:
        """Begin to watch programs that appear, until cancelled."""
        if self._machine is None:
            return
        self._look.set()
        while True:
            await self._look.wait()
            self._look.clear()
            self._has_looked = False
            self._looked_at = asyncio.get_running_loop().time()
            for owner_id in [each for each in self._watched if not self._wanted(each)]:
                self._drop(owner_id)
            try:
                await self._look_for(self._machine())
                self._has_looked, self._unseen = True, ""
            except HangingError:
                self._not_seen("the disk with other programs' files isn't responding; looking again later")
            except Exception as error:  # noqa: BLE001 - nothing that is found there may end the watching
                self._not_seen(f"couldn't look for other programs ({type(error).__name__}); trying again later")

    def _not_seen(self, sentence: str) -> None:
        """It isn't known whether they are there. Logged once for each reason."""
        if sentence != self._unseen:
            log.warning("%s", sentence)
        self._unseen = sentence

    async def _look_for(self, machine: Machine) -> None:
        """Watch every program that is wanted and there, and wait for the others."""
        if self._owners is not None:
            self._watch(self._owners(machine))
            return
        from trayapp.external.places import folders

        places = folders(machine.platform, machine.environ, machine.home)
        wanted = {each: at for each, at in places.items() if self._wanted(each) and each not in self._watched}
        if not wanted:
            self._stop_waiting()
            return
        if self._directories is None:
            from trayapp.app.directory_changes import DirectoryChanges

            self._directories = DirectoryChanges(self._look.set)
        directories = self._directories
        present = await run_alone("look for other programs", lambda: _present(wanted, directories), PRESENCE_LIMIT)
        self._absent = len(present) < len(wanted)
        if not self._absent:
            self._stop_waiting()
        if present:
            from trayapp.external.owners import owners

            self._watch([each for each in owners(machine) if each.id in present])

    def _stop_waiting(self) -> None:
        self._absent = False
        if self._directories is not None:
            self._directories.close()
            self._directories = None

    def _watch(self, owners: Sequence[ExternalOwner]) -> None:
        from trayapp.app.external_claims import Claims
        from trayapp.app.external_owner import WatchedOwner

        for owner in owners:
            if self._wanted(owner.id) and owner.id not in self._watched:
                log.info("watching the workloads of %s", owner.title)
                claims = self._claims.setdefault(owner.id, Claims())
                watched = (self._make or WatchedOwner)(owner, self._show, claims)
                self._watched[owner.id] = watched, self._engine.task(f"watch {owner.title}", watched.run())

    def _drop(self, owner_id: str) -> None:
        watched, task = self._watched.pop(owner_id)
        task.cancel()
        watched.close()
        self._show()

    def passed(self) -> None:
        """The engine made a pass: what the system doesn't report is looked for with those, and never needs a timer."""
        for watched, _ in self._watched.values():
            watched.passed()
        reported = self._directories is not None and self._directories.reported
        due = self._unseen or (self._absent and not reported)
        if due and asyncio.get_running_loop().time() - self._looked_at >= LOOK_EVERY:
            self._look.set()

    async def close(self) -> None:
        """Stop watching."""
        self._stop_waiting()
        for watched, _ in self._watched.values():
            watched.close()

    # --- what they have ----------------------------------------------------------------------------------------------

    def _show(self) -> None:
        views = {name: view for watched, _ in self._watched.values() for name, view in watched.views.items()}
        if views != self._shown:
            self._shown = views
            self._engine.set_app_fields(external=views)

    def urls(self) -> dict[str, str]:
        """All servers' full addresses by the names of their workloads; they may contain keys."""
        every = [each.urls() for each, _ in self._watched.values()]
        return {name: url for each in every for name, url in each.items()}

    def problems(self) -> list[str]:
        """What could not be read, in sentences."""
        return [sentence for watched, _ in self._watched.values() for sentence in watched.problems]

    def checks(self) -> list[Check]:
        """Whether each of the programs is watched, and what could not be read, for `doctor`."""
        return [self._check(owner_id) for owner_id in sorted({*TITLES, *self._watched})]

    def _check(self, owner_id: str) -> Check:
        title = TITLES.get(owner_id, owner_id)
        if not self._wanted(owner_id):
            return Check(owner_id, OK, _off(owner_id))
        if (found := self._watched.get(owner_id)) is None:
            return Check(owner_id, OK, f"{title} hasn't been used here.")
        watched = found[0]
        if watched.problems:
            return Check(owner_id, WARNING, " ".join(watched.problems), SEE_LOG)
        count = len(watched.views)
        workloads = "no workloads that sign in" if not count else "1 workload" if count == 1 else f"{count} workloads"
        return Check(owner_id, OK, f"Watching {watched.owner.title}: {workloads}.")

    # --- what they are asked to do -----------------------------------------------------------------------------------

    def _find(self, name: str) -> tuple[WatchedOwner, str] | None:
        """The program that has this workload, and its own name for it."""
        parts = split_name(name)
        found = self._watched.get(parts[0]) if parts else None
        return (found[0], parts[1]) if parts and found and name in found[0].views else None

    def missing(self, name: str) -> Problem:
        """Why there is no such workload, or none is seen."""
        owner_id = name.partition("/")[0]
        title, found = TITLES.get(owner_id, owner_id), self._watched.get(owner_id)
        if self._machine is None or (found is None and owner_id not in TITLES):
            return no_such_workload(name)
        if not self._wanted(owner_id):
            return Problem(UNSEEN, f"{_off(owner_id)} To turn it on: amberlight set {owner_id}_watch true.")
        looked = self._has_looked and not self._look.is_set() if found is None else found[0].has_read
        problems = found[0].problems if found else ()
        if not looked and not problems:
            return Problem(UNSEEN, f"Amberlight hasn't read {title}'s workloads yet. Try again in a minute.")
        return no_such_workload(name, problems)

    async def ask(self, name: str, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        """Ask the program that has `OWNER/NAME` something about it, in a thread with a limit."""
        if (found := self._find(name)) is None:
            return self.missing(name)
        watched, own_name = found
        return await watched.ask(lambda owner: job(owner, own_name))

    @contextlib.contextmanager
    def claimed(self, name: str, doing: str) -> Iterator[Claimed | Problem]:
        """Claim it for several steps: its row says `doing`, and nobody else can have its program act on it. A problem if
        it's already claimed."""
        if (found := self._find(name)) is None:
            yield self.missing(name)
            return
        watched, own_name = found
        claim = watched.claim(own_name, doing)
        if isinstance(claim, Problem):
            yield claim
            return
        try:
            yield Claimed(watched, own_name, claim)
        finally:
            watched.claims.release(claim)

    async def restart(self, name: str, doing: str = "") -> Problem | None:
        """Have it restarted by its program; None also if a restart is in progress. With `doing`, nobody has
        asked for it, and it's restarted only if its login still fails for a temporary reason."""
        if (found := self._find(name)) is None:
            return self.missing(name)
        watched, own_name = found
        if (claim := watched.claims.get(own_name)) is not None and claim.restarts:
            return None
        if not _is_restartable(watched.views[name]):
            await watched.look()  # the program may have just started
        if (view := watched.views.get(name)) is None:
            return self.missing(name)
        title = watched.owner.title
        if view.status in GONE and (ours := await self.taken_over_as(name)) is not None:
            text = f"{ours} has taken its place. To have {title} run it again: amberlight take-over --undo {ours}"
            return Problem("taken_over", text)
        if not _is_restartable(view):
            return Problem("not_possible", f"{title} can't restart it right now. Start {title}, or check it there.")
        result = await watched.restart(own_name, doing or f"{title} is restarting it.", only_passing=bool(doing))
        if isinstance(result, Problem):
            level = logging.INFO if result.kind == "busy" else logging.WARNING
            log.log(level, "%s was not restarted: %s", name, result.summary)
            return result
        if result:
            log.info("%s was restarted%s", name, " because the network is back" if doing else "")
        return None

    def restart_clicked(self, name: str) -> None:
        """A click on *Restart*: what went wrong is shown to the person."""
        self._engine.task(f"restart {name}", self._restart_and_tell(name))

    async def _restart_and_tell(self, name: str) -> None:
        view = self._shown.get(name)
        problem = await self.restart(name)
        if problem is not None:
            self._tell(f"restart:{name}", f"Couldn't restart {view.title if view else name}", problem.summary)

    # --- healing -----------------------------------------------------------------------------------------------------

    def machine_returned(self) -> None:
        """The machine woke, or its network is another one."""
        for watched, _ in self._watched.values():
            watched.machine_returned()
        if not any(map(self._heals_for, self._watched)):
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._engine.task("wait for the network to settle for other programs", self._heal())

    async def _heal(self) -> None:
        """Once the network is up, restart what failed temporarily. If it goes down again, its return asks again."""
        at = self._engine.now().at
        opens = self._engine.gate.opens_at(at)
        if opens is None:
            return
        await asyncio.sleep(opens - at + HEAL_AFTER)
        if self._engine.gate.reason(self._engine.now().at) is not None:
            return
        for owner_id, (watched, _) in list(self._watched.items()):
            if self._heals_for(owner_id):
                await watched.look()
                self._heals, names = heal(watched.views.values(), self._heals, self._engine.now().at)
                for name in names:
                    self._engine.task(f"restart {name}", self._restart_in_turn(name))

    async def _restart_in_turn(self, name: str) -> None:
        async with self._turns:
            await self.restart(name, HEALING)


def _off(owner_id: str) -> str:
    return f"{TITLES.get(owner_id, owner_id)}'s workloads aren't shown because {owner_id}_watch is off."


def _present(wanted: Mapping[str, Path], directories: DirectoryChanges) -> set[str]:
    """In a thread: which programs are there. Those that aren't are watched before the look, so none is missed."""
    directories.watch(wanted.values())
    present = {each for each, at in wanted.items() if is_directory(at)}
    directories.watch(at for each, at in wanted.items() if each not in present)
    return present
