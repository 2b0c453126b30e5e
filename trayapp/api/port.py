"""Handler that moves the loopback server to another port; the request may come from the dashboard at the old one."""

from __future__ import annotations

import asyncio

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.controls import Control
from trayapp.api.pagekeys import PageKeys
from trayapp.core.model import Problem
from trayapp.server.replies import Refusal, json_reply, read_object


class PortApi:
    """`page_keys` make the link to the dashboard at the new port."""

    def __init__(self, control: Control, detached: Detached, page_keys: PageKeys) -> None:
        self._control = control
        self._detached = detached
        self._page_keys = page_keys

    async def change(self, request: web.Request) -> web.Response:
        port = (await read_object(request, {"port": object})).get("port")
        if port is not None and (type(port) is not int or not 1 <= port <= 65535):
            raise Refusal(400, "bad_request", "The field port has to be a number from 1 to 65535.", field="port")
        result = await asyncio.shield(self._detached("change the port", self._control.change_port(port)))
        if isinstance(result, Problem):
            raise Refusal(409, result.kind, result.summary)
        link = f"http://127.0.0.1:{result.port}/#once={self._page_keys.link().reveal()}"
        return json_reply(
            {
                "port": result.port,
                "message": result.message,
                "updated": list(result.updated),
                "failed": list(result.failed),
                "url": link,
            }
        )
