"""Held event streams: the client's side stays open, and the upstream's stream is attached to it while there is one.

A client that loses its stream rarely asks for another, so a stream begun here ends only with the client, its session or
the program. Whole events are passed on as they come; ours go between them, without an id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from trayapp.mcp.messages import Id, Json, event
from trayapp.proxy.noting import response_begins
from trayapp.server.replies import OWN_HEADERS

KEEPALIVE = 15.0  # s between comments on a silent stream: clients give up on a silence of 300 s, some proxies on 60 s
REATTACH = (1.0, 2.0, 5.0, 10.0, 30.0)  # s until the upstream's stream is asked for again; the last one repeats
EVENT_MAX = 32 * 1024 * 1024  # bytes of one event; more ends the upstream's stream

HEAD = {**OWN_HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


class HeldStream:
    """The client's side of one stream. `subscription` is the id of a `subscriptions/listen` request (2026-07-28)."""

    def __init__(self, request: web.Request, head: dict[str, str], subscription: Id | None = None) -> None:
        self.subscription = subscription
        self.wanted: frozenset[str] = frozenset()  # capabilities whose changes the subscription asked for
        self.acknowledged = False
        self.last_event_id: str | None = request.headers.get("Last-Event-ID")
        self.detached = True  # no upstream stream is attached
        self.account: str | None = None  # whose token it was attached with last
        self.upstream: str | None = None  # the id of the upstream session that was attached last
        self._request = request
        self._response = web.StreamResponse(headers={**HEAD, **head})
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._closed = asyncio.Event()

    async def run(self, attach: Callable[[HeldStream], Coroutine[Any, Any, bool]]) -> web.StreamResponse:
        """Hold the stream until `close`. `attach` passes the upstream's events on for as long as they come, and says
        whether there were any; it is called again after a pause, or when `wake` is called."""
        response_begins(self._request, self._response.status, served=False)
        await self._response.prepare(self._request)
        await self.comment("open")
        keepalive = asyncio.create_task(self._keep_alive(), name="keep an event stream alive")
        attached = asyncio.create_task(self._attach(attach), name="attach the upstream's event stream")
        try:
            await self._closed.wait()
            with contextlib.suppress(OSError):
                await self._response.write_eof()
        finally:
            for task in (keepalive, attached):
                task.cancel()
            await asyncio.gather(keepalive, attached, return_exceptions=True)
        return self._response

    def close(self) -> None:
        """End the stream."""
        self._closed.set()

    def wake(self) -> None:
        """Ask for the upstream's stream now."""
        self._wake.set()

    def move(self) -> None:
        """Leave the upstream's stream, if one is attached, and ask for another: the session is a new one."""
        self._moved.set()
        self._wake.set()

    async def send(self, message: Json) -> None:
        """A message of ours."""
        await self.write(event(message))

    async def comment(self, text: str) -> None:
        await self.write(f": {text}\n\n".encode())

    async def write(self, data: bytes) -> None:
        """Whole events only. A client that is gone ends the stream."""
        async with self._writing:
            try:
                await self._response.write(data)
            except (OSError, RuntimeError):
                self.close()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE)
            await self.comment("keep-alive")

    async def _attach(self, attach: Callable[[HeldStream], Coroutine[Any, Any, bool]]) -> None:
        failed = 0
        while True:
            self._wake.clear()
            failed = 0 if await self._until_moved(attach(self)) else failed + 1
            self.detached = True
            pause = REATTACH[min(failed, len(REATTACH) - 1)]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                    failed = 0

    async def _until_moved(self, attached: Coroutine[Any, Any, bool]) -> bool:
        """What `attached` says; True if `move` is called before it ends."""
        self._moved.clear()
        attaching = asyncio.create_task(attached, name="pass an upstream's events on")
        moved = asyncio.create_task(self._moved.wait(), name="wait for another session")
        try:
            await asyncio.wait((attaching, moved), return_when=asyncio.FIRST_COMPLETED)
            return attaching.result() if attaching.done() else True
        finally:
            for task in (attaching, moved):
                task.cancel()
            await asyncio.gather(attaching, moved, return_exceptions=True)


async def whole_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream cut after events, so that something can be put between them. Each piece ends with an empty line."""
    held = bytearray()
    async for chunk in chunks:
        begin = max(len(held) - 3, 0)  # what is before it has been searched
        held += chunk
        end = max(held.rfind(each, begin) for each in (b"\n\n", b"\r\n\r\n", b"\r\r"))
        if end >= 0:
            end += 4 if held[end : end + 4] == b"\r\n\r\n" else 2
            piece = bytes(held[:end])
            del held[:end]
            yield piece
        elif len(held) > EVENT_MAX:
            return


def last_id(piece: bytes) -> str | None:
    """The id of the last event that has one."""
    found = None
    for line in piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line.startswith(b"id:"):
            found = line[3:].strip().decode("utf-8", "replace")
    return found
