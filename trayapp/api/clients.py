"""Handlers for MCP clients: their settings for a workload, the state of their connections, connect and disconnect.

What they return or write contains local keys, so web pages other than our own are refused. The table of clients decides
which file is written and what is put there; a request only names a client and workloads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aiohttp import web

from trayapp.api.controls import Control
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import ACCOUNT, Problem
from trayapp.core.public import Json
from trayapp.core.sentences import no_address
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import PAGE, Refusal, json_reply, read_object

if TYPE_CHECKING:
    from trayapp.clients.connecting import Change, Row
    from trayapp.clients.table import Client

T = TypeVar("T")


class Detached(Protocol):
    """Run a job to its end even if the caller disconnects."""

    def __call__(self, what: str, job: Coroutine[Any, Any, T]) -> asyncio.Task[T]: ...


class ClientsApi:
    """`view` and `names` read a request's workload or workloads; they raise `Refusal`."""

    def __init__(
        self,
        control: Control,
        detached: Detached,
        view: Callable[[web.Request], WorkloadView],
        names: Callable[[object], list[str]],
    ) -> None:
        self._control = control
        self._detached = detached
        self._view = view
        self._names = names

    # --- settings to paste -------------------------------------------------------------------------------------------

    async def one(self, request: web.Request) -> web.Response:
        _refuse_other_pages(request)
        view = self._view(request)
        _refuse_accounts([view])
        return _settings(await self._control.client(view.name))

    async def several(self, request: web.Request) -> web.Response:
        names = self._names((await read_object(request, {"names": list})).get("names"))
        _refuse_other_pages(request)
        self._refuse_accounts(names)
        found = await self._control.clients(names)
        if found is None:
            raise _no_proxy()
        return json_reply({"clients": [_access_json(each) for each in found]})

    async def aggregate(self, request: web.Request) -> web.Response:
        _refuse_other_pages(request)
        return _settings(self._control.aggregate())

    # --- files -------------------------------------------------------------------------------------------------------

    async def installed(self, request: web.Request) -> web.Response:
        _refuse_other_pages(request)
        found = _done(await self._control.survey_clients())
        return json_reply({"clients": [_row_json(row) for row in found]})

    async def connect(self, request: web.Request) -> web.Response:
        client = _client(request)
        body = await read_object(request, {"names": list, "all": bool, "replace": bool})
        _refuse_other_pages(request)
        names, replace = self._workloads(body), bool(body.get("replace", False))
        self._refuse_accounts(names)
        return await self._change(
            f"connect {client.name}", self._control.connect_client(client, names, replace=replace)
        )

    async def disconnect(self, request: web.Request) -> web.Response:
        client = _client(request)
        body = await read_object(request, {"names": list, "all": bool})
        _refuse_other_pages(request)
        return await self._change(
            f"disconnect {client.name}", self._control.disconnect_client(client, self._workloads(body))
        )

    def _workloads(self, body: Json) -> list[str]:
        """Names of workloads, with `ALL` if the single entry for all is meant."""
        from trayapp.clients.connecting import ALL

        if body.get("all") is True:
            return [ALL] if body.get("names") is None else [*self._names(body["names"]), ALL]
        return self._names(body.get("names"))

    def _refuse_accounts(self, names: list[str]) -> None:
        workloads = self._control.snapshot().workloads
        _refuse_accounts([workloads[name] for name in names if name in workloads])

    async def _change(self, what: str, job: Coroutine[Any, Any, Change | Problem]) -> web.Response:
        change = _done(await asyncio.shield(self._detached(what, job)))
        return json_reply(
            {
                "message": change.message,
                "changed": change.changed,
                "kept": list(change.kept),
                "client": _row_json(change.row),
            }
        )


def _refuse_accounts(views: list[WorkloadView]) -> None:
    """An account has no address for a client."""
    for view in views:
        if view.kind == ACCOUNT:
            raise Refusal(409, ACCOUNT, no_address(view.name))


def _client(request: web.Request) -> Client:
    from trayapp.clients.table import BY_NAME

    client = BY_NAME.get(request.match_info["client"])
    if client is None:
        raise Refusal(404, "unknown_client", "There's no client of this name.")
    return client


def _done(result: T | Problem) -> T:
    if isinstance(result, Problem):
        raise Refusal(503 if result.kind == "no_proxy" else 409, result.kind, result.summary)
    return result


def _row_json(row: Row) -> Json:
    from trayapp.clients.connecting import ALL

    found, client = row.found, row.found.client
    states = {each.workload: each for each in row.connections}
    together = states.pop(ALL, None)
    return {
        "name": client.name,
        "title": client.title,
        "file": row.place,
        "installed": found.installed,
        "problem": _sentence(row) or None,
        "restart": client.restart,
        "workloads": [
            {"name": each.workload, "state": each.state.value, "entry": each.entry} for each in states.values()
        ],
        "all": None if together is None else together.state.value,
    }


def _sentence(row: Row) -> str:
    """Why its file can't be read, as a sentence; empty if it can."""
    problem = row.found.problem.replace(str(row.found.file), row.place)
    return f"{problem}." if problem else ""


def _settings(access: ClientAccess | None) -> web.Response:
    """How a client reaches the proxy, with the text to paste for each known client."""
    if access is None:
        raise _no_proxy()
    from trayapp.clients.pasted import texts

    return json_reply({**_access_json(access), "settings": texts(access)})


def _access_json(access: ClientAccess) -> Json:
    return {
        "name": access.name,
        "url": access.url,
        "headers": access.headers(),
        "lasting": access.lasting,
        "transport": "sse" if access.sse else "http",
        "command": list(access.command),
    }


def _no_proxy() -> Refusal:
    return Refusal(503, "no_proxy", "The proxy is off. See: amberlight doctor")


def refuse_browsers(request: web.Request) -> None:
    """Raise `Refusal` for a browser's request, even one with the API key (SECURITY.md 33)."""
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        raise browser_refusal()


def browser_refusal() -> Refusal:
    return Refusal(403, "forbidden", "Browsers can't get this, even with the right key.")


def _refuse_other_pages(request: web.Request) -> None:
    if not request.get(PAGE, False):  # the dashboard may: a person clicks there
        refuse_browsers(request)
