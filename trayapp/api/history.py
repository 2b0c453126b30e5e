"""The `history` routes: what workloads looked like and when, for one of them or for all, as the dashboard draws it.

Times are RFC 3339 in both directions. The response for all is written a few workloads at a time, so that thirty days
of two hundred workloads block neither the journal's thread nor the loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from aiohttp import web

from trayapp.core.public import Json, rfc3339
from trayapp.server.replies import OWN_HEADERS, Refusal, json_reply
from trayapp.storage.timeline import Segment

DAY = 86400.0  # s; the default of `since`
LIMIT, LIMIT_ALL, LIMIT_MAX = 1000, 500, 5000  # segments of one workload in one response
BATCH = 10  # workloads read in one job of the journal's thread; up to 5,000 segments, 30 ms


class HistoryReader(Protocol):
    """Where the history is read from: `storage.timeline.Timeline`."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]: ...


class NoHistory:
    """The reader of an app that keeps no history."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        """No segments for any of the names."""
        return {name: ([], False) for name in names}


def segment_json(segment: Segment) -> Json:
    """`{at, status, colour, glyph, detail, text}`."""
    return {
        "at": rfc3339(segment.at),
        "status": segment.status,
        "colour": segment.colour,
        "glyph": segment.glyph,
        "detail": segment.detail,
        "text": segment.text,
    }


def event_json(name: str, segment: Segment) -> Json:
    """The data of a `history` event: a segment and the name of its workload."""
    return {"workload": name, **segment_json(segment)}


class History:
    """The two handlers. `known` returns all workload names, `name` the validated name in a request."""

    def __init__(
        self,
        reader: HistoryReader,
        known: Callable[[], list[str]],
        name: Callable[[web.Request], str],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._known = known
        self._name = name
        self._wall = wall

    async def one(self, request: web.Request) -> web.Response:
        """The history of one workload."""
        name = self._name(request)
        since, limit = self._since(request), _limit(request, LIMIT)
        rows, more = (await self._reader.read([name], since, limit))[name]
        return json_reply(
            {"workload": name, "since": rfc3339(since), "rows": [segment_json(row) for row in rows], "more": more}
        )

    async def all(self, request: web.Request) -> web.StreamResponse:
        """The histories of all workloads, by name."""
        since, limit = self._since(request), _limit(request, LIMIT_ALL)
        names = sorted(self._known())
        response = web.StreamResponse(headers={**OWN_HEADERS, "Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        await response.write(f'{{"since":{json.dumps(rfc3339(since))},"workloads":{{'.encode())
        for start in range(0, len(names), BATCH):
            found = await self._reader.read(names[start : start + BATCH], since, limit)
            await response.write(("," * bool(start) + _members(found)).encode())
            await asyncio.sleep(0)
        await response.write(b"}}")
        await response.write_eof()
        return response

    def _since(self, request: web.Request) -> float:
        """Wall seconds; a day ago by default."""
        text = request.query.get("since")
        if text is None:
            return self._wall() - DAY
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + is a space in a query
            return max(0.0, moment.timestamp()) if moment.tzinfo is not None else _bad_since()
        except (ValueError, OverflowError):
            return _bad_since()


def _members(found: dict[str, tuple[list[Segment], bool]]) -> str:
    """`"name":{"rows":[…],"more":false}` for each workload, joined with commas."""
    made = {name: {"rows": [segment_json(row) for row in rows], "more": more} for name, (rows, more) in found.items()}
    return json.dumps(made, separators=(",", ":"))[1:-1]


def _bad_since() -> float:
    example = "2026-01-02T03:04:05Z"
    raise Refusal(400, "bad_request", f"The parameter since has to be a time with its zone, such as {example}.")


def _limit(request: web.Request, default: int) -> int:
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX):
        raise Refusal(400, "bad_request", f"The parameter limit has to be a whole number from 1 to {LIMIT_MAX}.")
    return int(text)
