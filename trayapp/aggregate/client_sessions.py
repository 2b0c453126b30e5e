"""Sessions of the clients: an ASGI application of the streamable HTTP transport, whose sessions survive this process.

Clients of revision 2026-07-28 have no session and are served by the SDK as it is. Older clients have one, and only
some of them start a new one when it is lost. A session here holds nothing but the protocol version and the wanted log
level, so the session of a process that has ended (idle, crashed, hung) is resumed under its old id.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import mcp_types as types
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.connection import Connection
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.runner import serve_connection
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import RequestBodyLimitMiddleware, StreamableHTTPSessionManager
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION
from starlette.types import Message, Receive, Scope, Send

from trayapp.aggregate.endpoint import with_limit
from trayapp.aggregate.whole_answers import WholeAnswer
from trayapp.core.model import Secret

IDLE_LIMIT = 3600.0  # s; an unused session is closed then, and resumed if it is used again
SESSIONS_MAX = 1000
BODY_MAX = 16 << 20  # bytes
NOTIFY_LIMIT = 5.0  # s for one notification to one client
SECRET = b"x-amberlight-secret"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

_SESSION_ID = re.compile(r"[0-9a-f]{32}")  # as made here
_LIST_CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}

log = logging.getLogger(__name__)


class ClientSessions:
    """The application; keep `run` open around the server. `summary` returns the instructions for a new client."""

    def __init__(self, server: Server[Any], secret: Secret, summary: Callable[[], str]) -> None:
        self._server = server
        self._secret = secret.reveal().encode()
        self._summary = summary
        self._without_sessions = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=BODY_MAX)
        self._with_sessions = RequestBodyLimitMiddleware(self._in_session, BODY_MAX)
        self._transports: dict[str, StreamableHTTPServerTransport] = {}
        self._connections: dict[str, Connection] = {}
        self._ended: dict[str, None] = {}  # ids of sessions that clients ended; an ordered set
        self._opening = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Requests can be served while this is open."""
        async with self._without_sessions.run(), anyio.create_task_group() as group:
            self._tasks = group
            try:
                yield
            finally:
                self._tasks = None
                group.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Only the app that started this process knows the secret it must show."""
        if scope["type"] != "http":
            return
        given = _header(scope, SECRET) or ""
        if not hmac.compare_digest(given.encode(), self._secret):
            await _empty_response(send, 403)
        elif scope["path"] == "/health":
            await _empty_response(send, 204)
        elif (_header(scope, b"mcp-protocol-version") or LATEST_HANDSHAKE_VERSION) in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._with_sessions(scope, receive, send)
        else:
            if _header(scope, b"mcp-method") == "server/discover":
                self._server.instructions = self._summary()
            await self._without_sessions.handle_request(scope, receive, send)

    # --- notifications -----------------------------------------------------------------------------------------------

    async def changed(self, kinds: frozenset[str]) -> None:
        """Notify every client that these lists have changed."""
        for connection in list(self._connections.values()):
            for kind in sorted(kinds):
                self._notify(connection.notify(_LIST_CHANGED[kind], None))

    async def logged(self, name: str, line: types.LoggingMessageNotificationParams) -> None:
        """Send a workload's log line to the clients that want its level."""
        logger = f"{name}/{line.logger}" if line.logger else name
        params = {"level": line.level, "logger": logger, "data": line.data}
        for connection in list(self._connections.values()):
            wanted = connection.state.get("level", "debug")
            if LEVELS.index(line.level) >= LEVELS.index(wanted):
                self._notify(connection.notify("notifications/message", params))

    def set_level(self, session_id: str | None, level: str) -> str:
        """Set this client's log level; returns the most verbose level that any client wants."""
        if session_id in self._connections:
            self._connections[session_id].state["level"] = level
        return min((c.state.get("level", level) for c in self._connections.values()), key=LEVELS.index, default=level)

    def _notify(self, notification: Any) -> None:
        if self._tasks is None:
            notification.close()
        else:
            self._tasks.start_soon(with_limit, notification, NOTIFY_LIMIT)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def _in_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        session_id_header = _header(scope, b"mcp-session-id")
        if (
            session_id_header is not None
            and session_id_header not in self._transports
            and (session_id_header in self._ended or not _SESSION_ID.fullmatch(session_id_header))
        ):
            await _empty_response(send, 404)
            return
        if session_id_header not in self._transports and len(self._transports) >= SESSIONS_MAX:
            await _empty_response(send, 503)
            return
        is_new = session_id_header is None
        session_id = session_id_header or uuid.uuid4().hex
        async with self._opening:  # a returning client sends its stream's GET and its call at the same time
            if session_id not in self._transports:
                version = _header(scope, b"mcp-protocol-version")
                await self._open(session_id, None if is_new else version or LATEST_HANDSHAKE_VERSION)
        transport = self._transports[session_id]
        status = await _status_of(transport, scope, receive, send)
        if transport.is_terminated:
            self._ended[session_id] = None
            if len(self._ended) > SESSIONS_MAX:
                del self._ended[next(iter(self._ended))]
        if transport.is_terminated or (is_new and status >= 400):
            await self._close(session_id, transport)

    async def _open(self, session_id: str, resumed_version: str | None) -> None:
        """Start to serve a session; `resumed_version` was negotiated in an earlier process, None for a new session."""
        transport = StreamableHTTPServerTransport(session_id, idle_timeout=IDLE_LIMIT)
        if self._tasks is None:
            raise RuntimeError("not running")
        await self._tasks.start(self._serve, session_id, transport, resumed_version)

    async def _serve(
        self,
        session_id: str,
        transport: StreamableHTTPServerTransport,
        resumed_version: str | None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            async with transport.connect() as (reader, writer):
                dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
                    reader, writer, inline_methods=frozenset({"initialize"})
                )
                connection = Connection.for_loop(
                    dispatcher, session_id=session_id, protocol_version_hint=resumed_version
                )
                if resumed_version is not None:
                    connection.initialized.set()
                self._connections[session_id] = connection
                self._transports[session_id] = transport
                task_status.started()
                with transport.idle_scope or anyio.CancelScope():
                    self._server.instructions = self._summary()
                    options = self._server.create_initialization_options(NotificationOptions(True, True, True))
                    await serve_connection(
                        self._server, dispatcher, connection=connection, lifespan_state=None, init_options=options
                    )
        except Exception:
            log.exception("a client's session broke")
        finally:
            self._connections.pop(session_id, None)
            await self._close(session_id, transport)

    async def _close(self, session_id: str, transport: StreamableHTTPServerTransport) -> None:
        if self._transports.get(session_id) is transport:
            del self._transports[session_id]
        if not transport.is_terminated:
            with anyio.CancelScope(shield=True):
                await transport.terminate()


async def _status_of(transport: StreamableHTTPServerTransport, scope: Scope, receive: Receive, send: Send) -> int:
    """Let the transport respond; returns the status of its response."""
    status = 500
    forward = WholeAnswer(send) if scope["method"] == "POST" else send

    async def recorded(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await forward(message)

    await transport.handle_request(scope, receive, recorded)
    return status


async def _empty_response(send: Send, status: int) -> None:
    """A response without a body."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, name: bytes) -> str | None:
    found = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else str(found.decode("latin-1"))
