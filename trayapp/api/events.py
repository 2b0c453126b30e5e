"""The event stream: what changed, as it changes, to whoever listens. Nobody who listens slowly costs memory or time.

A client is a place in one ring of the latest events, never a queue of its own: who does not take what is written to him
is dropped, and finds by his `Last-Event-ID` what he missed when he comes back. A place that the ring does not hold any
more, or that another run gave out, is answered with one `reset` and the full list.
The events are `workload` (a row of the list), `removed` (`{"name"}`), `history` (a segment that began), `app` (how the app
itself is, when that changed) and `reset` (`{"workloads": [row, …]}`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from aiohttp import web

from trayapp.core.public import app_json, list_row_json
from trayapp.core.snapshot import Snapshot, WorkloadView
from trayapp.server.replies import OWN_HEADERS, Refusal

KEPT = 1000  # events; an hour of a bad network with ten workloads
HEARTBEAT = 15.0  # s; proxies and clients give up on a stream that is silent for 30 to 60
PATIENCE = 5.0  # s that one write may take; on loopback a reader who reads needs none
CLIENTS = 32
SLICE = 64  # rows or events in one write; a thousand rows at once would hold up everybody else for 20 ms
COME_BACK = 2000  # ms; when a client that lost the stream should try again

_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")

log = logging.getLogger(__name__)


class RowContext(Protocol):
    """What a row of the list needs beside the view."""

    @property
    def started_at(self) -> float: ...

    def snapshot(self) -> Snapshot: ...

    def created_at(self, name: str) -> float: ...


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event. It becomes JSON only when somebody reads it."""

    number: int
    name: str
    view: WorkloadView | None = None  # None: it was removed, or `data` says what happened
    created_at: float = 0.0  # wall
    kind: str = ""  # of an event with `data`
    data: Callable[[], Mapping[str, object]] | None = None


class Events:
    """The ring and its readers; belongs to the engine's loop."""

    def __init__(
        self,
        rows: RowContext,
        *,
        version: str = "",
        kept: int = KEPT,
        heartbeat: float = HEARTBEAT,
        patience: float = PATIENCE,
    ) -> None:
        self._rows = rows
        self._version = version
        self._heartbeat = heartbeat
        self._patience = patience
        self._run = secrets.token_hex(4)  # ids of an earlier run mean nothing here
        self._ring: deque[EventRecord] = deque(maxlen=kept)
        self._last = 0
        self._known: Mapping[str, WorkloadView] = {}
        self._app: tuple[object, ...] | None = None  # what an `app` event would tell
        self._readers: set[asyncio.Event] = set()
        self._closed = False

    @property
    def readers(self) -> int:
        """How many listen."""
        return len(self._readers)

    def published(self, snapshot: Snapshot) -> None:
        """A new snapshot: what differs from the last one happened. Views are shared, so identity is enough."""
        before, self._known = self._known, snapshot.workloads
        for name, view in snapshot.workloads.items():
            if before.get(name) is not view:
                self._add(name, view, self._rows.created_at(name))
        for name in before:
            if name not in snapshot.workloads:
                self._add(name, None)
        self._look_at_app(snapshot)
        for reader in self._readers:
            reader.set()

    def tell(self, kind: str, data: Callable[[], Mapping[str, object]]) -> None:
        """Something else happened; `data` is asked for the JSON when somebody reads it."""
        self._last += 1
        self._ring.append(EventRecord(self._last, "", kind=kind, data=data))
        for reader in self._readers:
            reader.set()

    def _look_at_app(self, snapshot: Snapshot) -> None:
        before, self._app = self._app, (snapshot.gate, snapshot.muted, snapshot.broken, snapshot.warnings)
        if before is not None and before != self._app:
            bare = replace(snapshot, workloads={})  # the views need not be kept for it
            self.tell("app", lambda: app_json(bare, self._version, self._rows.started_at))

    def close(self) -> None:
        """Every stream ends by itself, now."""
        self._closed = True
        for reader in self._readers:
            reader.set()

    def _add(self, name: str, view: WorkloadView | None, created_at: float = 0.0) -> None:
        self._last += 1
        self._ring.append(EventRecord(self._last, name, view, created_at))

    # --- one reader --------------------------------------------------------------------------------------------------

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The handler. It ends with the client, with the app, or when the client is too slow."""
        if len(self._readers) >= CLIENTS or self._closed:
            raise Refusal(503, "busy", f"At most {CLIENTS} clients may listen at once.", {"Retry-After": "5"})
        response = web.StreamResponse(headers={**OWN_HEADERS, "Content-Type": "text/event-stream"})
        woken = asyncio.Event()
        self._readers.add(woken)
        try:
            await response.prepare(request)
            await self._tell(request, response, woken)
        except TimeoutError:
            log.info("a reader of the event stream was too slow and is dropped")
            if request.transport is not None:
                request.transport.abort()  # what he has not read is thrown away
        except ConnectionError:  # he went away while we wrote
            log.debug("a reader of the event stream went away")
        finally:
            self._readers.discard(woken)
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse, woken: asyncio.Event) -> None:
        port = request.url.port or 0  # the Host header was checked: its port is ours
        cursor = self._place(request.headers.get("Last-Event-ID", ""))
        await self._write(response, f"retry: {COME_BACK}\n\n")
        while not self._closed:
            woken.clear()
            missed = 0 if cursor is None else self._last - cursor
            if cursor is None or missed > len(self._ring):
                cursor, snapshot = self._last, self._rows.snapshot()
                for piece in self._reset(cursor, snapshot, port):
                    await self._write(response, piece)
                continue
            if missed:
                batch = list(islice(self._ring, len(self._ring) - missed, len(self._ring) - missed + SLICE))
                await self._write(response, "".join(self._event(each, port) for each in batch))
                cursor = batch[-1].number
                continue
            try:
                async with asyncio.timeout(self._heartbeat):
                    await woken.wait()
            except TimeoutError:
                await self._write(response, ": all is as it was\n\n")

    def _place(self, last_id: str) -> int | None:
        """The number behind an id that the ring still continues; None for every other."""
        found = _ID.fullmatch(last_id)
        if found is None or found[1] != self._run:
            return None
        number = int(found[2])
        return number if self._last - len(self._ring) <= number <= self._last else None

    async def _write(self, response: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(self._patience):
            await response.write(text.encode())

    # --- words -------------------------------------------------------------------------------------------------------

    def _event(self, happened: EventRecord, port: int) -> str:
        head = f"id: {self._run}-{happened.number}\n"
        if happened.data is not None:
            return f"{head}event: {happened.kind}\ndata: {_json(happened.data())}\n\n"
        if happened.view is None:
            return f"{head}event: removed\ndata: {_json({'name': happened.name})}\n\n"
        return f"{head}event: workload\ndata: {self._row(happened.view, port, happened.created_at)}\n\n"

    def _reset(self, number: int, snapshot: Snapshot, port: int) -> Iterator[str]:
        """One event in several writes; its `data` lines are one JSON text (a line break is space in JSON)."""
        yield f'id: {self._run}-{number}\nevent: reset\ndata: {{"workloads": [\n'
        views = sorted(snapshot.workloads.values(), key=lambda view: view.name)
        rows = (self._row(view, port, self._rows.created_at(view.name)) for view in views)
        separator = ""
        for slice_ in _slices(rows):
            yield "".join(f"data: {separator if i == 0 else ','}{each}\n" for i, each in enumerate(slice_))
            separator = ","
        yield "data: ]}\n\n"

    def _row(self, view: WorkloadView, port: int, created_at: float) -> str:
        return _json(list_row_json(view, port=port, created_at=created_at, started_at=self._rows.started_at))


def _slices(rows: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, SLICE)):
        yield batch


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
