"""An MCP server that requires a token, made with the official SDK: tools that report progress, wait and fail; prompts,
resources, a log.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.sse import SseServerTransport
from mcp.shared.exceptions import MCPError
from starlette.types import Receive, Scope, Send

from trayapp.oauthtest import OAuthServer

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}

JSON = [(b"content-type", b"application/json")]
NO_SESSION = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}'
)

TOO_OLD = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"unsupported","data":{"supported":["2026-07-28"],'
    b'"requested":"2025-11-25"}}}'
)


class Upstream:
    """Alive inside its `with`, in a thread of its own. `legacy`: over HTTP+SSE (2024-11-05).

    `answers` are HTTP answers in the server's place: status, content type and body, by words in the request's body.
    """

    def __init__(self, name: str, authority: OAuthServer, *, legacy: bool = False) -> None:
        self.name = name
        self.answers: dict[bytes, tuple[int, bytes, bytes]] = {}
        self._legacy = legacy
        self.url = ""
        self.distrust = False  # whatever the token: 401
        self.modern_only = False  # it knows no handshake
        self.tools = ["say", "slow", "wait", "fail", "link"]
        self.calls: list[str] = []
        self.cancelled = threading.Event()
        self.waiting = threading.Event()
        self.tokens: set[str] = set()
        self._authority = authority
        self._sessions: list[Any] = []
        self._server_made: Server[Any] | None = None
        self._unknown: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._http: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name=f"upstream {name}")

    def __enter__(self) -> Self:
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/mcp"
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        self._http.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def offer(self, tool: str) -> None:
        """One more tool, and every client is told that the list is another one."""
        self.tools.append(tool)
        assert self._loop is not None
        for session in self._sessions:
            asyncio.run_coroutine_threadsafe(session.send_tool_list_changed(), self._loop).result(5)

    def forget(self, status: int = 404) -> None:
        """The server was restarted: it knows no session any more, and says so by 404, or 400 as some do."""
        assert self._server_made is not None
        sessions = self._server_made.session_manager._server_instances
        self._unknown = set(sessions) if status == 400 else set()
        if status == 404:
            sessions.clear()

    def log(self, text: str) -> None:
        """Every client is sent a line of the log."""
        assert self._loop is not None
        params = types.LoggingMessageNotificationParams(level="info", logger="depths", data=text)
        for session in self._sessions:
            sending = session.send_notification(types.LoggingMessageNotification(params=params))
            asyncio.run_coroutine_threadsafe(sending, self._loop).result(5)

    def _run(self) -> None:
        self._server_made = self._server()
        app: Any = (
            _Legacy(self._server_made)
            if self._legacy
            else self._server_made.streamable_http_app(json_response=False, max_request_body_size=64 << 20)
        )

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self._loop = asyncio.get_running_loop()
                found = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
                if self.distrust or not self._authority.valid_access(found):
                    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
                    await send({"type": "http.response.body", "body": b""})
                    return
                self.tokens.add(found)
                head = dict(scope["headers"])
                unknown = head.get(b"mcp-session-id", b"").decode() in self._unknown
                too_old = self.modern_only and head.get(b"mcp-protocol-version") != b"2026-07-28"
                if unknown or too_old:
                    await send({"type": "http.response.start", "status": 400, "headers": JSON})
                    await send({"type": "http.response.body", "body": NO_SESSION if unknown else TOO_OLD})
                    return
                if self.answers and scope["method"] == "POST":
                    receive, body = await _read(receive)
                    for words, (status, kind, text) in self.answers.items():
                        if words in body:
                            kinds = [(b"content-type", kind)]
                            await send({"type": "http.response.start", "status": status, "headers": kinds})
                            await send({"type": "http.response.body", "body": text})
                            return
            await app(scope, receive, send)

        config = uvicorn.Config(guarded, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
        self._http = uvicorn.Server(config)
        self._http.run([self._listener])

    # --- the server --------------------------------------------------------------------------------------------------

    def _server(self) -> Server[Any]:
        server: Server[Any] = Server(
            self.name,
            version="1",
            instructions=f"What {self.name} is for.",
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_completion=self._complete,
        )
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)
        make = server.create_initialization_options
        server.create_initialization_options = lambda *_, **__: make(NotificationOptions(True, True, True))  # type: ignore[method-assign]
        return server

    async def _set_level(self, context: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self.calls.append(f"level {params.level}")
        return types.EmptyResult()

    async def _list_tools(self, context: Any, params: Any) -> types.ListToolsResult:
        self._sessions.append(context.session)
        return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=SCHEMA) for name in self.tools])

    async def _call_tool(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        self.calls.append(params.name)
        arguments = params.arguments or {}
        jobs: dict[str, Callable[[], Awaitable[str]]] = {
            "slow": lambda: self._slow(context),
            "wait": self._wait,
            "big": lambda: _text("x" * int(arguments["size"])),
            "sample": lambda: self._sample(context),
            "elicit": lambda: self._elicit(context),
        }
        if params.name not in self.tools and params.name not in jobs:
            raise MCPError(types.INVALID_PARAMS, f"no tool {params.name}")
        if params.name == "fail":
            raise MCPError(int(arguments.get("code", -32050)), "a failure of its own", {"depth": 3})
        if params.name == "link":
            link = types.ResourceLink(type="resource_link", name="memo", uri="memo://one")
            return types.CallToolResult(content=[link])
        text = await jobs[params.name]() if params.name in jobs else f"{self.name} says {arguments.get('text')}"
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    async def _slow(self, context: Any) -> str:
        for step in range(4):
            await context.session.report_progress(step + 1, 4, f"step {step + 1}")
            await asyncio.sleep(0.2)
        return "slow is done"

    async def _sample(self, context: Any) -> str:
        """Ask the client's model, and fail in words as servers do."""
        text = types.TextContent(type="text", text="what now?")
        message = types.SamplingMessage(role="user", content=text)
        params = types.CreateMessageRequestParams(messages=[message], max_tokens=5)
        return str(await context.session.send_request(types.CreateMessageRequest(params=params), types.EmptyResult))

    async def _elicit(self, context: Any) -> str:
        """Ask the client's user."""
        return str(await context.session.elicit_form("who are you?", {"type": "object", "properties": {}}))

    async def _wait(self) -> str:
        self.waiting.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "nobody cancelled it"

    async def _list_prompts(self, context: Any, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[types.Prompt(name="greet", arguments=[])])

    async def _get_prompt(self, context: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        text = types.TextContent(type="text", text=f"{self.name} {params.name}s {params.arguments}")
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])

    async def _list_resources(self, context: Any, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[types.Resource(name="one", uri="memo://one")])

    async def _list_templates(self, context: Any, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(name="any", uri_template="memo://{name}")
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def _read_resource(self, context: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        contents = types.TextResourceContents(uri=params.uri, text=f"{self.name} keeps {params.uri}")
        return types.ReadResourceResult(contents=[contents])

    async def _complete(self, context: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
        values = [f"{params.ref.type} {params.argument.value}"]
        return types.CompleteResult(completion=types.Completion(values=values))


async def _text(text: str) -> str:
    return text


async def _read(receive: Receive) -> tuple[Receive, bytes]:
    """The whole body, and a `receive` that begins with it again."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return first.pop() if first else await receive()

    return again, body


class _Legacy:
    """The server over HTTP+SSE: a GET opens the stream, messages are posted elsewhere."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._transport = SseServerTransport("/messages/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/messages/":
            await self._transport.handle_post_message(scope, receive, send)
        elif scope["method"] == "GET":
            async with self._transport.connect_sse(scope, receive, send) as (reader, writer):
                await self._server.run(reader, writer, self._server.create_initialization_options())
        else:
            await send({"type": "http.response.start", "status": 405, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
