"""An MCP server of the official SDK behind a token check, that can be restarted: then it knows no session any more."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.types import ASGIApp, Receive, Scope, Send

from trayapp.oauthtest import OAuthServer

JSON = [(b"content-type", b"application/json")]
MODERN = b"2026-07-28"
NO_SESSION = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Bad Request: Missing session ID"}}'


class Upstream:
    """Alive inside its `with`, in a thread of its own. `modern` False: it knows sessions only, as older servers do.

    `calls` are the texts that its tool `echo` was called with, over all restarts.
    """

    def __init__(self, authority: OAuthServer, *, modern: bool = True) -> None:
        self.distrust = False  # whatever the token: 401
        self.calls: list[str] = []
        self.more = 0  # bytes that follow the text
        self._authority = authority
        self._modern = modern
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = int(listener.getsockname()[1])
        self._http: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/mcp"

    def __enter__(self) -> Self:
        app = self._guarded(self._server().streamable_http_app())
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
        self._http = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", self._port))
        self._thread = threading.Thread(target=self._http.run, args=([listener],), name="upstream")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        assert self._thread is not None
        self._http.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive()

    def restart(self) -> None:
        """End it and start it anew on the same port."""
        self.__exit__(None, None, None)
        self.__enter__()

    def _server(self) -> MCPServer:
        server = MCPServer("lab", version="1", log_level="CRITICAL")

        @server.tool()
        def echo(text: str) -> str:
            """Answers with the text."""
            self.calls.append(text)
            return f"echo: {text}" + "x" * self.more

        return server

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                head = dict(scope["headers"])
                token = head.get(b"authorization", b"").decode().removeprefix("Bearer ")
                if self.distrust or not self._authority.valid_access(token):
                    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
                    await send({"type": "http.response.body", "body": b""})
                    return
                if not self._modern and head.get(b"mcp-protocol-version") == MODERN:
                    await send({"type": "http.response.start", "status": 400, "headers": JSON})
                    await send({"type": "http.response.body", "body": NO_SESSION})
                    return
            await app(scope, receive, send)

        return guarded
