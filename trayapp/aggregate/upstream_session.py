"""One workload's MCP session, kept between calls: opened when first needed, reopened when it is lost.

Streamable HTTP first, by the initialize handshake or, where the server knows only that, by `server/discover`; a server
that refuses both is tried with the legacy SSE transport. The workload is always reached through `/w/NAME`, which answers
while it can't be asked, and keeps the session while the upstream's come and go. A request that may have reached the server
is never sent twice, and a session that is given up ends when the last request in it has been answered: the calls of other
clients go through it, too.

An HTTP error that is no answer of MCP is recorded for that very request, and `BlockedError` says what it was: to the SDK
all of them are "an error response".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from trayapp import __version__
from trayapp.aggregate.availability import BlockedError, refusal
from trayapp.aggregate.feed import NO_TLS, ProxyAccess
from trayapp.aggregate.legacy_sse import legacy_sse_client
from trayapp.aggregate.request_traces import RequestTrace, broken, caller, ended, leaves, parsed, type_names
from trayapp.core.activity import CLIENT_HEADER, MCP_AGENT
from trayapp.mcp import blocked
from trayapp.mcp.answers import SERVER
from trayapp.mcp.lost import lost

OPEN_LIMIT = 30.0  # s, handshake included; the proxy itself waits 10 s for a connection
NOT_STREAMABLE = frozenset({400, 404, 405, 406, 415, 501})  # what servers of the older transport answer to a POST
EVENT_MAX = 64 << 20  # bytes of one event; the SDK's own limit of 1 MiB is below what servers answer
ERROR_MAX = 64 * 1024  # bytes of an HTTP error that are looked at

RAW: TypeAdapter[Any] = TypeAdapter(dict[str, Any])  # Any: the SDK annotates it for models only

T = TypeVar("T")

log = logging.getLogger(__name__)

NotificationHandler = Callable[[str, types.ServerNotification], Awaitable[None]]


_trace: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)


class _Session(ClientSession):
    """Refuses what a server asks of its client, in words: this session is that of many clients."""

    workload = ""
    refused = 0  # requests
    what = ""  # the last one was for

    async def dispatch_input_request(self, ctx: Any, request: types.InputRequest) -> types.ErrorData:
        self.refused += 1
        self.what = _ASKED_FOR.get(type(request), "something")
        return types.ErrorData(code=types.INVALID_REQUEST, message=blocked.not_passed_on(self.workload, self.what))


_ASKED_FOR: dict[type, str] = {
    types.CreateMessageRequest: "sampling",
    types.ElicitRequest: "elicitation",
    types.ListRootsRequest: "roots",
}


@dataclass(slots=True, eq=False)
class OpenSession:
    """An open session, until `closed` is set. `legacy`: of the SSE transport."""

    session: _Session
    http: httpx2.AsyncClient
    legacy: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    called: bool = False  # a call succeeded in it, so something at the server may depend on it
    users: int = 0  # requests in progress
    retired: bool = False  # it ends with the last of them

    @property
    def capabilities(self) -> types.ServerCapabilities:
        return self.session.server_capabilities or types.ServerCapabilities()

    @property
    def guessed(self) -> bool:
        """The `initialize` result was Amberlight's own, made while nothing was known of the server."""
        info = self.session.server_info
        return info is not None and info.name == SERVER["name"]

    @property
    def instructions(self) -> str:
        return "" if self.guessed else self.session.instructions or ""

    def retire(self) -> None:
        """Use it for no further request."""
        self.retired = True
        if not self.users:
            self.closed.set()

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """A request is in progress."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.retired and not self.users:
                self.closed.set()


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
        """Send a request; the server's result as received. Raises `BlockedError`, or the server's own `MCPError`."""

        async def send(live: OpenSession) -> dict[str, Any]:
            before = live.session.refused
            try:
                found: dict[str, Any] = await live.session.send_request(request, RAW, progress_callback=progress)
            except MCPError as error:
                if live.session.refused == before and error.code != types.MISSING_REQUIRED_CLIENT_CAPABILITY:
                    raise
                raise self._explained(error, live) from None
            if found.get("isError") is True and live.session.refused != before:
                self._explain(found, live)
            return found

        return await self.use(send, call=isinstance(request, types.CallToolRequest))

    async def use(self, job: Callable[[OpenSession], Awaitable[T]], *, call: bool = False) -> T:
        """Run a job with the session, and once more if nothing of it can have been processed. Raises like `ask`.

        `call`: it is a tool call, which may depend on earlier ones in the same session.
        """
        for attempt in (1, 2):
            live = await self._open_session()
            trace = RequestTrace(caller.get())
            mark = _trace.set(trace)
            try:
                with live.used():
                    result = await job(live)
                live.called = live.called or (call and isinstance(result, dict) and result.get("isError") is not True)
                return result
            except MCPError as error:
                over, unknown = ended(error), _unknown_session(trace, error, live)
                if over or unknown:
                    self._drop(live)
                if attempt == 1 and trace.status == 403 and await self._has_new_key(live):
                    continue
                if unknown and call and live.called:
                    raise BlockedError(blocked.session_restarted(self.name)) from None
                if attempt == 1 and (unknown or (over and not trace.sent)):
                    continue
                if trace.status and not trace.answered_by_mcp:
                    raise self._refusal(trace) from None
                if broken(error):
                    raise BlockedError(blocked.fate_unknown(self.name)) from None
                raise
            finally:
                _trace.reset(mark)
        raise AssertionError("unreachable")

    def became_usable(self) -> None:
        """The server can be asked again: a session that began with a guess is replaced by one that knows it."""
        if self._open is not None and self._open.guessed:
            self._drop(self._open)

    async def set_log_level(self, level: types.LoggingLevel) -> None:
        """Set the log level, for this and later sessions."""
        self.log_level = level
        if self._open is not None:
            await self._send_log_level(self._open)

    async def close(self) -> None:
        """End the session, politely if that takes no longer than a second."""
        if self._open is not None:
            self._open.closed.set()
            self._open = None
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
                why = blocked.no_session(self.name, f"it didn't answer within {OPEN_LIMIT:.0f} seconds")
                raise BlockedError(why) from None
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
            log.info("%s: the session ended (%s)", self.name, type_names(error))
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
            if trace.status not in NOT_STREAMABLE or not all(isinstance(leaf, MCPError) for leaf in leaves(error)):
                raise
        trace.status = 0
        return await stack.enter_async_context(self._sse(access))

    @contextlib.asynccontextmanager
    async def _streamable(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self._http(access))
            opening = streamable_http_client(access.url, http_client=http, max_sse_event_size=EVENT_MAX)
            streams = await stack.enter_async_context(opening)
            session = await stack.enter_async_context(self._session(*streams))
            try:
                await session.initialize()
            except MCPError as error:
                if error.code not in (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND):
                    raise
                await session.discover()
            yield OpenSession(session, http)

    @contextlib.asynccontextmanager
    async def _sse(self, access: ProxyAccess) -> AsyncIterator[OpenSession]:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self._http(access))
            streams = await stack.enter_async_context(legacy_sse_client(http, access.url, EVENT_MAX))
            session = await stack.enter_async_context(self._session(*streams))
            await session.initialize()
            yield OpenSession(session, http, legacy=True)

    def _session(self, reader: Any, writer: Any) -> _Session:
        async def heard(message: Any) -> None:
            if not isinstance(message, Exception):
                await self._on_notification(self.name, message)

        me = types.Implementation(name="amberlight", version=__version__)
        session = _Session(reader, writer, message_handler=heard, client_info=me)
        session.workload = self.name
        return session

    def _http(self, access: ProxyAccess) -> httpx2.AsyncClient:
        """An HTTP client that records each POST in its trace."""

        async def sent(request: httpx2.Request) -> None:
            if (trace := _trace.get()) is not None and request.method == "POST":
                trace.sent = True
                if trace.client:
                    request.headers[CLIENT_HEADER] = trace.client

        async def answered(response: httpx2.Response) -> None:
            trace = _trace.get()
            if trace is None or response.status_code < 400 or response.request.method != "POST":
                return
            trace.status = response.status_code
            trace.retry_after = response.headers.get("Retry-After")
            with contextlib.suppress(httpx2.HTTPError):
                trace.raw = (await response.aread())[:ERROR_MAX]
            trace.body = parsed(trace.raw)

        return httpx2.AsyncClient(
            headers={"User-Agent": MCP_AGENT, **access.headers},
            timeout=httpx2.Timeout(OPEN_LIMIT, read=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            verify=NO_TLS,
            trust_env=False,
            event_hooks={"request": [sent], "response": [answered]},
        )

    async def _has_new_key(self, live: OpenSession) -> bool:
        """Whether the local key is another one now; the session goes on with it."""
        with contextlib.suppress(httpx2.HTTPError, ValueError):
            now = (await self._access(self.name)).headers
            if any(live.http.headers.get(name) != value for name, value in now.items()):
                live.http.headers.update(now)
                return True
        return False

    async def _send_log_level(self, session: OpenSession) -> None:
        if self.log_level is None or session.capabilities.logging is None:
            return
        params = types.SetLevelRequestParams(level=self.log_level)
        with contextlib.suppress(MCPError, TimeoutError):
            async with asyncio.timeout(5):
                await session.session.send_request(types.SetLevelRequest(params=params), RAW)

    def _drop(self, live: OpenSession) -> None:
        live.retire()
        if self._open is live:
            self._open = None

    # --- errors ------------------------------------------------------------------------------------------------------

    def _refusal(self, trace: RequestTrace) -> BlockedError:
        return BlockedError(refusal(self.name, trace.status, trace.body, trace.retry_after))

    def _open_failure(self, trace: RequestTrace, error: BaseException) -> Exception:
        if trace.status and not trace.answered_by_mcp:
            return self._refusal(trace)
        found = leaves(error)
        said = next((leaf.message for leaf in found if isinstance(leaf, MCPError)), "")
        answer = next((leaf.response for leaf in found if isinstance(leaf, httpx2.HTTPStatusError)), None)
        if not said and answer is not None:
            body = parsed(answer.content[:ERROR_MAX]) if answer.is_stream_consumed else None
            return BlockedError(refusal(self.name, answer.status_code, body, answer.headers.get("Retry-After")))
        return BlockedError(blocked.no_session(self.name, said or f"it isn't an MCP server ({type_names(error)})"))

    def _explained(self, error: MCPError, live: OpenSession) -> MCPError:
        """The server's error, with what was missing."""
        why = blocked.not_passed_on(self.name, live.session.what or "something of its client")
        return error if why in error.message else MCPError(error.code, f"{error.message} ({why})", error.data)

    def _explain(self, result: dict[str, Any], live: OpenSession) -> None:
        """The same in a result that is an error."""
        why = blocked.not_passed_on(self.name, live.session.what)
        content = result.get("content")
        if isinstance(content, list) and why not in json.dumps(content, ensure_ascii=False):
            content.append({"type": "text", "text": why})


def _unknown_session(trace: RequestTrace, error: MCPError, live: OpenSession) -> bool:
    """Whether the request was rejected unprocessed, because its session is unknown.

    An unsupported version means that the server has been replaced by another one. Revision 2026-07-28 has no sessions.
    """
    if error.code == types.UNSUPPORTED_PROTOCOL_VERSION:
        return True
    if live.session.initialize_result is None:
        return False
    return lost(trace.status, trace.raw) or (live.legacy and trace.status == 400)
