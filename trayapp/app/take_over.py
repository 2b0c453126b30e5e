"""Take a workload over from another program, and give it back.

The order leaves nobody with nothing, and no login with two owners: it is added here without a login, then the other
program stops it, then clients' entries are pointed to us, then a person signs in. The record for the way back is written
before anything else is changed, so a take-over that was cut short is completed by asking for it again. Meanwhile,
nobody else can have the other program act on the workload: a restart that ended after the stop would make a second owner.
The other program's own login is never read and never ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trayapp.api.controls import Draft, GivenBack, Moved, Rejected, Removed, TakeOverPlan
from trayapp.app import take_over_answers as answers
from trayapp.app.external import no_such_workload
from trayapp.config.corrections import corrected_name
from trayapp.core.external import GONE, external_name, status_of
from trayapp.core.model import Problem, Spec
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import WorkloadView

if TYPE_CHECKING:  # loaded when somebody takes a workload over
    from trayapp.clients.entries import Access
    from trayapp.external.moving import Done
    from trayapp.external.owner import ExternalOwner
    from trayapp.external.pointing import Pointing
    from trayapp.external.take_over import Plan, Source
    from trayapp.external.taken_over import Records, TakenOver

log = logging.getLogger(__name__)

T = TypeVar("T")

CANNOT = "cannot_take_over"
UNCLEAR = frozenset({"unclear", "hanging"})  # kinds of problems after which it may have stopped, or still may
STOP_LOOKS, STOP_LOOK_EVERY = 10, 1.0  # how often to look again at one that is stopping, and s between


class Claimed(Protocol):
    """A workload of another program, claimed: nobody else can have that program act on it."""

    async def ask(self, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        """Have the program do something, in a thread with a limit."""
        ...

    async def restart(self) -> Problem | None:
        """Have it restart the workload; the claim lasts until that shows."""
        ...


class Others(Protocol):
    """Other programs: `external.py`. Their workloads are named `OWNER/NAME`."""

    async def ask(self, name: str, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        """Ask the program that has it something, in a thread with a limit."""
        ...

    def claimed(self, name: str, doing: str) -> AbstractContextManager[Claimed | Problem]:
        """Claim it, while its row says what is being done; a problem if it's busy, or nobody has it."""
        ...


class MovableEntries(Protocol):
    """Entries in clients' files: `client_files.py`."""

    async def pointing(self, client_url: str) -> tuple[Sequence[Pointing], Sequence[str]] | Problem: ...

    async def texts(self, record: TakenOver) -> Mapping[str, str] | Problem: ...

    async def reach(self, name: str) -> Access | Problem: ...

    async def move(
        self, access: Access, record: TakenOver, texts: Mapping[str, str]
    ) -> tuple[TakenOver, Sequence[Done]] | Problem: ...

    async def put_back(self, name: str, record: TakenOver) -> Sequence[Done] | Problem: ...

    def reachable(self) -> Problem | None: ...


class Workloads(Protocol):
    """What is needed of the engine."""

    @property
    def workloads(self) -> Mapping[str, object]: ...

    def spec(self, name: str) -> Spec | None: ...

    def view_of(self, name: str) -> WorkloadView | None: ...

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> object: ...


class TakeOver:
    """On the engine's loop. `add` and `remove` change the configuration; `sign_in` begins a sign-in and returns its address."""

    def __init__(
        self,
        others: Others,
        clients: MovableEntries,
        engine: Workloads,
        add: Callable[[Draft], Awaitable[str | Rejected]],
        remove: Callable[[Sequence[str]], Awaitable[Removed]],
        sign_in: Callable[[str, bool], Awaitable[str | Problem | None]],
        state_dir: Path,
    ) -> None:
        self._others = others
        self._clients = clients
        self._engine = engine
        self._add = add
        self._remove = remove
        self._sign_in = sign_in
        self._state_dir = state_dir
        self._turn = asyncio.Lock()

    # --- the plan ----------------------------------------------------------------------------------------------------

    async def plan(self, theirs: str, name: str = "") -> TakeOverPlan | Rejected:
        """What taking `OWNER/NAME` over would change; `name` is the one that it is to get here."""
        found = await self._plan(theirs, name)
        if isinstance(found, Rejected):
            return found
        made, _ = found
        return TakeOverPlan(
            made.name,
            made.url,
            made.owner,
            made.configured_as,
            tuple((each.client.title, each.shown, each.name) for each in made.clients),
            made.notes,
            made.needs_secret,
            made.problem,
        )

    async def _plan(
        self, theirs: str, name: str, claimed: Claimed | None = None
    ) -> tuple[Plan, dict[str, TakenOver]] | Rejected:
        """The plan, and what was taken over before."""
        from trayapp.external.take_over import plan

        source = await self._source(theirs, claimed)
        if isinstance(source, Problem):
            return answers.rejection(source)
        found = await self._clients.pointing(source.workload.client_url)
        if isinstance(found, Problem):
            return answers.rejection(found)
        records = await asyncio.to_thread(self._records().all)
        specs = {each: spec for each in self._engine.workloads if (spec := self._engine.spec(each)) is not None}
        made = plan(source, specs, found[0], corrected_name(name), records)
        made = replace(made, notes=(*made.notes, *found[1]))
        if made.clients and not made.problem and (unreachable := self._clients.reachable()) is not None:
            made = replace(made, problem=unreachable.summary)
        return made, records

    async def _source(self, theirs: str, claimed: Claimed | None) -> Source | Problem:
        from trayapp.external.take_over import Source

        def look(owner: ExternalOwner, name: str) -> Source | Problem:
            reading = owner.read()
            there = next((each for each in reading.workloads if each.name == name), None)
            if there is None:
                return no_such_workload(theirs, reading.problems)
            return Source(owner.title, owner.id, there, reading.actions, owner.entry(name))

        return await (self._others.ask(theirs, look) if claimed is None else claimed.ask(look))

    # --- taking over -------------------------------------------------------------------------------------------------

    async def take(
        self, theirs: str, name: str = "", *, browser: bool = True, sign_in: bool = True
    ) -> Moved | Rejected:
        """Take `OWNER/NAME` over. `browser`: the sign-in's page is opened here."""
        with self._others.claimed(theirs, "Amberlight is taking it over.") as claimed:
            if isinstance(claimed, Problem):
                return answers.rejection(claimed)
            async with self._turn:
                found = await self._take(theirs, name, claimed)
            if isinstance(found, Rejected):
                return found
            return await self._finish(*found, browser=browser, sign_in=sign_in)

    async def _take(self, theirs: str, name: str, claimed: Claimed) -> tuple[Plan, Sequence[Done] | Problem] | Rejected:
        """Everything but the sign-in: the plan that was carried out, and what became of clients' files."""
        from trayapp.external.take_over import way_back

        found = await self._plan(theirs, name, claimed)
        if isinstance(found, Rejected):
            return found
        plan, records = found
        if plan.problem:
            return Rejected(409, CANNOT, plan.problem)
        before = records.get(plan.name)
        record = way_back(plan, before)
        texts = await self._clients.texts(record)
        if isinstance(texts, Problem):
            return answers.rejection(texts)
        rejected = await self._keep(plan.name, record) or await self._add_and_stop(theirs, plan, before, claimed)
        return rejected or (plan, await self._move_clients(plan, record, texts))

    async def _add_and_stop(
        self, theirs: str, plan: Plan, before: TakenOver | None, claimed: Claimed
    ) -> Rejected | None:
        """Why it stays where it is, and then nothing has changed; None once it is here and stopped there."""
        if plan.configured_as is None:
            added = await self._add(Draft(plan.name, plan.keys, check=True))
            if isinstance(added, Rejected):
                await self._keep(plan.name, before)
                return added
        problem = await self._stop(plan, claimed)
        if problem is None:
            log.info("%s was taken over as %s", theirs, plan.name)
            return None
        log.warning("%s wasn't taken over: %s", theirs, problem.summary)
        if plan.configured_as is None:
            removed = await self._remove([plan.name])
            if (left := removed.refused.get(plan.name)) is not None:
                text = f"{problem.summary} {plan.name} was added here and couldn't be removed: {left.message}"
                return Rejected(409, CANNOT, text)
        await self._keep(plan.name, before)
        stays = ", where it may have stopped." if problem.kind in UNCLEAR else ", and nothing was changed."
        return Rejected(409, CANNOT, f"{problem.summary} It stays in {plan.owner}{stays}")

    async def _stop(self, plan: Plan, claimed: Claimed) -> Problem | None:
        """Have it stopped; None only once that is seen, even if it took longer than its owner waited."""
        from trayapp.external.take_over import is_stopped

        problem = await claimed.ask(lambda owner, name: owner.stop(name)) if plan.runs else None
        for _ in range(STOP_LOOKS):
            stopped = await claimed.ask(lambda owner, name: is_stopped(owner.read(), name))
            if isinstance(stopped, Problem):
                return replace(problem or stopped, kind="unclear")
            if stopped:
                return None
            if stopped is False:
                break
            await asyncio.sleep(STOP_LOOK_EVERY)
        return problem or Problem(
            "runs", f"{plan.theirs} hasn't stopped in {plan.owner}. Stop it there, then try again."
        )

    async def _move_clients(self, plan: Plan, record: TakenOver, texts: Mapping[str, str]) -> Sequence[Done] | Problem:
        if all(each.moved for each in record.entries):
            return ()
        access = await self._clients.reach(plan.name)
        if isinstance(access, Problem):
            return access
        moved = await self._clients.move(access, record, texts)
        if isinstance(moved, Problem):
            return moved
        kept = await self._keep(plan.name, moved[0])
        if kept is not None:
            log.warning("how to restore client entries for %s isn't recorded: %s", plan.name, kept.message)
        return moved[1]

    async def _finish(self, plan: Plan, done: Sequence[Done] | Problem, *, browser: bool, sign_in: bool) -> Moved:
        """The result, with a sign-in if one is needed and can be begun."""
        from trayapp.external.take_over import needs_sign_in, secret_first

        name = plan.name
        updated, failed, restart = answers.outcome(done)
        parts = [answers.taken_text(plan), answers.updated_text(updated), restart]
        url = None
        if sign_in and plan.needs_secret:
            parts.append(secret_first(name))
        elif sign_in and needs_sign_in(plan, self._engine.view_of(name)):
            result = await self._sign_in(name, browser)
            if isinstance(result, Problem):
                failed.append(f"{result.summary} Try again: amberlight reauthorize {name}.")
            else:
                url = result
                parts.append("Sign in to finish.")
        parts.append(f"To undo this: amberlight take-over --undo {name}.")
        return Moved(name, " ".join(filter(None, parts)), updated, tuple(failed), url)

    # --- giving back -------------------------------------------------------------------------------------------------

    async def give_back(self, name: str) -> GivenBack | Rejected:
        """Put clients' entries back, remove the workload that was added, and have its owner run its own again."""
        record = await asyncio.to_thread(self._records().get, name)
        if record is None:
            return answers.not_taken_over(name)
        theirs = external_name(record.owner, record.theirs)
        with self._others.claimed(theirs, "Amberlight is giving it back.") as claimed:
            if isinstance(claimed, Problem):
                return answers.rejection(answers.gone(claimed, theirs, name))
            async with self._turn:
                now = await asyncio.to_thread(self._records().get, name)
                if now is None or external_name(now.owner, now.theirs) != theirs:
                    return answers.not_taken_over(name)
                return await self._give_back(name, now, theirs, claimed)

    async def _give_back(self, name: str, record: TakenOver, theirs: str, claimed: Claimed) -> GivenBack | Rejected:
        if not self._is_the_same(name, record):
            return Rejected(409, CANNOT, answers.changed_text(name))
        source = await self._give_back_to(theirs, name, record, claimed)
        if isinstance(source, Rejected):
            return source
        done = await self._clients.put_back(name, record)
        if isinstance(done, Problem):
            return answers.rejection(done)
        updated, failed, restart = answers.outcome(done)
        parts = [f"Gave {name} back to {source.owner}.", answers.put_back_text(updated), restart]
        if record.added and name in self._engine.workloads:
            removed = await self._remove([name])
            if (refused := removed.refused.get(name)) is not None:
                return refused
            parts += removed.notes
        elif name in self._engine.workloads:
            parts.append(f"{name} stays here: it was configured before the take-over.")
        runs = status_of(source.workload.word) not in GONE
        problem = await claimed.restart() if record.ran and not runs else None
        left = tuple(each for each in record.entries if each.file in {file.again for file in done})
        if problem is not None:
            failed.append(f"{problem.summary} {record.theirs} isn't running in {source.owner} yet.")
        else:
            log.info("%s was given back as %s", name, theirs)
        if left:
            failed.append(answers.again_text(name))
        kept = None if problem is None and not left else replace(record, entries=left)
        if (rejected := await self._keep(name, kept)) is not None:
            failed.append(rejected.message)
        return GivenBack(name, " ".join(filter(None, parts)), updated, tuple(failed))

    def _is_the_same(self, name: str, record: TakenOver) -> bool:
        """Whether the workload of this name is the one that was taken over, or it is gone."""
        from trayapp.external.take_over import is_its

        spec = self._engine.spec(name)
        return spec is None or is_its(spec, record)

    async def _give_back_to(self, theirs: str, name: str, record: TakenOver, claimed: Claimed) -> Source | Rejected:
        """The other program's workload; a refusal if it can't be run there again."""
        from trayapp.external.take_over import is_same_url

        source = await self._source(theirs, claimed)
        if isinstance(source, Problem):
            return answers.rejection(answers.gone(source, theirs, name))
        if source.workload.url and not is_same_url(source.workload.url, record.url):  # its API doesn't say
            return Rejected(409, CANNOT, answers.another_text(theirs, name))
        runs = status_of(source.workload.word) not in GONE
        if record.ran and not runs and Verb.RESTART not in source.actions:
            text = f"{source.owner} can't run {record.theirs} right now. Start {source.owner}, then try again."
            return Rejected(409, CANNOT, text)
        return source

    # --- the record --------------------------------------------------------------------------------------------------

    async def name_here(self, theirs: str) -> str | None:
        """The workload that took the place of `OWNER/NAME`; None if none did, or it is gone."""
        return next((name for name, each in (await self.taken_over()).items() if each == theirs), None)

    async def taken_over(self) -> Mapping[str, str]:
        """`OWNER/NAME` of each workload here that took the place of one."""
        found = await asyncio.to_thread(self._records().all)
        return {
            name: external_name(each.owner, each.theirs)
            for name, each in found.items()
            if name in self._engine.workloads and self._is_the_same(name, each)
        }

    def _records(self) -> Records:
        from trayapp.external.taken_over import Records

        return Records(self._state_dir)

    async def _keep(self, name: str, record: TakenOver | None) -> Rejected | None:
        from trayapp.clients.files import FileError

        try:
            await asyncio.to_thread(self._records().keep, name, record)
        except FileError as error:
            return Rejected(409, "record", f"{error}.")
        return None

    def renamed(self, name: str, new: str) -> None:
        """A workload has another name here."""
        self._engine.task(f"note that {name} is {new} now", self._rename(name, new))

    async def _rename(self, name: str, new: str) -> None:
        from trayapp.clients.files import FileError

        async with self._turn:
            try:
                await asyncio.to_thread(self._records().rename, name, new)
            except FileError as error:
                log.warning("%s can no longer be given back: %s", new, error)
