"""The `history` routes: what workloads looked like and when, for one of them or for all, as the dashboard draws it.

Times are RFC 3339 in both directions. The response for all is written a few workloads at a time, so that thirty days
of two hundred workloads block neither the journal's thread nor the loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from aiohttp import web

from trayapp.core.attempt_sentences import GOOD, told
from trayapp.core.buckets import WIDTHS, Bucket, State, empty_buckets, fill
from trayapp.core.public import Json, rfc3339
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import OWN_HEADERS, Refusal, json_reply
from trayapp.storage.rows import HistoryRow
from trayapp.storage.timeline import Segment

DAY = 86400.0  # s; the default of `since`
LIMIT, LIMIT_ALL, LIMIT_MAX = 1000, 500, 5000  # segments of one workload in one response
ATTEMPTS = 50  # of one response
BATCH = 10  # workloads read in one job of the journal's thread; up to 5,000 segments, 30 ms


class HistoryReader(Protocol):
    """Where the history is read from: `storage.timeline.Timeline`."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]: ...

    async def attempts(self, name: str, since: float, limit: int) -> list[HistoryRow]: ...


class NoHistory:
    """The reader of an app that keeps no history."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        """No segments for any of the names."""
        return {name: ([], False) for name in names}

    async def attempts(self, name: str, since: float, limit: int) -> list[HistoryRow]:
        """None."""
        return []


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
    """The handlers. `known` returns all workload names."""

    def __init__(
        self,
        reader: HistoryReader,
        known: Callable[[], list[str]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._known = known
        self._wall = wall

    def of(self, view: Callable[[web.Request], WorkloadView]) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The handler for one workload; `view` gives the one that the request names, or raises `Refusal`."""

        async def one(request: web.Request) -> web.Response:
            return await self._one(request, view(request).name)

        return one

    async def _one(self, request: web.Request, name: str) -> web.Response:
        days, limit = _days(request), whole_number(request, "limit", LIMIT, LIMIT_MAX)
        now = self._wall()
        parts = empty_buckets(days, now) if days else []
        since = parts[0].at if parts else self._since(request)
        rows, more = (await self._reader.read([name], since, limit))[name]
        found: Json = {
            "workload": name,
            "since": rfc3339(since),
            "rows": [segment_json(row) for row in rows],
            "more": more,
        }
        if days:
            everything = rows if not more else (await self._reader.read([name], since, LIMIT_MAX))[name][0]
            found |= _drawn(days, parts, everything, now)
            attempts = await self._reader.attempts(name, since, ATTEMPTS)
            found["attempts"] = [attempt_json(each) for each in attempts]
        return json_reply(found)

    async def all(self, request: web.Request) -> web.StreamResponse:
        """The histories of all workloads, by name."""
        since, limit = self._since(request), whole_number(request, "limit", LIMIT_ALL, LIMIT_MAX)
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
        return since_of(request, self._wall() - DAY)


def since_of(request: web.Request, default: float) -> float:
    """The parameter `since` in wall seconds. Raises `Refusal` 400."""
    text = request.query.get("since")
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + is a space in a query
        return max(0.0, moment.timestamp()) if moment.tzinfo is not None else _bad_since()
    except (ValueError, OverflowError):
        return _bad_since()


def whole_number(request: web.Request, key: str, default: int, most: int, least: int = 1) -> int:
    """A parameter that is a number. Raises `Refusal` 400."""
    text = request.query.get(key, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and least <= int(text) <= most):
        raise Refusal(400, "bad_request", f"The parameter {key} has to be a whole number from {least} to {most}.")
    return int(text)


def _days(request: web.Request) -> int:
    """How many days the history is summed up for; 0: it isn't."""
    text = request.query.get("days", "0")
    if "days" in request.query and text not in map(str, WIDTHS):
        raise Refusal(400, "bad_request", "The parameter days has to be 1, 7 or 30.")
    return int(text)


def _drawn(days: int, parts: list[Bucket], rows: list[Segment], now: float) -> Json:
    """`{until, bucket_seconds, buckets}`."""
    width = WIDTHS[days]
    fill(parts, width, ((row.at, State(row.status, row.colour, row.glyph, row.detail)) for row in rows), now)
    return {
        "until": rfc3339(parts[-1].at + width),
        "bucket_seconds": width,
        "buckets": [
            {
                "at": rfc3339(part.at),
                "parts": [{**state._asdict(), "seconds": round(seconds, 1)} for state, seconds in part.parts()],
            }
            for part in parts
        ],
    }


def attempt_json(row: HistoryRow) -> Json:
    """`{at, kind, outcome, trigger, good, text}`."""
    return {
        "at": rfc3339(row.wall),
        "kind": row.kind,
        "outcome": row.outcome,
        "trigger": row.trigger,
        "good": row.outcome in GOOD,
        "text": told(row.kind, row.outcome, row.trigger, row.problem),
    }


def _members(found: dict[str, tuple[list[Segment], bool]]) -> str:
    """`"name":{"rows":[…],"more":false}` for each workload, joined with commas."""
    made = {name: {"rows": [segment_json(row) for row in rows], "more": more} for name, (rows, more) in found.items()}
    return json.dumps(made, separators=(",", ":"))[1:-1]


def _bad_since() -> float:
    example = "2026-01-02T03:04:05Z"
    raise Refusal(400, "bad_request", f"The parameter since has to be a time with its zone, such as {example}.")
