"""Server-sent events: every change of a workload or of the app, without letting slow readers cost memory or time.

A reader is a position in one ring buffer of the latest events, never a queue of its own. A reader that doesn't take
what is written is disconnected; when it returns, its `Last-Event-ID` says what it missed. An id that the ring no
longer holds, or that came from an earlier run, is answered with one `reset` and the full list.

The events are `workload` (a row of the list), `removed` (`{"name"}`), `history` (a segment that began), `app` (the
app's own state, when it changed), `activity` (`{}`: more was recorded) and `reset` (`{"workloads": [row, …]}`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from aiohttp import web

from trayapp.core.public import app_json, list_row_json
from trayapp.core.snapshot import Snapshot, WorkloadView
from trayapp.server.replies import OWN_HEADERS, Refusal

RING_SIZE = 1000  # events; an hour of a bad network with ten workloads
HEARTBEAT = 15.0  # s; proxies and clients give up on a stream that is silent for 30 to 60
WRITE_LIMIT = 5.0  # s for one write; on loopback, a client that reads needs none
READERS_MAX = 32
BATCH = 64  # rows or events in one write; a thousand rows in one would block the loop for 20 ms
RECONNECT_AFTER = 2000  # ms; the `retry` field of the stream

_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")

log = logging.getLogger(__name__)


class RowContext(Protocol):
    """What a row of the list needs besides the view."""

    @property
    def started_at(self) -> float: ...

    def snapshot(self) -> Snapshot: ...

    def created_at(self, name: str) -> float: ...


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event. It is serialized only when a reader gets it."""

    number: int
    name: str
    view: WorkloadView | None = None  # None: removed, or an event with `data`
    created_at: float = 0.0  # wall
    kind: str = ""  # the event's type, if it has `data`
    data: Callable[[], Mapping[str, object]] | None = None


class Events:
    """The ring and its readers. Belongs to the engine's loop."""

    def __init__(
        self,
        rows: RowContext,
        *,
        version: str = "",
        ring_size: int = RING_SIZE,
        heartbeat: float = HEARTBEAT,
        write_limit: float = WRITE_LIMIT,
    ) -> None:
        self._rows = rows
        self._version = version
        self._heartbeat = heartbeat
        self._write_limit = write_limit
        self._run = secrets.token_hex(4)  # ids of an earlier run mean nothing here
        self._ring: deque[EventRecord] = deque(maxlen=ring_size)
        self._last = 0
        self._known: Mapping[str, WorkloadView] = {}
        self._app: Mapping[str, object] | None = None  # the content of the latest `app` event
        self._readers: set[asyncio.Event] = set()
        self._closed = False

    @property
    def readers(self) -> int:
        """The number of open streams."""
        return len(self._readers)

    def published(self, snapshot: Snapshot) -> None:
        """Turn the difference to the previous snapshot into events. Views are shared, so identity is enough."""
        before, self._known = self._known, snapshot.everything
        for name, view in self._known.items():
            if before.get(name) is not view:
                self._add(name, view, self._rows.created_at(name))
        for name in before:
            if name not in self._known:
                self._add(name, None)
        self._emit_app_change(snapshot)
        for reader in self._readers:
            reader.set()

    def emit(self, kind: str, data: Callable[[], Mapping[str, object]]) -> None:
        """Add an event; `data` is called for the JSON when a reader gets it."""
        self._last += 1
        self._ring.append(EventRecord(self._last, "", kind=kind, data=data))
        for reader in self._readers:
            reader.set()

    def _emit_app_change(self, snapshot: Snapshot) -> None:
        before, self._app = self._app, (now := app_json(snapshot, self._version, self._rows.started_at))
        if before is not None and before != now:
            self.emit("app", lambda: now)

    def close(self) -> None:
        """End every stream now."""
        self._closed = True
        for reader in self._readers:
            reader.set()

    def _add(self, name: str, view: WorkloadView | None, created_at: float = 0.0) -> None:
        self._last += 1
        self._ring.append(EventRecord(self._last, name, view, created_at))

    # --- one reader --------------------------------------------------------------------------------------------------

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The handler. It ends with the client, with the app, or when the client reads too slowly."""
        if len(self._readers) >= READERS_MAX or self._closed:
            raise Refusal(
                503, "busy", f"At most {READERS_MAX} clients may listen at the same time.", {"Retry-After": "5"}
            )
        response = web.StreamResponse(headers={**OWN_HEADERS, "Content-Type": "text/event-stream"})
        woken = asyncio.Event()
        self._readers.add(woken)
        try:
            await response.prepare(request)
            await self._serve(request, response, woken)
        except TimeoutError:
            log.info("a reader of the event stream was too slow and is dropped")
            if request.transport is not None:
                request.transport.abort()  # discard what it hasn't read
        except ConnectionError:  # it disconnected during a write
            log.debug("a reader of the event stream went away")
        finally:
            self._readers.discard(woken)
        return response

    async def _serve(self, request: web.Request, response: web.StreamResponse, woken: asyncio.Event) -> None:
        port = request.url.port or 0  # the Host header has been checked, so this is our port
        cursor = self._resume_position(request.headers.get("Last-Event-ID", ""))
        await self._write(response, f"retry: {RECONNECT_AFTER}\n\n")
        while not self._closed:
            woken.clear()
            missed = 0 if cursor is None else self._last - cursor
            if cursor is None or missed > len(self._ring):
                cursor, snapshot = self._last, self._rows.snapshot()
                for piece in self._reset(cursor, snapshot, port):
                    await self._write(response, piece)
                continue
            if missed:
                batch = list(islice(self._ring, len(self._ring) - missed, len(self._ring) - missed + BATCH))
                await self._write(response, "".join(self._event(each, port) for each in batch))
                cursor = batch[-1].number
                continue
            try:
                async with asyncio.timeout(self._heartbeat):
                    await woken.wait()
            except TimeoutError:
                await self._write(response, ": all is as it was\n\n")

    def _resume_position(self, last_id: str) -> int | None:
        """The number in an id that the ring can continue from; None for any other id."""
        found = _ID.fullmatch(last_id)
        if found is None or found[1] != self._run:
            return None
        number = int(found[2])
        return number if self._last - len(self._ring) <= number <= self._last else None

    async def _write(self, response: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(self._write_limit):
            await response.write(text.encode())

    # --- serialization -----------------------------------------------------------------------------------------------

    def _event(self, record: EventRecord, port: int) -> str:
        head = f"id: {self._run}-{record.number}\n"
        if record.data is not None:
            return f"{head}event: {record.kind}\ndata: {_json(record.data())}\n\n"
        if record.view is None:
            return f"{head}event: removed\ndata: {_json({'name': record.name})}\n\n"
        return f"{head}event: workload\ndata: {self._row(record.view, port, record.created_at)}\n\n"

    def _reset(self, number: int, snapshot: Snapshot, port: int) -> Iterator[str]:
        """One event in several writes; its `data` lines are one JSON text, as a line break is whitespace in JSON."""
        yield f'id: {self._run}-{number}\nevent: reset\ndata: {{"workloads": [\n'
        views = sorted(snapshot.everything.values(), key=lambda view: view.name)
        rows = (self._row(view, port, self._rows.created_at(view.name)) for view in views)
        separator = ""
        for slice_ in _batches(rows):
            yield "".join(f"data: {separator if i == 0 else ','}{each}\n" for i, each in enumerate(slice_))
            separator = ","
        yield "data: ]}\n\n"

    def _row(self, view: WorkloadView, port: int, created_at: float) -> str:
        return _json(list_row_json(view, port=port, created_at=created_at, started_at=self._rows.started_at))


def _batches(rows: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
