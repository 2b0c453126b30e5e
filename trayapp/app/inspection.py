"""What the running app finds out about itself and this machine, for the dashboard's *Diagnostics*.

The checks are those of `amberlight doctor`, and the report is that of `amberlight report`. What reads files runs in a
thread, and everything that only this needs is loaded when somebody looks.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trayapp import __version__
from trayapp.app.client_files import NOT_HERE
from trayapp.config.paths import Paths
from trayapp.core.checks import Check, Report
from trayapp.core.log_lines import LogEntry, LogQuery, newest_entries
from trayapp.core.model import Problem
from trayapp.core.public import app_json, list_row_json, listed_views
from trayapp.core.snapshot import Snapshot
from trayapp.system.plain_files import read_plain, within

if TYPE_CHECKING:
    from trayapp.clients.places import Machine

OLD_LOGS = 3  # kept beside the current one, as `app/logs.py` rotates them
LOG_MAX = 1 << 21  # bytes of one file; it is rotated at half of that


class App(Protocol):
    """What is needed of the running app: `app.control.AppControl`."""

    @property
    def started_at(self) -> float: ...

    def snapshot(self) -> Snapshot: ...

    def created_at(self, name: str) -> float: ...


class Inspection:
    """Belongs to the engine's loop. `report` makes the app's own checks; `url` is where it listens, if it does;
    `machine` is None where clients are left alone: the demo."""

    def __init__(
        self,
        paths: Paths,
        report: Callable[[], Awaitable[Report]],
        app: App,
        url: Callable[[], str],
        machine: Callable[[], Machine] | None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._paths = paths
        self._report = report
        self._app = app
        self._url = url
        self._machine = machine
        self._environ = environ
        self._busy = asyncio.Lock()  # two pages that look at the same time don't double the work

    async def checks(self) -> list[Check]:
        """Those of `amberlight doctor`, in its order."""
        return await self._checked(fix=False)

    async def fix(self) -> list[Check] | Problem:
        """Fix what `amberlight doctor --fix` fixes, and check again."""
        if self._machine is None:
            return NOT_HERE
        return await self._checked(fix=True)

    async def _checked(self, *, fix: bool) -> list[Check]:
        from trayapp.app import checks as doctor
        from trayapp.app.client_checks import clients
        from trayapp.app.file_checks import files

        async with self._busy:
            config, first = await asyncio.to_thread(doctor.configuration, self._paths, self._environ)
            report = await self._report()
            network = await doctor.network_checks(config, report)
            machine = self._machine
            groups = await asyncio.to_thread(
                lambda: [
                    files(self._paths),
                    [doctor.autostart()],
                    clients(self._paths, config, fix=fix, machine=machine()) if machine else [],
                ]
            )
            ours, autostart, theirs = groups
            own = doctor.running_checks(report, os.getpid(), __version__, self._url())
            return [*first, *ours, *network, *autostart, *theirs, *own]

    async def log(self, query: LogQuery) -> tuple[str, list[LogEntry], bool]:
        """The log's file, its wanted entries, newest first, and whether there are more."""
        found, more = await asyncio.to_thread(lambda: newest_entries(_lines(self._paths.log_file), query))
        return str(self._paths.log_file), found, more

    async def bug_report(self) -> tuple[str, str]:
        """A name for the file, and the text."""
        from trayapp.app.report import contents, file_name, report_text

        found = [asdict(check) for check in await self.checks()]
        now, app = time.time(), self._state()
        text = await asyncio.to_thread(lambda: report_text(contents(self._paths, self._environ, now, app, found)))
        return file_name(now), text

    def _state(self) -> dict[str, Any]:
        """The app and its workloads as the API shows them."""
        app, snapshot = self._app, self._app.snapshot()
        port = int(self._url().rpartition(":")[2] or 0)
        rows = [
            list_row_json(view, port=port, created_at=app.created_at(view.name), started_at=app.started_at)
            for view in (*listed_views(snapshot, everything=True), *snapshot.external.values())
        ]
        return {"state": app_json(snapshot, __version__, app.started_at), "workloads": rows}


def _lines(log_file: Path) -> Iterator[str]:
    """The log's lines, newest first; older files are read only if they are wanted."""
    for file in (log_file, *(Path(f"{log_file}.{number}") for number in range(1, OLD_LOGS + 1))):
        try:
            content = within(file, lambda file=file: read_plain(file, LOG_MAX))  # type: ignore[misc]
        except OSError:
            return
        yield from reversed(content.decode("utf-8", "replace").splitlines())
