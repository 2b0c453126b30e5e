"""One workload's MCP session, kept between calls: opened when first needed, reopened when it is lost.

Streamable HTTP first, by the initialize handshake or, where the server knows only that, by `server/discover`; a server
that refuses both is tried with the older SSE transport. A request that may have reached the server is never sent
twice. Only one that can't have been processed is repeated: the session was unknown (404) or already closed.

If the proxy answers instead of the server (no token, upstream unreachable), the HTTP status of that very request says
so, and `Blocked` is raised: to the SDK it is an error like any other.
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
from trayapp.aggregate.availability import Blocked, BlockedReason, proxy_refusal
from trayapp.aggregate.feed import NO_TLS, ProxyAccess

OPEN_LIMIT = 30.0  # s, handshake included; the proxy itself waits 10 s for a connection
NOT_STREAMABLE = frozenset({400, 404, 405, 406, 415, 501})  # what servers of the older transport answer to a POST
FROM_PROXY = frozenset({403, 502, 503, 504})

RAW: TypeAdapter[Any] = TypeAdapter(dict[str, Any])  # Any: the SDK annotates it for models only

T = TypeVar("T")

log = logging.getLogger(__name__)

NotificationHandler = Callable[[str, types.ServerNotification], Awaitable[None]]


@dataclass(slots=True)
class RequestTrace:
    """What became of one request on the wire. Found through a context variable, which the SDK preserves."""

    sent: bool = False
    status: int = 0  # HTTP status, if it is an error
    body: object = None
    retry_after: str | None = None


_trace: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)


@dataclass(slots=True, eq=False)
class OpenSession:
    """An open session, until `closed` is set."""

    session: ClientSession
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def capabilities(self) -> types.ServerCapabilities:
        return self.session.server_capabilities or types.ServerCapabilities()


class UpstreamSession:
    """The session of the workload `name`. `on_notification` gets its notifications: changed lists, log lines."""

    def __init__(
        self, name: str, access: Callable[[str], Awaitable[ProxyAccess]], on_notification: NotificationHandler
    ) -> None:
        self.name = name
        self.log_level: types.LoggingLevel | None = None
        self._access = access
        self._on_notification = on_notification
        self._open: OpenSession | None = None
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, request: types.ClientRequest, progress: ProgressFnT | None = None) -> dict[str, Any]:
        """Send a request; the server's result as received. Raises `Blocked`, or the server's own `MCPError`."""

        async def send(live: OpenSession) -> dict[str, Any]:
            found: dict[str, Any] = await live.session.send_request(request, RAW, progress_callback=progress)
            return found

        return await self.use(send)

    async def use(self, job: Callable[[OpenSession], Awaitable[T]]) -> T:
        """Run a job with the session, and once more with a new one if the old one was gone. Raises like `ask`."""
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
                if trace.status in FROM_PROXY:
                    raise self._proxy_refusal(trace) from None
                if broken:
                    text = f"The connection to {self.name} broke while it was working: nobody knows whether it did it."
                    raise Blocked(BlockedReason(self.name, text)) from None
                raise
            finally:
                _trace.reset(mark)
        raise AssertionError("unreachable")

    async def set_log_level(self, level: types.LoggingLevel) -> None:
        """Set the log level, for this and later sessions."""
        self.log_level = level
        if self._open is not None:
            await self._send_log_level(self._open)

    async def close(self) -> None:
        """End the session, politely if that takes no longer than a second."""
        if self._open is not None:
            self._drop(self._open)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()

    # --- the session -------------------------------------------------------------------------------------------------

    async def _open_session(self) -> OpenSession:
        async with self._opening:
            if self._open is not None and not self._open.closed.is_set():
                return self._open
            opened: asyncio.Future[OpenSession] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._keep(opened), name=f"session of {self.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            try:
                async with asyncio.timeout(OPEN_LIMIT):
                    self._open = await opened
            except TimeoutError:
                raise Blocked(
                    BlockedReason(self.name, f"{self.name} did not answer within {OPEN_LIMIT:.0f} s.")
                ) from None
            finally:
                if not opened.done() or opened.cancelled() or opened.exception() is not None:
                    task.cancel()
            return self._open

    async def _keep(self, opened: asyncio.Future[OpenSession]) -> None:
        """The session's own task: the SDK requires that one task opens and closes it."""
        trace = RequestTrace()
        _trace.set(trace)
        live: OpenSession | None = None
        try:
            access = await self._access(self.name)
            async with AsyncExitStack() as stack:
                live = await self._connect(stack, access, trace)
                await self._send_log_level(live)
                if not opened.done():
                    opened.set_result(live)
                await live.closed.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the SDK raises exception groups; none may end this process
            log.info("%s: the session ended (%s)", self.name, _type_names(error))
            if not opened.done():
                opened.set_exception(self._open_failure(trace, error))
        finally:
            if live is not None:
                live.closed.set()
            if not opened.done():
                opened.cancel()

    async def _connect(self, stack: AsyncExitStack, access: ProxyAccess, trace: RequestTrace) -> OpenSession:
        try:
            return await stack.enter_async_context(self._streamable(access))
        except (MCPError, ExceptionGroup) as error:  # the SDK's task groups may wrap it in a group
            if trace.status not in NOT_STREAMABLE or not all(isinstance(leaf, MCPError) for leaf in _leaves(error)):
                raise
        trace.status = 0
        return await stack.enter_async_context(self._sse(access))

    @contextlib.asynccontextmanager
    async def _streamable(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        closed = asyncio.Event()
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self._http(access.headers, closed))
            streams = await stack.enter_async_context(streamable_http_client(access.url, http_client=http))
            session = await stack.enter_async_context(self._session(*streams))
            try:
                await session.initialize()
            except MCPError as error:
                if error.code not in (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND):
                    raise
                await session.discover()
            yield OpenSession(session, closed)

    @contextlib.asynccontextmanager
    async def _sse(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        closed = asyncio.Event()

        def http(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
            return self._http(headers, closed, end_on_refusal=True)

        async with AsyncExitStack() as stack:
            opening = sse_client(access.url, access.headers, httpx_client_factory=http)
            streams = await stack.enter_async_context(opening)
            session = await stack.enter_async_context(self._session(*streams))
            await session.initialize()
            yield OpenSession(session, closed)

    def _session(self, reader: Any, writer: Any) -> ClientSession:
        async def heard(message: Any) -> None:
            if not isinstance(message, Exception):
                await self._on_notification(self.name, message)

        me = types.Implementation(name="amberlight", version=__version__)
        return ClientSession(reader, writer, message_handler=heard, client_info=me)

    def _http(
        self, headers: dict[str, str] | None, closed: asyncio.Event, *, end_on_refusal: bool = False
    ) -> httpx2.AsyncClient:
        """An HTTP client that records each POST in its trace.

        `end_on_refusal`: a refused POST ends the session, because in the SSE transport its response would never come.
        """

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
                trace.body = _parsed(await response.aread())
            if end_on_refusal:
                closed.set()

        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(OPEN_LIMIT, read=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            verify=NO_TLS,
            trust_env=False,
            event_hooks={"request": [sent], "response": [answered]},
        )

    async def _send_log_level(self, session: OpenSession) -> None:
        if self.log_level is None or session.capabilities.logging is None:
            return
        params = types.SetLevelRequestParams(level=self.log_level)
        with contextlib.suppress(MCPError, TimeoutError):
            async with asyncio.timeout(5):
                await session.session.send_request(types.SetLevelRequest(params=params), RAW)

    def _drop(self, live: OpenSession) -> None:
        live.closed.set()
        if self._open is live:
            self._open = None

    # --- errors ------------------------------------------------------------------------------------------------------

    def _proxy_refusal(self, trace: RequestTrace) -> Blocked:
        return Blocked(proxy_refusal(self.name, trace.status, trace.body, trace.retry_after, time.time()))

    def _open_failure(self, trace: RequestTrace, error: BaseException) -> Exception:
        if trace.status in FROM_PROXY:
            return self._proxy_refusal(trace)
        said = next((leaf.message for leaf in _leaves(error) if isinstance(leaf, MCPError)), "")
        if said:
            return Blocked(BlockedReason(self.name, f"{self.name} refused the session: {said}"))
        status = next((e.response.status_code for e in _leaves(error) if isinstance(e, httpx2.HTTPStatusError)), 0)
        what = f"it answered {status}" if status else _type_names(error)
        return Blocked(BlockedReason(self.name, f"{self.name} could not be reached, or is no MCP server ({what})."))


def _refused_session(trace: RequestTrace, error: MCPError, live: OpenSession) -> bool:
    """Whether the request was rejected unprocessed: for its session (404, some servers 400), key (403) or version.

    An unsupported version means that the server has been replaced by another one.
    """
    if trace.status == 403 or error.code == types.UNSUPPORTED_PROTOCOL_VERSION:
        return True
    if live.session.initialize_result is None:  # revision 2026-07-28 has no sessions that could be unknown
        return False
    if trace.status == 404:
        return error.code != types.METHOD_NOT_FOUND
    return trace.status == 400 and "session" in error.message.lower()


def _broken(error: MCPError) -> bool:
    """Whether the connection broke. The code alone doesn't tell: many servers use it for errors of their own."""
    return error.code == types.CONNECTION_CLOSED and error.message.startswith(("Connection closed", "SSE stream"))


def _parsed(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except ValueError:
        return None
    return found


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, nested groups included."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _type_names(error: BaseException) -> str:
    """The exceptions' types. Their texts may quote URLs."""
    return ", ".join(sorted({type(leaf).__name__ for leaf in _leaves(error)}))
