"""A strict reader of server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

LIMIT = 30.0  # s


@dataclass
class ReceivedEvent:
    """One event; `data` is the JSON of its data lines."""

    id: str
    kind: str
    data: Any


class EventReader:
    """One open stream. `comments` counts the heartbeats so far."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        self.response = response
        self.comments = 0
        self.retry: int | None = None

    async def next(self) -> ReceivedEvent:
        """The next event; `EOFError` at the end of the stream."""
        async with asyncio.timeout(LIMIT):
            return await self._next()

    async def _next(self) -> ReceivedEvent:
        fields: dict[str, list[str]] = {}
        while True:
            raw = await self.response.content.readline()
            if not raw:
                raise EOFError
            line = raw.decode().removesuffix("\n")
            if not line:
                if "data" in fields:
                    (kind,), (id_,) = fields["event"], fields["id"]
                    return ReceivedEvent(id_, kind, json.loads("\n".join(fields["data"])))
                fields = {}
            elif line.startswith(":"):
                self.comments += 1
            else:
                name, _, value = line.partition(": ")
                assert name in ("id", "event", "data", "retry"), line
                if name == "retry":
                    self.retry = int(value)
                fields.setdefault(name, []).append(value)
