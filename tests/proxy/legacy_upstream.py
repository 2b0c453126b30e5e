"""A scripted MCP server of the legacy SSE transport (2024-11-05): one stream per session, answers only on the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass
class LegacyServer:
    """`failing` answers a POST in place of the server, and `closed` a GET; `raw` bytes go onto the newest stream as they
    are. `version` is what `initialize` is answered, empty: what was asked for."""

    streams: dict[str, web.StreamResponse] = field(default_factory=dict)
    seen: list[Json] = field(default_factory=list)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)
    version: str = "2024-11-05"
    announces: str = "/messages/"
    closed: Callable[[web.BaseRequest], web.StreamResponse] | None = None
    failing: Callable[[web.BaseRequest, Json], web.StreamResponse | None] = lambda request, message: None

    def methods(self) -> list[str]:
        return [str(each.get("method")) for each in self.seen]

    async def raw(self, data: bytes) -> None:
        await list(self.streams.values())[-1].write(data)

    def drop(self) -> None:
        """End every stream; their sessions are gone."""
        self.streams.clear()
        for each in self.ends.values():
            each.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and self.closed is not None:
            return self.closed(request)
        if request.method == "GET":
            return await self._stream(request)
        message = json.loads(await request.read())
        self.seen.append(message)
        if (failed := self.failing(request, message)) is not None:
            return failed
        stream = self.streams.get(request.query.get("session_id", ""))
        if stream is None:
            return web.Response(status=404, text="Could not find session")
        if "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": self._result(message)}
            await stream.write(b"event: message\r\ndata: " + json.dumps(answer).encode() + b"\r\n\r\n")
        return web.Response(status=202, text="Accepted")

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        session = f"s{len(self.ends) + 1}"
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.streams[session], self.ends[session] = response, asyncio.Event()
        await response.write(f"event: endpoint\r\ndata: {self.announces}?session_id={session}\r\n\r\n".encode())
        await self.ends[session].wait()
        return response

    def _result(self, message: Json) -> Json:
        match message["method"]:
            case "initialize":
                version = self.version or message["params"]["protocolVersion"]
                server = {"name": "legacy", "version": "1"}
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
            case "tools/list":
                return {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
            case "tools/call":
                return {"content": [{"type": "text", "text": "done"}]}
        return {}
