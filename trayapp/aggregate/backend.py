"""One workload's MCP session, kept between calls: opened at the first need, opened anew when it was lost.

Streamable HTTP first, by the handshake that every server knows or by `server/discover` where a server knows only that;
a server that refuses both is asked for the older SSE transport. A request that may have reached the server is never
sent twice: only one for which no session was there (404, or a session that was already closed) is.

What the proxy answers instead of the server (no token, no way to it) is known by the HTTP status of this very request,
and raised as `Blocked`; the SDK tells it like any other error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from trayapp import __version__
from trayapp.aggregate.feed import NO_TLS, ProxyAccess
from trayapp.aggregate.states import Blocked, BlockedReason, refused

CONNECT = 30.0  # s for handshake and all; the proxy itself waits 10 s for a connection
NOT_HERE = frozenset({400, 404, 405, 406, 415, 501})  # what servers of the older transport answer to a POST
PROXY_SAYS = frozenset({403, 502, 503, 504})

RAW: TypeAdapter[Any] = TypeAdapter(dict[str, Any])  # Any: the SDK types it for models only

T = TypeVar("T")

log = logging.getLogger(__name__)

Heard = Callable[[str, types.ServerNotification], Awaitable[None]]


@dataclass(slots=True)
class RequestTrace:
    """What became of one request on the wire. The SDK sends it in the context of who asked."""

    sent: bool = False
    status: int = 0  # of the answer, if it is an error
    body: object = None
    retry_after: str | None = None


_trace: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)


@dataclass(slots=True, eq=False)
class OpenSession:
    """An open session, until `over` is set."""

    session: ClientSession
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def capabilities(self) -> types.ServerCapabilities:
        return self.session.server_capabilities or types.ServerCapabilities()


class UpstreamSession:
    """The workload `name`. `heard` is told what the server says of itself: changed lists, log lines."""

    def __init__(self, name: str, access: Callable[[str], Awaitable[ProxyAccess]], heard: Heard) -> None:
        self.name = name
        self.log_level: types.LoggingLevel | None = None
        self._access = access
        self._heard = heard
        self._live: OpenSession | None = None
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, request: types.ClientRequest, progress: ProgressFnT | None = None) -> dict[str, Any]:
        """The server's result as it came. Raises `Blocked`, or the server's own `MCPError`."""

        async def send(live: OpenSession) -> dict[str, Any]:
            found: dict[str, Any] = await live.session.send_request(request, RAW, progress_callback=progress)
            return found

        return await self.use(send)

    async def use(self, job: Callable[[OpenSession], Awaitable[T]]) -> T:
        """Something with the session; once more with a new one if the old one was not there. Raises like `ask`."""
        for attempt in (1, 2):
            live = await self._open_session()
            trace = RequestTrace()
            mark = _trace.set(trace)
            try:
                return await job(live)
            except MCPError as error:
                refused, broken = _refused_session(trace, error, live), _broken(error)
                if refused or broken:
                    self._drop(live)
                if attempt == 1 and (refused or (broken and not trace.sent)):
                    continue
                if trace.status in PROXY_SAYS:
                    raise self._refused(trace) from None
                if broken:
                    text = f"The connection to {self.name} broke while it was working: nobody knows whether it did it."
                    raise Blocked(BlockedReason(self.name, text)) from None
                raise
            finally:
                _trace.reset(mark)
        raise AssertionError("unreachable")

    async def level(self, level: types.LoggingLevel) -> None:
        """Log lines from this level on, now and in later sessions."""
        self.log_level = level
        if self._live is not None:
            await self._tell_level(self._live)

    async def close(self) -> None:
        """End the session politely, if it can be done soon."""
        if self._live is not None:
            self._drop(self._live)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()

    # --- the session -------------------------------------------------------------------------------------------------

    async def _open_session(self) -> OpenSession:
        async with self._opening:
            if self._live is not None and not self._live.over.is_set():
                return self._live
            opened: asyncio.Future[OpenSession] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._keep(opened), name=f"session of {self.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            try:
                async with asyncio.timeout(CONNECT):
                    self._live = await opened
            except TimeoutError:
                raise Blocked(BlockedReason(self.name, f"{self.name} did not answer within {CONNECT:.0f} s.")) from None
            finally:
                if not opened.done() or opened.cancelled() or opened.exception() is not None:
                    task.cancel()
            return self._live

    async def _keep(self, opened: asyncio.Future[OpenSession]) -> None:
        """The session's own task: the SDK wants it opened and closed in one."""
        trace = RequestTrace()
        _trace.set(trace)
        live: OpenSession | None = None
        try:
            access = await self._access(self.name)
            async with AsyncExitStack() as stack:
                live = await self._connect(stack, access, trace)
                await self._tell_level(live)
                if not opened.done():
                    opened.set_result(live)
                await live.over.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the SDK raises groups; none may end this process
            log.info("%s: the session ended (%s)", self.name, _kinds(error))
            if not opened.done():
                opened.set_exception(self._failure(trace, error))
        finally:
            if live is not None:
                live.over.set()
            if not opened.done():
                opened.cancel()

    async def _connect(self, stack: AsyncExitStack, access: ProxyAccess, trace: RequestTrace) -> OpenSession:
        try:
            return await stack.enter_async_context(self._streamable(access))
        except (MCPError, ExceptionGroup) as error:  # its task groups may make a group of it
            if trace.status not in NOT_HERE or not all(isinstance(leaf, MCPError) for leaf in _leaves(error)):
                raise
        trace.status = 0
        return await stack.enter_async_context(self._older(access))

    @contextlib.asynccontextmanager
    async def _streamable(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        over = asyncio.Event()
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self._http(access.headers, over))
            streams = await stack.enter_async_context(streamable_http_client(access.url, http_client=http))
            session = await stack.enter_async_context(self._session(*streams))
            try:
                await session.initialize()
            except MCPError as error:
                if error.code not in (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND):
                    raise
                await session.discover()
            yield OpenSession(session, over)

    @contextlib.asynccontextmanager
    async def _older(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        over = asyncio.Event()

        def http(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
            return self._http(headers, over, ends=True)

        async with AsyncExitStack() as stack:
            opening = sse_client(access.url, access.headers, httpx_client_factory=http)
            streams = await stack.enter_async_context(opening)
            session = await stack.enter_async_context(self._session(*streams))
            await session.initialize()
            yield OpenSession(session, over)

    def _session(self, reader: Any, writer: Any) -> ClientSession:
        async def heard(message: Any) -> None:
            if not isinstance(message, Exception):
                await self._heard(self.name, message)

        me = types.Implementation(name="amberlight", version=__version__)
        return ClientSession(reader, writer, message_handler=heard, client_info=me)

    def _http(self, headers: dict[str, str] | None, over: asyncio.Event, *, ends: bool = False) -> httpx2.AsyncClient:
        """`ends`: a POST that is refused ends the session, as in the older transport its answer would never come."""

        async def sent(request: httpx2.Request) -> None:
            if (trace := _trace.get()) is not None and request.method == "POST":
                trace.sent = True

        async def answered(response: httpx2.Response) -> None:
            trace = _trace.get()
            if response.status_code < 400 or response.request.method != "POST":
                return
            if trace is not None:
                trace.status = response.status_code
                trace.retry_after = response.headers.get("Retry-After")
                trace.body = _json(await response.aread())
            if ends:
                over.set()

        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(CONNECT, read=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            verify=NO_TLS,
            trust_env=False,
            event_hooks={"request": [sent], "response": [answered]},
        )

    async def _tell_level(self, live: OpenSession) -> None:
        if self.log_level is None or live.capabilities.logging is None:
            return
        params = types.SetLevelRequestParams(level=self.log_level)
        with contextlib.suppress(MCPError, TimeoutError):
            async with asyncio.timeout(5):
                await live.session.send_request(types.SetLevelRequest(params=params), RAW)

    def _drop(self, live: OpenSession) -> None:
        live.over.set()
        if self._live is live:
            self._live = None

    # --- why not -----------------------------------------------------------------------------------------------------

    def _refused(self, trace: RequestTrace) -> Blocked:
        return Blocked(refused(self.name, trace.status, trace.body, trace.retry_after, time.time()))

    def _failure(self, trace: RequestTrace, error: BaseException) -> Exception:
        if trace.status in PROXY_SAYS:
            return self._refused(trace)
        said = next((leaf.message for leaf in _leaves(error) if isinstance(leaf, MCPError)), "")
        if said:
            return Blocked(BlockedReason(self.name, f"{self.name} refused the session: {said}"))
        status = next((e.response.status_code for e in _leaves(error) if isinstance(e, httpx2.HTTPStatusError)), 0)
        what = f"it answered {status}" if status else _kinds(error)
        return Blocked(BlockedReason(self.name, f"{self.name} could not be reached, or is no MCP server ({what})."))


def _refused_session(trace: RequestTrace, error: MCPError, live: OpenSession) -> bool:
    """The request was not looked at: the session is unknown (404; with some servers 400), or the local key is (403).

    Or the version is: the server is another one now.
    """
    if trace.status == 403 or error.code == types.UNSUPPORTED_PROTOCOL_VERSION:
        return True
    if live.session.initialize_result is None:  # clients of 2026-07-28 have none that could be unknown
        return False
    if trace.status == 404:
        return error.code != types.METHOD_NOT_FOUND
    return trace.status == 400 and "session" in error.message.lower()


def _broken(error: MCPError) -> bool:
    """Told by the SDK, not by the server: many servers use the same code for errors of their own."""
    return error.code == types.CONNECTION_CLOSED and error.message.startswith(("Connection closed", "SSE stream"))


def _json(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except ValueError:
        return None
    return found


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors of a group, and of groups in it."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _kinds(error: BaseException) -> str:
    """Their kinds: the texts may quote addresses."""
    return ", ".join(sorted({type(leaf).__name__ for leaf in _leaves(error)}))
