"""The clients on this machine for the dashboard: which workloads each has, and connecting and disconnecting them.

Their files are read and written in a worker thread with a limit; everything else happens on the engine's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from trayapp.app.client_addresses import ClientAddresses
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Problem, Spec
from trayapp.core.outages import BY_MENU, fact, remedy
from trayapp.core.snapshot import Snapshot
from trayapp.system.worker import ClosedError, HangingError, Worker

if TYPE_CHECKING:  # 1 MB, and most of the time nobody looks at the clients
    from trayapp.clients.changes import Changes
    from trayapp.clients.connecting import Change, Row, Wanted
    from trayapp.clients.entries import Access
    from trayapp.clients.places import Machine
    from trayapp.clients.repairs import Repaired
    from trayapp.clients.table import Client
    from trayapp.external.moving import Done
    from trayapp.external.pointing import Pointing
    from trayapp.external.taken_over import TakenOver
    from trayapp.importers.offers import Offer

LIMIT = 20.0  # s for all of one request; a healthy disk takes a tenth of a second

NO_PROXY = Problem("no_proxy", "The proxy is off. Run `amberlight doctor`.")
NOT_HERE = Problem("not_here", "The demo can't connect clients.")
HANGING = Problem("hanging", "A client's file can't be reached: its disk or network share isn't responding.")

T = TypeVar("T")


class Workloads(Protocol):
    """What is needed of the engine."""

    @property
    def workloads(self) -> Mapping[str, object]: ...

    def spec(self, name: str) -> Spec | None: ...

    def snapshot(self) -> Snapshot: ...


class ClientFiles:
    """Belongs to the engine's loop. `machine` is None where clients are left alone: the demo."""

    def __init__(
        self,
        machine: Callable[[], Machine] | None,
        state_dir: Path,
        addresses: ClientAddresses,
        engine: Workloads,
    ) -> None:
        self._machine = machine
        self._state_dir = state_dir
        self._addresses = addresses
        self._engine = engine
        self._worker = Worker("clients", LIMIT)

    async def survey(self) -> list[Row] | Problem:
        """Each client of the table, with what it has of each workload."""
        from trayapp.clients import connecting

        wanted = self._wanted(())
        if isinstance(wanted, Problem):
            return wanted
        return await self._run(lambda machine: connecting.rows(machine, wanted))

    async def offers(self) -> list[Offer] | Problem:
        """Servers of installed clients and ToolHive that aren't workloads yet."""
        from trayapp.clients.survey import survey
        from trayapp.importers.offers import offers

        specs = {name: spec for name in self._engine.workloads if (spec := self._engine.spec(name)) is not None}
        return await self._run(
            lambda machine: offers(
                machine, [each for each in survey(machine) if each.installed and not each.problem], specs
            )
        )

    async def connect(self, client: Client, names: Sequence[str], *, replace: bool) -> Change | Problem:
        """Write entries for these workloads (`ALL`: a single one for all) into the client's file."""
        from trayapp.clients import connecting
        from trayapp.clients.connecting import ALL

        accesses = await self._addresses.several([name for name in names if name != ALL])
        wanted = self._wanted(names, accesses or ())
        if isinstance(wanted, Problem):
            return wanted
        if (unreachable := self.reachable()) is not None:
            return unreachable
        return await self._run(
            lambda machine: connecting.connect(machine, self._changes(), client, wanted, replace=replace)
        )

    async def disconnect(self, client: Client, names: Sequence[str]) -> Change | Problem:
        """Take our entries for these workloads out of the client's file."""
        from trayapp.clients import connecting

        wanted = self._wanted(names)
        if isinstance(wanted, Problem):
            return wanted
        return await self._run(lambda machine: connecting.disconnect(machine, self._changes(), client, wanted))

    async def repair(self) -> list[Repaired] | Problem:
        """Give the stale entries in all clients' files the address and keys as they are now."""
        from trayapp.clients import repairs

        wanted = self._wanted(())
        if isinstance(wanted, Problem):
            return wanted
        return await self._run(lambda machine: repairs.repair_all(machine, self._changes(), wanted.accesses))

    async def repoint(self, name: str, new: str) -> list[str]:
        """Send the entries for a workload that was renamed to its new address; what was done, in sentences."""
        from trayapp.clients import repointing

        if self._machine is None:
            return []
        done = await self._run(lambda machine: repointing.repoint(machine, self._changes(), name, new))
        return [done.summary] if isinstance(done, Problem) else [each.text for each in done]

    async def take_out(self, names: Sequence[str]) -> list[str]:
        """Take out the entries for workloads that were removed; what was done and what is left, in sentences."""
        from trayapp.clients import leaving

        if self._machine is None or not names:
            return []
        done = await self._run(lambda machine: leaving.take_out(machine, self._changes(), names))
        return [done.summary] if isinstance(done, Problem) else done

    # --- of a workload that is taken over ----------------------------------------------------------------------------

    async def pointing(self, client_url: str) -> tuple[Sequence[Pointing], Sequence[str]] | Problem:
        """Entries that go to another program's proxy, and clients whose files can't be read, a sentence each."""
        from trayapp.clients.connecting import short
        from trayapp.clients.projects import everywhere
        from trayapp.external.pointing import pointing

        together = self._addresses.aggregate()
        own = "" if together is None else together.url

        def look(machine: Machine) -> tuple[Sequence[Pointing], Sequence[str]]:
            found = everywhere(machine, self._changes())
            unread = [each for each in found if each.problem and each.installed]
            notes = [
                f"{each.client.title} may use it, too, but its file can't be read: {each.problem}." for each in unread
            ]
            entries = [changed(each, shown=short(each.file, machine.home)) for each in pointing(found, client_url, own)]
            return entries, notes

        return await self._run(look)

    async def texts(self, record: TakenOver) -> Mapping[str, str] | Problem:
        """The files of these entries as they are now."""
        from trayapp.external.moving import originals

        return await self._run(lambda machine: originals(record.entries))

    async def reach(self, name: str) -> Access | Problem:
        """What an entry for this workload needs."""
        from trayapp.clients.entries import own_access

        found = await self._addresses.several([name])
        return own_access(found[0]) if found else NO_PROXY

    async def move(
        self, access: Access, record: TakenOver, texts: Mapping[str, str]
    ) -> tuple[TakenOver, Sequence[Done]] | Problem:
        """Point these entries to a workload of ours; the record then has the way back."""
        from trayapp.external import moving

        return await self._run(lambda machine: moving.move(machine, self._changes(), access, record, texts))

    async def put_back(self, name: str, record: TakenOver) -> Sequence[Done] | Problem:
        """Put them back as they were."""
        from trayapp.external import moving

        return await self._run(lambda machine: moving.put_back(machine, self._changes(), name, record))

    def reachable(self) -> Problem | None:
        """Why clients can't be connected now."""
        together = self._addresses.aggregate()
        if together is None:
            return NO_PROXY
        if (outage := self._engine.snapshot().outage) is not None:
            return Problem("not_lasting", f"{fact(outage)} {remedy(outage, how=BY_MENU)}")
        if self._addresses.lasting():
            return None
        from trayapp.clients.connecting import not_lasting_text

        return Problem("not_lasting", not_lasting_text(together.url))

    # --- shared ------------------------------------------------------------------------------------------------------

    def _changes(self) -> Changes:
        from trayapp.clients.changes import Changes

        return Changes(self._state_dir, lambda: f"{datetime.now():%Y-%m-%d}")

    def _wanted(self, names: Sequence[str], known: Iterable[ClientAccess] = ()) -> Wanted | Problem:
        """With `known`, whose transport has been found out; that of the others doesn't matter here."""
        from trayapp.clients.connecting import ALL, Wanted
        from trayapp.clients.entries import own_access

        together = self._addresses.aggregate()
        found = None if together is None else self._addresses.all_known(sorted(self._engine.workloads))
        if together is None or found is None:
            return NO_PROXY
        accesses = {each.name: own_access(each) for each in (*found, *known)}
        specs = {name: spec for name in accesses if (spec := self._engine.spec(name)) is not None}
        urls = {name: spec.url for name, spec in specs.items()}
        return Wanted({**accesses, ALL: own_access(together)}, urls, names)

    async def _run(self, job: Callable[[Machine], T]) -> T | Problem:
        machine = self._machine
        if machine is None:
            return NOT_HERE
        from trayapp.clients.edits import EditError
        from trayapp.clients.files import FileError

        try:
            return await self._worker.run(lambda: job(machine()))
        except (FileError, EditError) as error:
            return Problem("client_file", f"{error}.")
        except OSError as error:
            return Problem("client_file", f"{error.filename} can't be read: {error.strerror}.")
        except (HangingError, ClosedError):
            return HANGING

    async def close(self) -> None:
        """End the worker thread."""
        await self._worker.close()
