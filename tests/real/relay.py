"""`Relay`: a proxy on loopback between client and authorization server that can simulate a bad network.

It forwards HTTP untouched, except that at the token endpoint it does what was ordered: a queue of faults for the next
requests (`inject`), or one fault for all (`mode`). Of a request it records method, path without query, grant type and
what became of it: never a body, a code or a token. Its leak detector knows the secrets that passed by their digests.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.real.leak_detector import LeakDetector

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
FORWARD_LIMIT = 30.0  # s
FIREWALL_PAGE = """<!DOCTYPE html><html><head><title>Web Page Blocked</title></head>
<body><h1>Access Denied</h1><p>Access to this page is blocked by policy. Support ID: 7240891163</p></body></html>"""


class Fault(StrEnum):
    """What can be done to a token request."""

    FIREWALL = "firewall"  # 403 with a page for people; the server never sees the request
    BUSY = "busy"  # 503 with Retry-After, from something in front of the server
    RESET = "reset"  # the connection is reset before the server sees the request
    LOST = "lost"  # the server acts on it, and the connection is reset before its answer is passed on
    HANG = "hang"  # nothing at all, until the client goes away


@dataclass(frozen=True, slots=True)
class Passed:
    """One request that passed through."""

    at: float  # monotonic, s
    method: str
    path: str
    grant: str  # grant_type of a token request, else ""
    fault: Fault | None
    status: int | None  # what the client got; None: nothing


class Relay:
    """Real TCP on 127.0.0.1, with its own thread and loop. `upstream` may be set later; until then it answers 502."""

    def __init__(self, upstream: tuple[str, int] | None = None, *, token_path: str = "/token") -> None:
        self.upstream = upstream
        self.token_path = token_path
        self.mode: Fault | None = None
        self.retry_after = 1  # s, in the answer of BUSY
        self.port = 0
        self.secrets = LeakDetector()
        self._queue: deque[Fault] = deque()
        self._log: list[Passed] = []
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._client: aiohttp.ClientSession | None = None
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    @property
    def url(self) -> str:
        """The address that clients see, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def inject(self, *faults: Fault) -> None:
        """Queue one fault for each of the next token requests; the queue goes before `mode`."""
        with self._lock:
            self._queue.extend(faults)

    def pending(self) -> tuple[Fault, ...]:
        """The faults that no request has met yet."""
        with self._lock:
            return tuple(self._queue)

    def clear(self) -> None:
        """Restore a good network and empty the log."""
        with self._lock:
            self._queue.clear()
            self._log.clear()
            self.mode = None
            self.retry_after = 1

    def log(self) -> list[Passed]:
        """The requests so far, oldest first; each is logged when it has ended."""
        with self._lock:
            return list(self._log)

    def refreshes(self) -> list[Passed]:
        """The refresh requests in it."""
        return [passed for passed in self.log() if passed.grant == "refresh_token"]

    def counts(self) -> Counter[Fault | None]:
        """Token requests by fault; None: forwarded."""
        return Counter(passed.fault for passed in self.log() if passed.path == self.token_path)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop every connection and end the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits in __enter__
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{anything:.*}", self._handle)
        # A hanging request is cancelled when its client goes away, and nothing outlives `close`.
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        timeout = aiohttp.ClientTimeout(total=FORWARD_LIMIT)
        # A fresh connection for each request, no cookies kept, no redirect followed: only a relay.
        connector = aiohttp.TCPConnector(force_close=True)
        self._client = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=timeout
        )
        try:
            listener = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listener).start()
            self.port = listener.getsockname()[1]
            self._started.set()
            await self._stop.wait()
        finally:
            await self._client.close()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_token = request.method == "POST" and request.path == self.token_path
        grant = parse_qs(body.decode("latin-1")).get("grant_type", [""])[0] if is_token else ""
        fault = self._next_fault() if is_token else None
        if is_token:
            self.secrets.form(body)
        status: int | None = None
        try:
            response = await (self._acts[fault](self, request, body) if fault else self._forward(request, body))
            status = response.status if response is not None else None
            return response if response is not None else web.Response()
        finally:
            with self._lock:
                self._log.append(Passed(time.monotonic(), request.method, request.path, grant, fault, status))

    def _next_fault(self) -> Fault | None:
        with self._lock:
            return self._queue.popleft() if self._queue else self.mode

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.upstream is None or self._client is None:
            return web.Response(status=502, text="the relay has nothing behind it")
        host, port = self.upstream
        headers = _end_to_end(request.headers)
        url = f"http://{host}:{port}{request.raw_path}"
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                content = await answer.read()
                if request.path == self.token_path:
                    self.secrets.json(content)
                return web.Response(status=answer.status, headers=_end_to_end(answer.headers), body=content)
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"the relay cannot reach its server: {type(error).__name__}")

    async def _firewall(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=403, text=FIREWALL_PAGE, content_type="text/html")

    async def _busy(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        headers = {"Retry-After": str(self.retry_after)}
        return web.Response(status=503, text="upstream connect error", headers=headers)

    async def _reset(self, request: web.Request, _body: bytes) -> None:
        _reset_connection(request)

    async def _lost(self, request: web.Request, body: bytes) -> None:
        await self._forward(request, body)
        _reset_connection(request)

    async def _hang(self, _request: web.Request, _body: bytes) -> None:
        await asyncio.Event().wait()  # cancelled when the client goes away

    _acts: ClassVar[dict[Fault, Callable[[Relay, web.Request, bytes], Awaitable[web.StreamResponse | None]]]] = {
        Fault.FIREWALL: _firewall,
        Fault.BUSY: _busy,
        Fault.RESET: _reset,
        Fault.LOST: _lost,
        Fault.HANG: _hang,
    }


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers that a relay passes on (RFC 9110 section 7.6.1); lengths are those of the copy."""
    kept = ((name, value) for name, value in headers.items() if name.lower() not in {*HOP_BY_HOP, "content-length"})
    return CIMultiDict(kept)


def _reset_connection(request: web.Request) -> None:
    """End the connection with RST, not FIN: linger on, for no time."""
    transport = request.transport
    if transport is None:
        return
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
