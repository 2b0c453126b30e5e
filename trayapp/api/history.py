"""What was: `history` of one workload or of all, as the dashboard draws it.

Times come and go as RFC 3339. The answer for all is written a few workloads at a time, so that neither the journal's
thread nor the loop is held up by thirty days of two hundred workloads.
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

DAY = 86400.0  # s; as far back as is told when nobody says since when
LIMIT, LIMIT_ALL, LIMIT_MAX = 1000, 500, 5000  # segments of one workload in one answer
SLICE = 10  # workloads in one job of the journal's thread; up to 5,000 segments, 30 ms


class HistoryReader(Protocol):
    """What the history is read from; `storage.timeline.Timeline`."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]: ...


class NoHistory:
    """The history of an app that keeps none."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        """Nothing happened."""
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
    """The data of a `history` event: the same with the name of the workload."""
    return {"workload": name, **segment_json(segment)}


class History:
    """The two handlers. `known` gives the names that there are, `name` the checked name of a request."""

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
        """Of one workload."""
        name = self._name(request)
        since, limit = self._since(request), _limit(request, LIMIT)
        rows, more = (await self._reader.read([name], since, limit))[name]
        return json_reply(
            {"workload": name, "since": rfc3339(since), "rows": [segment_json(row) for row in rows], "more": more}
        )

    async def all(self, request: web.Request) -> web.StreamResponse:
        """Of all workloads, by name."""
        since, limit = self._since(request), _limit(request, LIMIT_ALL)
        names = sorted(self._known())
        response = web.StreamResponse(headers={**OWN_HEADERS, "Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        await response.write(f'{{"since":{json.dumps(rfc3339(since))},"workloads":{{'.encode())
        for start in range(0, len(names), SLICE):
            found = await self._reader.read(names[start : start + SLICE], since, limit)
            await response.write(("," * bool(start) + _pieces(found)).encode())
            await asyncio.sleep(0)
        await response.write(b"}}")
        await response.write_eof()
        return response

    def _since(self, request: web.Request) -> float:
        """Wall seconds; a day ago if nobody says."""
        text = request.query.get("since")
        if text is None:
            return self._wall() - DAY
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + is a space in a query
            return max(0.0, moment.timestamp()) if moment.tzinfo is not None else _not_a_time()
        except (ValueError, OverflowError):
            return _not_a_time()


def _pieces(found: dict[str, tuple[list[Segment], bool]]) -> str:
    """`"name":{"rows":[…],"more":false}`, joined."""
    made = {name: {"rows": [segment_json(row) for row in rows], "more": more} for name, (rows, more) in found.items()}
    return json.dumps(made, separators=(",", ":"))[1:-1]


def _not_a_time() -> float:
    example = "2026-01-02T03:04:05Z"
    raise Refusal(400, "bad_request", f"The parameter since has to be a time with its zone, such as {example}.")


def _limit(request: web.Request, default: int) -> int:
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX):
        raise Refusal(400, "bad_request", f"The parameter limit has to be a whole number from 1 to {LIMIT_MAX}.")
    return int(text)
