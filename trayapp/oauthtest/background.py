"""Background server: an aiohttp application on its own thread and loop. The only place here that starts threads.

Nothing in this file knows OAuth. It listens on 127.0.0.1 unless another host is given, and ending it never waits for a
request.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")

HOST = "127.0.0.1"
START_LIMIT = 10.0  # s; a thread and a socket take milliseconds, more on a busy machine
CLOSE_LIMIT = 1.0  # s of a test's time for closing the server


class Background:
    """One application, served from its own thread. Call the methods from any thread but that one."""

    def __init__(
        self, make: Callable[[], web.Application], *, name: str, tls: ssl.SSLContext | None = None, host: str = HOST
    ) -> None:
        self._make = make
        self._host = host
        self._name = name
        self._tls = tls
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._ended: asyncio.Event | None = None
        self.port = 0
        self.connections = 0  # TCP connections accepted so far

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a trailing slash."""
        if not self.port:
            raise RuntimeError(f"{self._name} is not running yet: use it in a with statement")
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def start(self) -> None:
        """Serve on a free port. Returns when connections are accepted."""
        if self._thread is not None:
            raise RuntimeError(f"{self._name} was started before; make a new one")
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(ready)), name=self._name, daemon=True)
        self._thread.start()
        ready.result(START_LIMIT)

    def stop(self) -> None:
        """Drop every connection, end every request and end the thread, within a second. A second call does nothing."""
        if self._ended is not None:
            self.call_soon(self._ended.set)
        if self._thread is not None:
            self._thread.join(CLOSE_LIMIT)

    def down(self) -> None:
        """Refuse connections, and drop the open ones, until `up`."""
        self.run(self._down())

    def up(self) -> None:
        """Listen again on the same port."""
        self.run(self._listen())

    def call_soon(self, function: Callable[[], object]) -> None:
        """Run a function on the server's loop; does nothing if that has ended."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop and wait for its result."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError(f"{self._name} is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_LIMIT)

    async def _main(self, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        # A handler whose client has gone is cancelled; that is how a hang ends.
        self._runner = web.AppRunner(self._make(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        try:
            await self._runner.setup()
            await self._listen()
        except Exception as problem:  # noqa: BLE001 - the thread that waits for the start gets it
            await self._runner.cleanup()
            ready.set_exception(problem)
            return
        ready.set_result(None)
        await self._ended.wait()
        await self._down()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._accept, self._host, self.port, ssl=self._tls)
            self.port = self._listener.sockets[0].getsockname()[1]

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        assert self._runner is not None
        assert self._runner.server is not None
        return self._runner.server()

    async def _down(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None and self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await asyncio.sleep(0)  # let the aborted connections end their handlers
