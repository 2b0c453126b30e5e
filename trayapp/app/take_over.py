"""Take a workload over from another program, and give it back.

The order leaves nobody with nothing, and no login with two owners: it is added here without a login, then the other
program stops it, then clients' entries are pointed to us, then a person signs in. The record for the way back is written
before anything else is changed, so a take-over that was cut short is completed by asking for it again. The other
program's own login is never read and never ended.
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
from trayapp.app.external import no_such_workload
from trayapp.config.corrections import corrected_name
from trayapp.core.external import GONE, external_name, status_of
from trayapp.core.model import Problem, Spec
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Status, WorkloadView

if TYPE_CHECKING:  # loaded when somebody takes a workload over
    from trayapp.clients.entries import Access
    from trayapp.external.moving import Done
    from trayapp.external.owner import ExternalOwner
    from trayapp.external.pointing import Pointing
    from trayapp.external.take_over import Plan, Source
    from trayapp.external.taken_over import Records, TakenOver

log = logging.getLogger(__name__)

T = TypeVar("T")

CANNOT, UNKNOWN = "cannot_take_over", "not_taken_over"
UNKNOWN_WORKLOAD = "unknown_workload"  # the kind of problem that is a 404


class Others(Protocol):
    """Other programs: `external.py`. Their workloads are named `OWNER/NAME`."""

    async def ask(self, name: str, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        """Ask the program that has it something, in a thread with a limit."""
        ...

    def shown_as(self, name: str, doing: str) -> AbstractContextManager[None]:
        """Its row says meanwhile what is being done."""
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

    async def _plan(self, theirs: str, name: str) -> tuple[Plan, dict[str, TakenOver]] | Rejected:
        """The plan, and what was taken over before."""
        from trayapp.external.take_over import plan

        source = await self._source(theirs)
        if isinstance(source, Problem):
            return _rejected(source)
        found = await self._clients.pointing(source.workload.client_url)
        if isinstance(found, Problem):
            return _rejected(found)
        records = await asyncio.to_thread(self._records().all)
        at = (source.owner_id, source.workload.name)
        before = next((each for each, record in records.items() if (record.owner, record.theirs) == at), "")
        specs = {each: spec for each in self._engine.workloads if (spec := self._engine.spec(each)) is not None}
        made = plan(source, specs, found[0], corrected_name(name), before)
        made = replace(made, notes=(*made.notes, *found[1]))
        if made.clients and not made.problem and (unreachable := self._clients.reachable()) is not None:
            made = replace(made, problem=unreachable.summary)
        return made, records

    async def _source(self, theirs: str) -> Source | Problem:
        from trayapp.external.take_over import Source

        def look(owner: ExternalOwner, name: str) -> Source | None:
            reading = owner.read()
            there = next((each for each in reading.workloads if each.name == name), None)
            return None if there is None else Source(owner.title, owner.id, there, reading.actions, owner.entry(name))

        found = await self._others.ask(theirs, look)
        return no_such_workload(theirs) if found is None else found

    # --- taking over -------------------------------------------------------------------------------------------------

    async def take(
        self, theirs: str, name: str = "", *, browser: bool = True, sign_in: bool = True
    ) -> Moved | Rejected:
        """Take `OWNER/NAME` over. `browser`: the sign-in's page is opened here."""
        async with self._turn:
            with self._others.shown_as(theirs, "Amberlight is taking it over."):
                found = await self._take(theirs, name)
        return found if isinstance(found, Rejected) else await self._finish(*found, browser=browser, sign_in=sign_in)

    async def _take(self, theirs: str, name: str) -> tuple[Plan, Sequence[Done] | Problem] | Rejected:
        """Everything but the sign-in: the plan that was carried out, and what became of clients' files."""
        found = await self._plan(theirs, name)
        if isinstance(found, Rejected):
            return found
        plan, records = found
        if plan.problem:
            return Rejected(409, CANNOT, plan.problem)
        before = records.get(plan.name)
        record = _record(plan, before)
        texts = await self._clients.texts(record)
        if isinstance(texts, Problem):
            return _rejected(texts)
        rejected = await self._keep(plan.name, record) or await self._add_and_stop(theirs, plan, before)
        return rejected or (plan, await self._move_clients(plan, record, texts))

    async def _add_and_stop(self, theirs: str, plan: Plan, before: TakenOver | None) -> Rejected | None:
        """Why it stays where it is, and then nothing has changed; None once it is here and stopped there."""
        if plan.configured_as is None:
            added = await self._add(Draft(plan.name, plan.keys, check=True))
            if isinstance(added, Rejected):
                await self._keep(plan.name, before)
                return added
        problem = await self._stop(theirs) if plan.runs else None
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
        return Rejected(409, CANNOT, f"{problem.summary} It stays in {plan.owner}, and nothing was changed.")

    async def _stop(self, theirs: str) -> Problem | None:
        """Have it stopped; None once it is, also if that took longer than its owner waited."""
        problem = await self._others.ask(theirs, lambda owner, name: owner.stop(name))
        if problem is None:
            return None
        source = await self._source(theirs)
        return problem if isinstance(source, Problem) or status_of(source.workload.word) not in GONE else None

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
        from trayapp.external.take_over import secret_first

        name = plan.name
        updated, failed, restart = _outcome(done)
        parts = [_taken_text(plan), _updated_text(updated), restart]
        url = None
        if not sign_in:
            pass
        elif plan.needs_secret:
            parts.append(secret_first(name))
        elif _needs_sign_in(plan, self._engine.view_of(name)):
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
        async with self._turn:
            record = await asyncio.to_thread(self._records().get, name)
            if record is None:
                return Rejected(404, UNKNOWN, f"{name} wasn't taken over from another program.")
            if not self._is_the_same(name, record):
                text = f"{name} has a different URL from the workload that was taken over. Rename or remove it first."
                return Rejected(409, CANNOT, text)
            theirs = external_name(record.owner, record.theirs)
            source = await self._give_back_to(theirs, name, record)
            if isinstance(source, Rejected):
                return source
            with self._others.shown_as(theirs, "Amberlight is giving it back."):
                done = await self._clients.put_back(name, record)
                if isinstance(done, Problem):
                    return _rejected(done)
                updated, failed, restart = _outcome(done)
                parts = [f"Gave {name} back to {source.owner}.", _put_back_text(updated), restart]
                if record.added and name in self._engine.workloads:
                    removed = await self._remove([name])
                    if (refused := removed.refused.get(name)) is not None:
                        return refused
                    parts += removed.notes
                elif name in self._engine.workloads:
                    parts.append(f"{name} stays here: it was configured before the take-over.")
                runs = status_of(source.workload.word) not in GONE
                if record.ran and not runs:
                    problem = await self._others.ask(theirs, lambda owner, own: owner.restart(own))
                    if problem is not None:
                        failed.append(f"{problem.summary} {record.theirs} isn't running in {source.owner} yet.")
                        return GivenBack(name, " ".join(filter(None, parts)), updated, tuple(failed))
                if (rejected := await self._keep(name, None)) is not None:
                    failed.append(rejected.message)
            log.info("%s was given back as %s", name, theirs)
            return GivenBack(name, " ".join(filter(None, parts)), updated, tuple(failed))

    def _is_the_same(self, name: str, record: TakenOver) -> bool:
        """Whether the workload of this name is the one that was taken over, or it is gone."""
        from trayapp.clients.connections import comparable_url

        spec = self._engine.spec(name)
        return spec is None or not record.added or comparable_url(spec.url) == comparable_url(record.url)

    async def _give_back_to(self, theirs: str, name: str, record: TakenOver) -> Source | Rejected:
        """The other program's workload; a refusal if it can't be run there again."""
        source = await self._source(theirs)
        if isinstance(source, Problem):
            gone = f"{theirs} is gone, so {name} can't be given back. To remove it here: amberlight remove {name}."
            return _rejected(replace(source, summary=gone) if source.kind == UNKNOWN_WORKLOAD else source)
        runs = status_of(source.workload.word) not in GONE
        if record.ran and not runs and Verb.RESTART not in source.actions:
            text = f"{source.owner} can't run {record.theirs} right now. Start {source.owner}, then try again."
            return Rejected(409, CANNOT, text)
        return source

    # --- the record --------------------------------------------------------------------------------------------------

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


def _record(plan: Plan, before: TakenOver | None) -> TakenOver:
    """The way back, with what an earlier take-over that was cut short had found."""
    from trayapp.external.taken_over import Entry, TakenOver

    found = [Entry(each.client.name, str(each.file), each.name, each.before) for each in plan.clients]
    added, ran = plan.configured_as is None, plan.runs
    if not added and before is not None and (before.owner, before.theirs) == (plan.owner_id, plan.theirs):
        places = {(each.file, each.name) for each in found}
        found = [*(each for each in before.entries if (each.file, each.name) not in places), *found]
        added, ran = before.added, ran or before.ran
    return TakenOver(plan.owner_id, plan.theirs, plan.url, plan.client_url, added, ran, tuple(found))


def _needs_sign_in(plan: Plan, view: WorkloadView | None) -> bool:
    """A workload that was added has no login; another may well have one that is reconnecting."""
    if view is None:
        return True
    if plan.configured_as is None:
        return not view.auth.usable
    return view.status is Status.UNAUTHENTICATED and not view.auth.signing_in


def _outcome(done: Sequence[Done] | Problem) -> tuple[tuple[str, ...], list[str], str]:
    """Titles of the clients that were updated, sentences on the others, and what to do so that they notice."""
    if isinstance(done, Problem):
        return (), [done.summary], ""
    from trayapp.external.moving import restarts

    updated = tuple(dict.fromkeys(each.title for each in done if not each.problem))
    return updated, [each.problem for each in done if each.problem], restarts(done)


def _taken_text(plan: Plan) -> str:
    as_name = f" as {plan.name}" if plan.name != plan.theirs else ""
    return f"Took over {plan.theirs} from {plan.owner}{as_name}."


def _updated_text(titles: Sequence[str]) -> str:
    from trayapp.clients.connecting import joined

    return f"Updated {joined(titles)}." if titles else ""


def _put_back_text(titles: Sequence[str]) -> str:
    from trayapp.clients.connecting import joined

    return f"Restored {joined(titles)}." if titles else ""


def _rejected(problem: Problem) -> Rejected:
    return Rejected(404 if problem.kind == UNKNOWN_WORKLOAD else 409, problem.kind, problem.summary)
