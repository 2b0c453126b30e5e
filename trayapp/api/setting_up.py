"""Handlers of the dashboard's set-up: servers that could be added, and whether a workload's tools can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.controls import Control
from trayapp.core.model import Problem
from trayapp.core.public import Json
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import Refusal, json_reply, read_object

if TYPE_CHECKING:
    from trayapp.importers.offers import Offer


class SettingUpApi:
    """`view` reads the request's workload; it raises `Refusal`."""

    def __init__(self, control: Control, detached: Detached, view: Callable[[web.Request], WorkloadView]) -> None:
        self._control = control
        self._detached = detached
        self._view = view

    async def offers(self, request: web.Request) -> web.Response:
        found = await asyncio.shield(self._detached("look for servers", self._control.offers()))
        if isinstance(found, Problem):
            raise Refusal(409, found.kind, found.summary)
        return json_reply({"offers": [_offer_json(each) for each in found]})

    async def check(self, request: web.Request) -> web.Response:
        name = self._view(request).name
        await read_object(request, {})
        answer = await self._control.check(name)
        if isinstance(answer, Problem):
            raise Refusal(503, answer.kind, answer.summary)
        return json_reply({"tools": answer.tools, "message": answer.message, "help": answer.help})


def _offer_json(offer: Offer) -> Json:
    keys = {key: list(value) if isinstance(value, tuple) else value for key, value in offer.entry.keys.items()}
    return {
        "name": offer.entry.name,
        "host": offer.host,
        "places": list(offer.places),
        "keys": keys,
        "notes": list(offer.entry.notes),
    }
