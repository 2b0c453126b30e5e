"""`/mcp` on the loopback server: guards the process that serves all workloads as one MCP endpoint, and forwards to it.

The endpoint itself is a process of its own (`trayapp.aggregate`). The first request that shows the key starts it, and
it is ended once it has been idle for ten minutes: until it is needed it costs nothing, and its libraries are never
loaded here. Requests are forwarded with a secret of this process in place of the client's key; both bodies are
streamed. A process that died is started again by the next request. One that stays silent while it has requests to
answer is sent a health check, and killed if it fails that.

`server/server.py` has checked Host, Origin and the form of the target before anything here runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from trayapp.core.model import Secret
from trayapp.proxy import headers
from trayapp.proxy.aggregate_process import AggregateProcess, AggregateProcessFailed, AggregateSetup, start
from trayapp.proxy.mcp_refusals import in_jsonrpc
from trayapp.server.keys import Keys
from trayapp.server.replies import Refusal
from trayapp.server.server import single_value

PATH = "/mcp"
KEY = "/mcp"  # its name among the local keys; no workload can have this name
SECRET = "X-Amberlight-Secret"  # noqa: S105 - the header's name

IDLE_LIMIT = 600.0  # s without a request or an open stream, after which the process is ended
START_RETRY = 5.0  # s between a failed start and the next
SILENCE_LIMIT = 10.0  # s that the process may work on requests without sending a byte, before the health check
HEALTH_LIMIT = 5.0  # s for the health check
CONNECT_LIMIT = 5.0  # s
_DROPPED_HEADERS = headers.HOP_BY_HOP | {
    "host",
    "authorization",
    "cookie",
    "expect",
    "origin",
    "referer",
    SECRET.lower(),
}

log = logging.getLogger(__name__)


class ServerAddress(Protocol):
    """What the process has to know of the loopback server."""

    @property
    def url(self) -> str: ...


class Aggregate:
    """The route and its process. Belongs to the server's loop. Pass `routes()` to the server before the proxy's.

    `server` returns None while nothing listens.
    """

    def __init__(
        self,
        keys: Keys,
        server: Callable[[], ServerAddress | None],
        *,
        start_process: Callable[[AggregateSetup], Awaitable[AggregateProcess]] = start,
        idle_limit: float = IDLE_LIMIT,
        silence_limit: float = SILENCE_LIMIT,
        health_limit: float = HEALTH_LIMIT,
    ) -> None:
        self._keys = keys
        self._server = server
        self._start_process = start_process
        self._idle_limit, self._silence_limit, self._health_limit = idle_limit, silence_limit, health_limit
        self._decoy_key = Secret(secrets.token_urlsafe(32))  # compared with while no key has been made
        self._starting: asyncio.Task[AggregateProcess] | None = None
        self._app_key = Secret(secrets.token_urlsafe(32))  # a new one for every process
        self._process: AggregateProcess | None = None
        self._upstream = ""  # the loopback server's URL that it was started with
        self._http: aiohttp.ClientSession | None = None
        self._failed_start = (float("-inf"), "")  # loop time, and the reason
        self._open_requests = 0  # requests and streams
        self._unanswered = 0  # requests whose response is incomplete; streams don't count
        self._last_output = 0.0  # loop time of the last byte from the process
        self._watchdog: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process's id, while it runs."""
        return self._process.pid if self._process is not None and self._process.alive else None

    def routes(self) -> list[web.RouteDef]:
        """`/mcp`, and `/k/KEY/mcp` for clients that accept only a URL."""
        return [web.route("*", path, in_jsonrpc(self.handle)) for path in (PATH, "/k/{key}" + PATH)]

    def admits(self, key: str) -> bool:
        """Whether this is the key that the process shows to our API. The API returns no access token for it."""
        return hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._app_key.reveal().encode())

    async def close(self) -> None:
        """End the process for good. The loopback server must still be up: the process makes its last requests now."""
        self._closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._end_process()
        if self._closing:
            await asyncio.wait(self._closing)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request from start to end; cancelled when the client disconnects."""
        if not self._admitted(request):
            raise Refusal(403, "forbidden", "This needs the local key of /mcp. Run `amberlight client-config --all`.")
        expects_answer = request.method != "GET"  # a GET is an event stream and may be silent for hours
        self._open_requests += 1
        self._unanswered += expects_answer
        try:
            for _ in range(2):
                process = await self._running_process()
                self._start_watchdog(process)
                try:
                    return await self._forward(request, process)
                except aiohttp.ClientConnectorError:  # nothing listens there any more, and nothing was sent
                    process.kill()
            raise _broke_off()
        finally:
            self._open_requests -= 1
            self._unanswered -= expects_answer
            if not self._unanswered and self._watchdog is not None:
                self._watchdog.cancel()
                self._watchdog = None
            if not self._open_requests:
                self._restart_idle_timer()

    def _admitted(self, request: web.Request) -> bool:
        """Constant time for every key."""
        key = self._keys.find(KEY) or self._decoy_key
        scheme, _, bearer = (single_value(request.headers.getall("Authorization", ())) or "").partition(" ")
        shown = request.match_info.get("key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), key.reveal().encode())

    # --- the process -------------------------------------------------------------------------------------------------

    async def _running_process(self) -> AggregateProcess:
        """The process, started if there is none or the loopback server has moved. Raises `Refusal` 503."""
        server = self._server()
        if self._process is not None and self._process.alive and (server is None or server.url == self._upstream):
            return self._process
        if self._starting is None:  # a task of its own, so that a client that disconnects doesn't cancel the start
            self._starting = asyncio.create_task(self._start(), name="start the process of /mcp")
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    def _started(self, task: asyncio.Task[AggregateProcess]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # retrieved here in case no request waits for it any more

    async def _start(self) -> AggregateProcess:
        """Start it now, unless a start has just failed. Raises `Refusal` 503."""
        if self._process is not None:
            why = "asks at the wrong port" if self._process.alive else "ended unexpectedly"
            log.warning("the process of /mcp %s; starting it again", why)
            await self._end_process()
        loop, server = asyncio.get_running_loop(), self._server()
        at, reason = self._failed_start
        if self._closed or server is None:
            raise _not_started("Amberlight is starting or quitting.")
        if loop.time() - at < START_RETRY:
            raise _not_started(reason)
        self._app_key = Secret(secrets.token_urlsafe(32))
        self._upstream = server.url
        setup = AggregateSetup(server.url, self._app_key, Secret(secrets.token_urlsafe(32)), _log_level())
        try:
            self._process = await self._start_process(setup)
        except AggregateProcessFailed as failed:
            log.warning("the process of /mcp did not start: %s", failed)
            self._failed_start = (loop.time(), str(failed))
            raise _not_started(str(failed)) from None
        log.info("the process of /mcp runs (%d)", self._process.pid)
        self._http = _session(self._process)
        self._restart_idle_timer()
        return self._process

    async def _end_process(self) -> None:
        """End the process and close the connections to it."""
        process, self._process = self._process, None
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        if process is not None:
            await process.close()

    def _restart_idle_timer(self) -> None:
        """Nothing uses the process now."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_limit, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._idle_timer = None
        if self._open_requests or self._process is None:
            return
        log.info("nobody uses /mcp: ending its process")
        task = asyncio.create_task(self._end_process(), name="end the idle process of /mcp")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- watchdog ----------------------------------------------------------------------------------------------------

    def _start_watchdog(self, process: AggregateProcess) -> None:
        """Watch for silence while requests wait for their response."""
        if self._unanswered and (self._watchdog is None or self._watchdog.done()):
            self._last_output = asyncio.get_running_loop().time()
            self._watchdog = asyncio.create_task(self._watch(process), name="whether the process of /mcp lives")

    async def _watch(self, process: AggregateProcess) -> None:
        loop = asyncio.get_running_loop()
        while self._unanswered and process.alive and process is self._process:
            silent = loop.time() - self._last_output
            if silent < self._silence_limit:
                await asyncio.sleep(self._silence_limit - silent)
            elif await self._healthy():
                self._last_output = loop.time()
            else:
                log.warning("the process of /mcp hangs; killing it, and the next request starts it again")
                process.kill()
                return

    async def _healthy(self) -> bool:
        if self._http is None:
            return False
        try:
            async with asyncio.timeout(self._health_limit), self._http.get("/health") as answer:
                return answer.status == 204
        except (aiohttp.ClientError, OSError):
            return False

    # --- forwarding --------------------------------------------------------------------------------------------------

    async def _forward(self, request: web.Request, process: AggregateProcess) -> web.StreamResponse:
        head = _request_headers(request)
        body = request.content if request.body_exists else None
        if self._http is None:
            raise _broke_off()
        try:
            async with self._http.request(request.method, PATH, headers=head, data=body) as response:
                self._last_output = asyncio.get_running_loop().time()
                return await self._deliver(request, response)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, OSError):
            if not process.alive:
                log.warning("the process of /mcp ended during a request")
            raise _broke_off() from None

    async def _deliver(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Stream the response. If the process breaks off, cut the client's connection: a part must not pass for all."""
        head = headers.to_client(answer.headers.items(), answer.headers.getall("Connection", ()))
        for name in ("Server", "Date"):  # the loopback server sets its own
            head.popall(name, None)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=head)
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        try:
            async for chunk in answer.content.iter_any():
                self._last_output = loop.time()
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                with contextlib.suppress(OSError):
                    request.transport.abort()
        return response


def _session(process: AggregateProcess) -> aiohttp.ClientSession:
    """Pooled connections to the process."""
    return aiohttp.ClientSession(
        process.address,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={SECRET: process.secret.reveal()},
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def _request_headers(request: web.Request) -> CIMultiDict[str]:
    """The request's headers without the key, hop-by-hop headers and those that only browsers send."""
    dropped = _DROPPED_HEADERS | headers.hop_by_hop_names(request.headers.getall("Connection", ()))
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        if name.lower() not in dropped and not name.lower().startswith(("proxy-", "sec-")) and value.isascii():
            kept.add(name, value)
    return kept


def _log_level() -> str:
    return logging.getLevelName(logging.getLogger("trayapp").getEffectiveLevel())


def _not_started(reason: str) -> Refusal:
    return Refusal(
        503, "not_started", f"The MCP endpoint didn't start. {reason}", {"Retry-After": str(int(START_RETRY))}
    )


def _broke_off() -> Refusal:
    text = "The MCP endpoint stopped unexpectedly. Try again."
    return Refusal(503, "broke_off", text, {"Retry-After": "1"})
