"""One HTTP exchange with an upstream: sends the request and returns the response unread.

aiohttp's connector resolves and opens the connections (`pool.py`), and its parser reads the responses. `ClientSession` is
left out: the proxy must not follow redirects, keep cookies, add headers or decode bodies, and switching all of that
off still costs more than the rest of a request together (`packaging/bench/proxy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDictProxy

from trayapp.proxy.headers import Headers
from trayapp.proxy.pool import Target, UpstreamPool, UpstreamProtocol, at_once

LINE_MAX = 32 * 1024  # bytes of a status line and of one header; some servers send long policies
HEADERS_MAX = 256
BODILESS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # no Content-Length: 0 needed where there is no body
IDEMPOTENT = BODILESS | frozenset(("PUT", "DELETE"))  # RFC 9110 section 9.2.2

RequestBody: TypeAlias = bytes | AsyncIterator[bytes] | None


class UpstreamResponse:
    """A response whose headers have arrived and whose body is yet to be read. Leaving `with` frees the connection, and then
    calls `on_exit`."""

    __slots__ = ("_connection", "_release", "_upload", "content", "headers", "on_exit", "reason", "status")

    def __init__(
        self,
        connection: Connection,
        release: Callable[[Connection], None],
        upload: asyncio.Task[None] | None,
        message: aiohttp.http.RawResponseMessage,
        content: aiohttp.StreamReader,
    ) -> None:
        self.status: int = message.code
        self.reason: str = message.reason
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.on_exit: Callable[[], None] | None = None
        self._connection = connection
        self._release = release
        self._upload = upload

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case."""
        return self.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Reuse the connection only if the request was sent to its end and, as the pool checks, the response read."""
        transport = self._connection.transport
        try:
            if self._upload is not None and not self._upload.done():
                self._upload.cancel()
            elif transport is not None and not transport.get_write_buffer_size():
                self._release(self._connection)
                return
            self._connection.close()
        finally:
            if self.on_exit is not None:
                self.on_exit()


async def send_request(
    pool: UpstreamPool, target: Target, method: str, path: str, head: Headers, body: RequestBody
) -> UpstreamResponse:
    """Send a request to `target`; returns as soon as the response headers are here.

    A body of unknown length is sent in chunks. If a kept connection turns out to be closed, an idempotent request with a
    repeatable body is sent once more. Raises `aiohttp.ClientError`, `HttpProcessingError` or `OSError`
    (`TimeoutError`).
    """
    may_repeat = method in IDEMPOTENT and (body is None or isinstance(body, bytes))
    while True:
        connection = pool.idle(target) or await pool.connect(target)
        upload: asyncio.Task[None] | None = None
        try:
            upload = _send(connection, method, path, head, body)
            protocol = cast(ResponseHandler, connection.protocol)  # set until the connection is released
            while (message_and_content := _final(*await protocol.read())) is None:
                pass
            return UpstreamResponse(connection, partial(pool.release, target), upload, *message_and_content)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, ConnectionResetError):
            _give_up(connection, upload)
            if not may_repeat:
                raise
            may_repeat = False
        except BaseException:
            _give_up(connection, upload)
            raise


class SentRequest:
    """A request that was sent over an idle connection, and for whose response nobody waits.

    `on_response` is called when `take` has the response or the error, within the step of the loop that received it.
    """

    __slots__ = ("_connection", "_error", "_on_response", "_protocol", "_response", "_target", "pool")

    def __init__(
        self, pool: UpstreamPool, target: Target, connection: Connection, on_response: Callable[[], None]
    ) -> None:
        self.pool = pool
        self._target = target
        self._connection = connection
        self._protocol = cast(UpstreamProtocol, connection.protocol)
        self._on_response = on_response
        self._response: UpstreamResponse | None = None
        self._error: Exception | None = None
        self._protocol.watcher = self._readable

    @classmethod
    def send(
        cls,
        pool: UpstreamPool,
        target: Target,
        method: str,
        path: str,
        head: Headers,
        body: bytes,
        on_response: Callable[[], None],
    ) -> SentRequest | None:
        """Send it now; None if there is no connection for that, or it cannot be sent: then nothing was."""
        connection = pool.idle(target)
        if connection is None:
            return None
        if not isinstance(connection.protocol, UpstreamProtocol):
            pool.release(target, connection)
            return None
        try:
            _send(connection, method, path, head, body)
        except (OSError, ValueError):  # raised before a byte is written
            connection.close()
            return None
        return cls(pool, target, connection, on_response)

    def take(self) -> UpstreamResponse:
        """The response, for a `with` block. Raises what `send_request` raises."""
        if self._response is None:
            raise self._error or RuntimeError("there is no response yet")
        return self._response

    def close(self) -> None:
        """Nobody wants the response any more."""
        self._protocol.watcher = None
        self._connection.close()

    def _readable(self) -> None:
        try:
            found = _final(*at_once(self._protocol.read()))
        except Exception as error:  # noqa: BLE001 - whatever it is, `take` raises it
            self._connection.close()
            self._error = error
        else:
            if found is None:
                self._protocol.watcher = self._readable
                return
            self._response = UpstreamResponse(self._connection, partial(self.pool.release, self._target), None, *found)
        self._on_response()


def _send(
    connection: Connection, method: str, path: str, head: Headers, body: RequestBody
) -> asyncio.Task[None] | None:
    """Send the request; returns the task that sends the body if that isn't here yet."""
    protocol = cast(ResponseHandler, connection.protocol)
    protocol.set_response_params(
        skip_payload=method == hdrs.METH_HEAD,
        read_until_eof=True,
        auto_decompress=False,
        max_line_size=LINE_MAX,
        max_field_size=LINE_MAX,
        max_headers=HEADERS_MAX,
    )
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    _set_framing(method, head, body, writer)
    at_once(writer.write_headers(f"{method} {path} HTTP/1.1", head))
    if not body:
        writer.send_headers()
    elif isinstance(body, bytes):
        at_once(writer.write(body, drain=False))  # in one packet with the headers; it is short, and in memory anyway
    else:
        return asyncio.create_task(_upload(writer, protocol, body), name=f"upload to {head[hdrs.HOST]}")
    return None


def _final(
    message: aiohttp.http.RawResponseMessage, content: aiohttp.StreamReader
) -> tuple[aiohttp.http.RawResponseMessage, aiohttp.StreamReader] | None:
    """The response; None for an interim one (RFC 9110 section 15.2)."""
    if 102 <= message.code < 200 or message.code == 100:
        return None
    if message.code < 200:
        raise HttpProcessingError(message="switched protocols without being asked to")
    return message, content


def _give_up(connection: Connection, upload: asyncio.Task[None] | None) -> None:
    if upload is not None:
        upload.cancel()
    connection.close()


def _set_framing(method: str, head: Headers, body: RequestBody, writer: StreamWriter) -> None:
    """Say how long the body is (RFC 9112 section 6)."""
    if isinstance(body, bytes):
        head[hdrs.CONTENT_LENGTH] = str(len(body))
    elif hdrs.CONTENT_LENGTH in head:
        return
    elif body is not None:
        head[hdrs.TRANSFER_ENCODING] = "chunked"
        writer.enable_chunking()
    elif method not in BODILESS:
        head[hdrs.CONTENT_LENGTH] = "0"


async def _upload(writer: StreamWriter, protocol: ResponseHandler, body: AsyncIterator[bytes]) -> None:
    """Stream the body. If it breaks off, the upstream gets no last chunk, and whoever awaits the response is told."""
    try:
        async for chunk in body:
            await writer.write(chunk)
        await writer.write_eof()
    except Exception as error:  # noqa: BLE001 - whatever it is, a request is waiting for its response
        protocol.set_exception(aiohttp.ClientConnectionError("the request could not be sent to its end"), error)
        if protocol.transport is not None:
            protocol.transport.abort()
