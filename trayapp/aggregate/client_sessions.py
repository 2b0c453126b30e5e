"""The sessions of the clients: an ASGI application of the streamable HTTP transport, whose sessions outlive this process.

Clients of 2026-07-28 have no session, and are served by the SDK as it is. Older ones have one, and only some of them
begin anew when it is gone. All that a session of ours holds is which version is spoken and which log lines are wanted,
so a session of a process that has ended (idle, crashed, hung) is simply taken up again by its id.
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

from trayapp.aggregate.endpoint import soon
from trayapp.core.model import Secret

IDLE = 3600.0  # s; a session that nobody used for so long is put away, and taken up again if it is used
SESSIONS = 1000
BODY_MAX = 16 << 20  # bytes
TELL = 5.0  # s that one message to one client may take
SECRET = b"x-amberlight-secret"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

_ID = re.compile(r"[0-9a-f]{32}")  # of those that were made here
_CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}

log = logging.getLogger(__name__)


class ClientSessions:
    """The application; `run` it around the server. `summary` are the instructions that a new client gets."""

    def __init__(self, server: Server[Any], secret: Secret, summary: Callable[[], str]) -> None:
        self._server = server
        self._secret = secret.reveal().encode()
        self._summary = summary
        self._modern = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=BODY_MAX)
        self._older = RequestBodyLimitMiddleware(self._in_session, BODY_MAX)
        self._transports: dict[str, StreamableHTTPServerTransport] = {}
        self._connections: dict[str, Connection] = {}
        self._ended: dict[str, None] = {}  # ids that a client said goodbye to; a dict keeps their order
        self._opening = anyio.Lock()
        self._group: TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """From here on requests are taken."""
        async with self._modern.run(), anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                group.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; only of who started this process, which knows the secret."""
        if scope["type"] != "http":
            return
        given = _header(scope, SECRET) or ""
        if not hmac.compare_digest(given.encode(), self._secret):
            await _answer(send, 403)
        elif scope["path"] == "/health":
            await _answer(send, 204)
        elif (_header(scope, b"mcp-protocol-version") or LATEST_HANDSHAKE_VERSION) in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._older(scope, receive, send)
        else:
            if _header(scope, b"mcp-method") == "server/discover":
                self._server.instructions = self._summary()
            await self._modern.handle_request(scope, receive, send)

    # --- what clients are told ---------------------------------------------------------------------------------------

    async def changed(self, kinds: frozenset[str]) -> None:
        """These lists are other ones now."""
        for connection in list(self._connections.values()):
            for kind in sorted(kinds):
                self._tell(connection.notify(_CHANGED[kind], None))

    async def logged(self, name: str, line: types.LoggingMessageNotificationParams) -> None:
        """A workload's log line, to those who want it."""
        logger = f"{name}/{line.logger}" if line.logger else name
        params = {"level": line.level, "logger": logger, "data": line.data}
        for connection in list(self._connections.values()):
            wanted = connection.state.get("level", "debug")
            if LEVELS.index(line.level) >= LEVELS.index(wanted):
                self._tell(connection.notify("notifications/message", params))

    def set_level(self, session_id: str | None, level: str) -> str:
        """What this client wants to hear from now on; the most talkative level that any wants."""
        if session_id in self._connections:
            self._connections[session_id].state["level"] = level
        return min((c.state.get("level", level) for c in self._connections.values()), key=LEVELS.index, default=level)

    def _tell(self, job: Any) -> None:
        if self._group is None:
            job.close()
        else:
            self._group.start_soon(soon, job, TELL)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def _in_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = _header(scope, b"mcp-session-id")
        if given is not None and given not in self._transports and (given in self._ended or not _ID.fullmatch(given)):
            await _answer(send, 404)
            return
        if given not in self._transports and len(self._transports) >= SESSIONS:
            await _answer(send, 503)
            return
        new = given is None
        session_id = given or uuid.uuid4().hex
        async with self._opening:  # a client that comes back asks for its stream and its call at once
            if session_id not in self._transports:
                version = _header(scope, b"mcp-protocol-version")
                await self._open(session_id, None if new else version or LATEST_HANDSHAKE_VERSION)
        transport = self._transports[session_id]
        status = await _status_of(transport, scope, receive, send)
        if transport.is_terminated:
            self._ended[session_id] = None
            if len(self._ended) > SESSIONS:
                del self._ended[next(iter(self._ended))]
        if transport.is_terminated or (new and status >= 400):
            await self._close(session_id, transport)

    async def _open(self, session_id: str, revived: str | None) -> None:
        """Begin to serve a session; `revived` is the version that it agreed on in an earlier process."""
        transport = StreamableHTTPServerTransport(session_id, idle_timeout=IDLE)
        if self._group is None:
            raise RuntimeError("not running")
        await self._group.start(self._serve, session_id, transport, revived)

    async def _serve(
        self,
        session_id: str,
        transport: StreamableHTTPServerTransport,
        revived: str | None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            async with transport.connect() as (reader, writer):
                dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
                    reader, writer, inline_methods=frozenset({"initialize"})
                )
                connection = Connection.for_loop(dispatcher, session_id=session_id, protocol_version_hint=revived)
                if revived is not None:
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
    """Let the transport answer; the status that it answered with."""
    status = 500

    async def watch(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    await transport.handle_request(scope, receive, watch)
    return status


async def _answer(send: Send, status: int) -> None:
    """A status and nothing else."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, name: bytes) -> str | None:
    found = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else str(found.decode("latin-1"))
