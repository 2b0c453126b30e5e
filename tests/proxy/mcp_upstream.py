"""A scripted MCP server over streamable HTTP, strict with its client: sessions, headers and the order of a handshake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]

TOOLS: list[Json] = [{"name": "echo", "inputSchema": {"type": "object"}}]


@dataclass
class McpServer:
    """What it offers, and what it was asked. Sessions are `up-1`, `up-2`, …; `version` None: it takes the client's."""

    tools: list[Json] = field(default_factory=lambda: list(TOOLS))
    version: str | None = None
    capabilities: Json = field(default_factory=lambda: {"tools": {}})
    sessions: bool = True
    sse: bool = False  # answers as event streams
    page: int = 0  # tools on one page; 0: all
    get_status: int = 200
    lost_status: int = 404
    lost_body: Json | None = None
    modern: bool = False
    ready: dict[str, bool] = field(default_factory=dict)  # by session: `initialized` came
    seen: list[tuple[str, Json]] = field(default_factory=list)  # method of the message, and the message
    headers: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    streams: list[asyncio.Queue[bytes]] = field(default_factory=list)
    failing: Callable[[Json], web.StreamResponse | None] = lambda message: None
    breaking: str = ""  # the method at which the connection breaks before an answer
    number: int = 0

    def methods(self) -> list[str]:
        return [method for method, _ in self.seen]

    def forget(self) -> None:
        """As after a restart."""
        self.ready.clear()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        session = request.headers.get("Mcp-Session-Id")
        if request.method == "GET":
            return await self._stream(request, session)
        if request.method == "DELETE":
            self.ready.pop(session or "", None)
            self.seen.append(("DELETE", {}))
            return web.Response(status=200)
        message = json.loads(await request.read())
        if isinstance(message, list):
            self.seen += [(each.get("method", ""), each) for each in message]
            return web.json_response([self._result(each) for each in message if "id" in each])
        self.seen.append((message.get("method", ""), message))
        if message.get("method") == self.breaking and request.transport is not None:
            request.transport.abort()
        if (failed := self.failing(message)) is not None:
            return failed
        method = message.get("method")
        if self.modern:
            return self._answer(message)
        if method == "initialize":
            if session is not None:
                self.problems.append("initialize with a session id")
            return self._initialize(message)
        if self.sessions:
            if session is None:
                return web.json_response(_error(None, -32600, "Bad Request: Missing session ID"), status=400)
            if session not in self.ready:
                return web.json_response(
                    self.lost_body or _error(None, -32001, "Session not found"), status=self.lost_status
                )
            if method == "notifications/initialized":
                self.ready[session] = True
            elif not self.ready[session]:
                self.problems.append(f"{method} before initialized")
        if "id" not in message or "method" not in message:
            return web.Response(status=202)
        return self._answer(message)

    def _initialize(self, message: Json) -> web.Response:
        result = {
            "protocolVersion": self.version or message["params"]["protocolVersion"],
            "capabilities": self.capabilities,
            "serverInfo": {"name": "up", "version": "1"},
            "instructions": "Be kind.",
        }
        head = {}
        if self.sessions:
            self.number += 1
            head["Mcp-Session-Id"] = f"up-{self.number}"
            self.ready[f"up-{self.number}"] = False
        return self._framed({"jsonrpc": "2.0", "id": message["id"], "result": result}, head)

    def _answer(self, message: Json) -> web.Response:
        return self._framed(self._result(message), {})

    def _framed(self, answer: Json, head: dict[str, str]) -> web.Response:
        if self.sse:
            text = f": hello\n\nevent: message\ndata: {json.dumps(answer)}\n\n"
            return web.Response(text=text, headers={**head, "Content-Type": "text/event-stream"})
        return web.json_response(answer, headers=head)

    def _result(self, message: Json) -> Json:
        params = message.get("params") or {}
        match message["method"]:
            case "tools/list":
                start = int(params.get("cursor") or 0)
                end = start + self.page if self.page else len(self.tools)
                value: Json = {"tools": self.tools[start:end]}
                if end < len(self.tools):
                    value["nextCursor"] = str(end)
                if self.modern:
                    value |= {"resultType": "complete", "ttlMs": 60000, "cacheScope": "private"}
            case "tools/call":
                value = {"content": [{"type": "text", "text": "done"}]}
            case "server/discover":
                value = {
                    "resultType": "complete",
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": self.capabilities,
                    "ttlMs": 1000,
                    "cacheScope": "public",
                }
            case "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe":
                value = {}
            case _:
                return _error(message["id"], -32601, "Method not found")
        return {"jsonrpc": "2.0", "id": message["id"], "result": value}

    async def _stream(self, request: web.BaseRequest, session: str | None) -> web.StreamResponse:
        self.seen.append(("GET", {}))
        if self.get_status != 200:
            return web.Response(status=self.get_status)
        if self.sessions and session not in self.ready:
            return web.json_response(_error(None, -32001, "Session not found"), status=404)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": up\n\n")
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.streams.append(queue)
        try:
            while data := await queue.get():
                await response.write(data)
        finally:
            self.streams.remove(queue)
        return response


def _error(id_: Any, code: int, text: str) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": text}}
