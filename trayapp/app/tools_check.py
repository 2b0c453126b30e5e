"""Ask a workload for its tools as a client does: through our own loopback server, with the workload's local key.

Both transports of MCP are spoken, streamable HTTP and the older HTTP with SSE. What comes back is bounded in time and size,
and only numbers of it are repeated.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol
from urllib.parse import urljoin

import aiohttp

from trayapp import __version__
from trayapp.core import answered
from trayapp.core.answered import Answered
from trayapp.core.client_settings import ClientAccess
from trayapp.mcp import messages
from trayapp.mcp.messages import Json
from trayapp.stdio.sse import Event, Events

REVISION = "2025-06-18"
PAGES_MAX = 20
HELLO: Json = {
    "protocolVersion": REVISION,
    "capabilities": {},
    "clientInfo": {"name": "amberlight", "title": "Amberlight", "version": __version__},
}
JSON_TYPE, STREAM_TYPE = "application/json", "text/event-stream"


class _NotMcpError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _TooLargeError(Exception):
    pass


class _Transport(Protocol):
    async def request(self, id_: int, method: str, params: Json) -> Json: ...

    async def notify(self, method: str) -> None: ...

    async def close(self) -> None: ...


async def check(name: str, access: ClientAccess, limit: float = answered.LIMIT) -> Answered:
    """How many tools the workload has, or why nobody can say."""
    timeout = aiohttp.ClientTimeout(total=limit)
    headers = {**access.headers(), "User-Agent": f"Amberlight/{__version__}"}
    try:
        async with asyncio.timeout(limit), aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            transport: _Transport = _Sse(session, access.url) if access.sse else _Http(session, access.url)
            try:
                return answered.with_tools(name, await _count(transport))
            finally:
                await transport.close()
    except TimeoutError:
        return answered.silent(name)
    except _NotMcpError as error:
        return answered.not_mcp(name, error.status)
    except _RefusedError as error:
        return answered.refused(name, error.code)
    except _TooLargeError:
        return answered.too_large(name)
    except (aiohttp.ClientError, OSError, ValueError, RecursionError):
        return answered.cut_off(name)


async def _count(transport: _Transport) -> int:
    hello = await transport.request(1, "initialize", HELLO)
    await transport.notify("notifications/initialized")
    capabilities = hello.get("capabilities")
    if not isinstance(capabilities, dict) or "tools" not in capabilities:
        return 0
    tools, cursor = 0, None
    for page in range(PAGES_MAX):
        found = await transport.request(2 + page, "tools/list", {} if cursor is None else {"cursor": cursor})
        listed, cursor = found.get("tools"), found.get("nextCursor")
        tools += len(listed) if isinstance(listed, list) else 0
        if not cursor or not isinstance(cursor, str) or tools >= answered.TOOLS_MAX:
            break
    return min(tools, answered.TOOLS_MAX)


def _request(id_: int, method: str, params: Json) -> bytes:
    return messages.encode({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def _result(found: Json) -> Json:
    """The result in a response. Raises `_RefusedError`."""
    told = found.get("result")
    if isinstance(told, dict):
        return told
    error = found.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    raise _RefusedError(code if isinstance(code, int) else 0)


class _Http:
    """Streamable HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Accept": f"{JSON_TYPE}, {STREAM_TYPE}", "Content-Type": JSON_TYPE}

    async def request(self, id_: int, method: str, params: Json) -> Json:
        async with self._session.post(
            self._url, data=_request(id_, method, params), headers=self._headers, allow_redirects=False
        ) as response:
            if (session := response.headers.get("Mcp-Session-Id")) is not None:
                self._headers["Mcp-Session-Id"] = session
            result = _result(await self._answer(response, id_))
        if method == "initialize":
            chosen = result.get("protocolVersion")
            self._headers["MCP-Protocol-Version"] = chosen if isinstance(chosen, str) else REVISION
        return result

    async def _answer(self, response: aiohttp.ClientResponse, id_: int) -> Json:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > answered.SIZE_MAX:
                raise _TooLargeError
            whole = response.content_type == STREAM_TYPE and body.endswith((b"\n\n", b"\r\n\r\n"))
            if whole and (found := messages.response_in(STREAM_TYPE, bytes(body), id_)) is not None:
                return found
        found = messages.response_in(response.content_type, bytes(body), id_)
        if found is None:
            raise _NotMcpError(response.status)
        return found

    async def notify(self, method: str) -> None:
        data = messages.encode(messages.notification(method))
        async with self._session.post(self._url, data=data, headers=self._headers, allow_redirects=False):
            pass

    async def close(self) -> None:
        if "Mcp-Session-Id" in self._headers:
            async with self._session.delete(self._url, headers=self._headers, allow_redirects=False):
                pass


class _Sse:
    """HTTP with SSE, of 2024: answers come on a stream that is opened first."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._endpoint = ""
        self._stream: aiohttp.ClientResponse | None = None
        self._events: AsyncGenerator[Event, None] | None = None

    async def request(self, id_: int, method: str, params: Json) -> Json:
        events = self._events or await self._open()
        await self._post(_request(id_, method, params))
        async for event in events:
            if event.kind != "message":
                continue
            data: Any = json.loads(event.data)
            if isinstance(data, dict) and data.get("id") == id_ and "method" not in data:
                return _result(data)
        raise aiohttp.ServerDisconnectedError

    async def _open(self) -> AsyncGenerator[Event, None]:
        self._stream = await self._session.get(self._url, headers={"Accept": STREAM_TYPE}, allow_redirects=False)
        if self._stream.status != 200 or self._stream.content_type != STREAM_TYPE:
            raise _NotMcpError(self._stream.status)
        self._events = events = _read(self._stream)
        async for event in events:
            if event.kind == "endpoint":
                self._endpoint = urljoin(self._url, event.data.decode())
                return events
        raise aiohttp.ServerDisconnectedError

    async def _post(self, data: bytes) -> None:
        if not self._endpoint.startswith(urljoin(self._url, "/")):  # the local key goes nowhere else
            raise _NotMcpError(200)
        head = {"Content-Type": JSON_TYPE}
        async with self._session.post(self._endpoint, data=data, headers=head, allow_redirects=False) as response:
            if response.status >= 400:
                raise _NotMcpError(response.status)

    async def notify(self, method: str) -> None:
        await self._post(messages.encode(messages.notification(method)))

    async def close(self) -> None:
        if self._events is not None:
            await self._events.aclose()
        if self._stream is not None:
            self._stream.close()


async def _read(stream: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
    parser, size = Events(), 0
    async for piece in stream.content.iter_any():
        size += len(piece)
        if size > answered.SIZE_MAX:
            raise _TooLargeError
        for event in parser.feed(piece):
            yield event
