"""Handlers for workloads that other programs keep signed in: list, status, and what those programs are asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.controls import Control
from trayapp.core.external import drawn, external_name, split_name
from trayapp.core.public import Json, status_json
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import Refusal, empty_reply, json_reply, read_object

UNKNOWN = "unknown_workload"  # the kind of problem that is a 404


class ExternalApi:
    """`row` makes a row of the list; `flag` reads a query parameter that is true or false."""

    def __init__(
        self,
        control: Control,
        detached: Detached,
        row: Callable[[web.Request, WorkloadView], Json],
        flag: Callable[[web.Request, str], bool],
    ) -> None:
        self._control = control
        self._detached = detached
        self._row = row
        self._flag = flag

    def view(self, request: web.Request) -> WorkloadView:
        """The workload that the request names. Raises `Refusal` 400 or 404."""
        name = external_name(request.match_info["owner"], request.match_info["name"])
        if split_name(name) is None:
            rule = "1 to 128 of A-Z, a-z, 0-9, ., _ and -, after the program's name and a slash"
            raise Refusal(400, "bad_name", f"The name of another program's workload is {rule}.")
        view = self._control.snapshot().external.get(name)
        if view is None:
            problem = self._control.missing_external(name)
            raise Refusal(404, problem.kind, problem.summary)
        return view

    async def listing(self, request: web.Request) -> web.Response:
        views = self._control.snapshot().external.values()
        listed = views if self._flag(request, "all") else drawn(views)
        rows = [self._row(request, view) for view in sorted(listed, key=lambda view: view.name)]
        return json_reply({"workloads": rows, "problems": self._control.external_problems()})

    async def status(self, request: web.Request) -> web.Response:
        return json_reply(status_json(self.view(request)) | {"sources": self._control.sources()})

    async def restart(self, request: web.Request) -> web.Response:
        name = self.view(request).name
        await read_object(request, {})
        problem = await asyncio.shield(self._detached(f"restart {name}", self._control.restart_external(name)))
        if problem is not None:
            raise Refusal(404 if problem.kind == UNKNOWN else 409, problem.kind, problem.summary)
        return empty_reply(202)
