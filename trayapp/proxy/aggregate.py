"""`/mcp`: one MCP endpoint over all workloads. What it does is done by a process of its own; here it is only guarded.

The process is started by the first request that shows the key, and ended when nobody has used it for a while: until then
it costs nothing, and its libraries are never in this process. A request goes on to it with a secret of its own instead of
the client's key, and both bodies pass as they come. A process that ended is started again by the next request; one that
says nothing for too long while it works on a request is asked whether it lives, and killed if it does not answer.

Host, Origin and the form of the target were checked by `server.py` before anything of this runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib.util
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from trayapp.core.model import Secret
from trayapp.proxy import headers
from trayapp.proxy.aggregate_process import AggregateProcess, AggregateProcessFailed, AggregateSetup, start
from trayapp.server.keys import Keys
from trayapp.server.replies import Refusal
from trayapp.server.server import only

PATH = "/mcp"
KEY = "/mcp"  # its name among the local keys: no workload can be called so
LIBRARY = "mcp"
SECRET = "X-Amberlight-Secret"  # noqa: S105 - the header's name

IDLE = 600.0  # s without a request and without an open stream, until the process is ended
AGAIN = 5.0  # s after a start that failed, until the next one
SILENCE = 10.0  # s that the process may work on requests without a byte, until it is asked whether it lives
ANSWER = 5.0  # s that it has for that
CONNECT = 5.0  # s
_NOT_UP = headers.HOP_BY_HOP | {"host", "authorization", "cookie", "expect", "origin", "referer", SECRET.lower()}

HOW = (  # a frozen program always has it
    "The MCP endpoint over all workloads needs one more package. "
    'Install it with: pip install "amberlight[mcp]" (or pipx inject amberlight mcp), then ask again.'
)

log = logging.getLogger(__name__)


def installed() -> bool:
    """Whether the extra `mcp` is there; it is not imported for that."""
    return importlib.util.find_spec(LIBRARY) is not None


class ServerAddress(Protocol):
    """The loopback server, as far as the process has to know it."""

    @property
    def url(self) -> str: ...


class Aggregate:
    """The route and its process; belongs to the server's loop. Give `routes()` to the server before the proxy's."""

    def __init__(
        self,
        keys: Keys,
        kept: Path,
        home: Callable[[], ServerAddress | None],
        *,
        begin: Callable[[AggregateSetup], Awaitable[AggregateProcess]] = start,
        there: Callable[[], bool] = installed,
        idle: float = IDLE,
        silence: float = SILENCE,
        answer: float = ANSWER,
    ) -> None:
        self._keys = keys
        self._kept = kept
        self._home = home
        self._begin = begin
        self._there = there
        self._idle, self._silence, self._answer = idle, silence, answer
        self._nobody = Secret(secrets.token_urlsafe(32))  # compared with before there is a key
        self._starting: asyncio.Task[AggregateProcess] | None = None
        self._app_key = Secret(secrets.token_urlsafe(32))  # another one for every process
        self._child: AggregateProcess | None = None
        self._http: aiohttp.ClientSession | None = None
        self._failed = (float("-inf"), "")  # when a start failed, and why
        self._users = 0  # requests and streams that are open
        self._working = 0  # requests whose answer is not complete
        self._heard = 0.0  # when the process said something last
        self._watch: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.pid if self._child is not None and self._child.alive else None

    def routes(self) -> list[web.RouteDef]:
        """`/mcp`, and `/k/KEY/mcp` for clients that take nothing but an address."""
        return [web.route("*", path, self.handle) for path in (PATH, "/k/{key}" + PATH)]

    def admits(self, key: str) -> bool:
        """Whether it is the key that the process shows to our API, which gives out no access token for it."""
        return hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._app_key.reveal().encode())

    async def close(self) -> None:
        """End the process and start none any more; the loopback server still answers what it asks for at its end."""
        self._closed = True
        if self._ending is not None:
            self._ending.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._put_away()
        if self._closing:
            await asyncio.wait(self._closing)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request from beginning to end; cancelled when the client hangs up."""
        if self._child is None and not self._there():
            raise Refusal(501, "not_installed", HOW)
        if not self._admitted(request):
            raise Refusal(403, "forbidden", "This needs the local key of /mcp. See: amberlight client-config --all")
        working = request.method != "GET"  # a GET is a stream that may be silent for hours
        self._users += 1
        self._working += working
        try:
            for _ in range(2):
                child = await self._process()
                self._look_after(child)
                try:
                    return await self._pass(request, child)
                except aiohttp.ClientConnectorError:  # nobody listens there any more, and nothing was sent
                    child.kill()
            raise _broke_off()
        finally:
            self._users -= 1
            self._working -= working
            if not self._working and self._watch is not None:
                self._watch.cancel()
                self._watch = None
            if not self._users:
                self._end_later()

    def _admitted(self, request: web.Request) -> bool:
        """Takes the same time for every key."""
        key = self._keys.find(KEY) or self._nobody
        scheme, _, bearer = (only(request.headers.getall("Authorization", ())) or "").partition(" ")
        shown = request.match_info.get("key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), key.reveal().encode())

    # --- the process -------------------------------------------------------------------------------------------------

    async def _process(self) -> AggregateProcess:
        """The process, started if there is none. Raises `Refusal` 503."""
        if self._child is not None and self._child.alive:
            return self._child
        if self._starting is None:  # a task of its own: a client that has no patience does not end it
            self._starting = asyncio.create_task(self._start(), name="start the process of /mcp")
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    def _started(self, task: asyncio.Task[AggregateProcess]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # whoever waits has it; perhaps nobody does any more

    async def _start(self) -> AggregateProcess:
        if self._child is not None:
            log.warning("the process of /mcp ended unexpectedly and is started again")
            await self._put_away()
        loop, home = asyncio.get_running_loop(), self._home()
        at, why = self._failed
        if self._closed or home is None:
            raise _not_started("Amberlight is about to end, or not up yet.")
        if loop.time() - at < AGAIN:
            raise _not_started(why)
        self._app_key = Secret(secrets.token_urlsafe(32))
        orders = AggregateSetup(home.url, self._app_key, Secret(secrets.token_urlsafe(32)), self._kept, _level())
        try:
            self._child = await self._begin(orders)
        except AggregateProcessFailed as failed:
            log.warning("the process of /mcp did not start: %s", failed)
            self._failed = (loop.time(), str(failed))
            raise _not_started(str(failed)) from None
        log.info("the process of /mcp runs (%d)", self._child.pid)
        self._http = _session(self._child)
        self._end_later()
        return self._child

    async def _put_away(self) -> None:
        """End the process and what is connected to it."""
        child, self._child = self._child, None
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        if child is not None:
            await child.close()

    def _end_later(self) -> None:
        """Nobody uses it now."""
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(self._idle, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._ending = None
        if self._users or self._child is None:
            return
        log.info("nobody uses /mcp: its process is ended")
        task = asyncio.create_task(self._put_away(), name="end the idle process of /mcp")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- does it live? -----------------------------------------------------------------------------------------------

    def _look_after(self, child: AggregateProcess) -> None:
        """While it works on something, its silence is noticed."""
        if self._working and (self._watch is None or self._watch.done()):
            self._heard = asyncio.get_running_loop().time()
            self._watch = asyncio.create_task(self._watched(child), name="whether the process of /mcp lives")

    async def _watched(self, child: AggregateProcess) -> None:
        loop = asyncio.get_running_loop()
        while self._working and child.alive and child is self._child:
            silent = loop.time() - self._heard
            if silent < self._silence:
                await asyncio.sleep(self._silence - silent)
            elif await self._lives():
                self._heard = loop.time()
            else:
                log.warning("the process of /mcp hangs and is killed; the next request starts it again")
                child.kill()
                return

    async def _lives(self) -> bool:
        if self._http is None:
            return False
        try:
            async with asyncio.timeout(self._answer), self._http.get("/health") as answer:
                return answer.status == 204
        except (aiohttp.ClientError, OSError):
            return False

    # --- passing on --------------------------------------------------------------------------------------------------

    async def _pass(self, request: web.Request, child: AggregateProcess) -> web.StreamResponse:
        head = _upward(request)
        body = request.content if request.body_exists else None
        if self._http is None:
            raise _broke_off()
        try:
            async with self._http.request(request.method, PATH, headers=head, data=body) as answer:
                self._heard = asyncio.get_running_loop().time()
                return await self._deliver(request, answer)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, OSError):
            if not child.alive:
                log.warning("the process of /mcp ended while it worked on a request")
            raise _broke_off() from None

    async def _deliver(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Chunk by chunk. If it breaks off, the client's connection is cut: what it has is not the whole."""
        head = headers.downward(answer.headers.items(), answer.headers.getall("Connection", ()))
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_plain(head))
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        try:
            async for chunk in answer.content.iter_any():
                self._heard = loop.time()
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                with contextlib.suppress(OSError):
                    request.transport.abort()
        return response


def _session(child: AggregateProcess) -> aiohttp.ClientSession:
    """Connections to the process, kept between requests."""
    return aiohttp.ClientSession(
        child.address,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={SECRET: child.secret.reveal()},
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def _upward(request: web.Request) -> CIMultiDict[str]:
    """The request's headers without the key, this hop's and a browser's own."""
    drop = _NOT_UP | headers.named(request.headers.getall("Connection", ()))
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        if name.lower() not in drop and not name.lower().startswith(("proxy-", "sec-")) and value.isascii():
            kept.add(name, value)
    return kept


def _plain(head: CIMultiDict[str]) -> CIMultiDict[str]:
    """Without the length: aiohttp frames it anew."""
    head.popall("Server", None)
    head.popall("Date", None)
    return head


def _level() -> str:
    return logging.getLevelName(logging.getLogger("trayapp").getEffectiveLevel())


def _not_started(why: str) -> Refusal:
    return Refusal(503, "not_started", f"The MCP endpoint did not start. {why}", {"Retry-After": str(int(AGAIN))})


def _broke_off() -> Refusal:
    text = "The MCP endpoint broke off; it is started again by the next request."
    return Refusal(503, "broke_off", text, {"Retry-After": "1"})
