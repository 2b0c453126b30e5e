"""Handlers that take over another program's workload, and give it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.controls import Control, Rejected
from trayapp.api.editing import refuse
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import json_reply, read_object

T = TypeVar("T")


class TakeOverApi:
    """`external` reads a request's workload of another program, `name` one of ours, which may be gone; they raise
    `Refusal`. `forget` is told of removed ones."""

    def __init__(
        self,
        control: Control,
        detached: Detached,
        external: Callable[[web.Request], WorkloadView],
        name: Callable[[web.Request], str],
        forget: Callable[[str], None],
    ) -> None:
        self._control = control
        self._detached = detached
        self._external = external
        self._name = name
        self._forget = forget

    async def plan(self, request: web.Request) -> web.Response:
        theirs = self._external(request).name
        found = _done(await self._control.plan_take_over(theirs, request.query.get("name", "")))
        return json_reply(
            {
                "name": found.name,
                "url": found.url,
                "owner": found.owner,
                "configured_as": found.configured_as,
                "clients": [{"title": title, "file": file, "entry": entry} for title, file, entry in found.clients],
                "notes": list(found.notes),
                "needs_secret": found.needs_secret,
                "problem": found.problem or None,
            }
        )

    async def take(self, request: web.Request) -> web.Response:
        theirs = self._external(request).name
        body = await read_object(request, {"browser": bool, "name": str, "sign_in": bool})
        browser, sign_in = bool(body.get("browser", True)), bool(body.get("sign_in", True))
        wanted = body.get("name")
        wanted = wanted if isinstance(wanted, str) else ""
        job = self._control.take_over(theirs, wanted, browser=browser, sign_in=sign_in)
        made = await self._carried_out(f"take {theirs} over", job)
        result = {
            "name": made.name,
            "message": made.message,
            "updated": list(made.updated),
            "failed": list(made.failed),
        }
        return json_reply({**result, "authorization_url": made.authorization_url}, 202)

    async def give_back(self, request: web.Request) -> web.Response:
        name = self._name(request)
        await read_object(request, {})
        made = await self._carried_out(f"give {name} back", self._control.give_back(name))
        self._forget(name)
        return json_reply(
            {"name": made.name, "message": made.message, "updated": list(made.updated), "failed": list(made.failed)},
            202,
        )

    async def _carried_out(self, what: str, job: Coroutine[Any, Any, T | Rejected]) -> T:
        return _done(await asyncio.shield(self._detached(what, job)))


def _done(result: T | Rejected) -> T:
    if isinstance(result, Rejected):
        refuse(result)
    return result
