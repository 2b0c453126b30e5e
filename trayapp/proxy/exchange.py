"""One HTTP exchange with an upstream over aiohttp's connector: sends the request and returns the response unread.

aiohttp's connector resolves, opens and pools the connections, and its parser reads the responses. `ClientSession` is
left out: the proxy must not follow redirects, keep cookies, add headers or decode bodies, and switching all of that
off still costs more than the rest of a request together (`packaging/bench/proxy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeAlias, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDictProxy

from trayapp.proxy.headers import Headers

CONNECT_LIMIT = 10.0  # s for DNS, TCP, proxy and TLS together. Nothing else has a limit: streams stay silent for hours
LINE_MAX = 32 * 1024  # bytes of a status line and of one header; some servers send long policies
HEADERS_MAX = 256
BODILESS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # no Content-Length: 0 needed where there is no body
IDEMPOTENT = BODILESS | frozenset(("PUT", "DELETE"))  # RFC 9110 section 9.2.2

TIMEOUT = aiohttp.ClientTimeout(total=None, connect=CONNECT_LIMIT)  # a pooled connection needs no timer at all

RequestBody: TypeAlias = bytes | AsyncIterator[bytes] | None


class UpstreamResponse:
    """A response whose headers have arrived and whose body is yet to be read. Leaving `with` frees the connection, and then
    calls `on_exit`."""

    __slots__ = ("_connection", "_upload", "content", "headers", "on_exit", "reason", "status")

    def __init__(
        self,
        connection: Connection,
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
        """Reuse the connection only if the request was sent to its end and, as aiohttp checks, the response read."""
        transport = self._connection.transport
        try:
            if self._upload is not None and not self._upload.done():
                self._upload.cancel()
            elif transport is not None and not transport.get_write_buffer_size():
                self._connection.release()
                return
            self._connection.close()
        finally:
            if self.on_exit is not None:
                self.on_exit()


async def send_request(
    connector: aiohttp.BaseConnector,
    upstream: aiohttp.ClientRequest,
    method: str,
    target: str,
    head: Headers,
    body: RequestBody,
    renew: Callable[[Headers], None] = lambda head: None,
) -> UpstreamResponse:
    """Send a request to where `upstream` points; returns as soon as the response headers are here.

    A body of unknown length is sent in chunks. If a pooled connection turns out to be closed, an idempotent request with
    a repeatable body is sent once more, after `renew` has replaced the headers that are good for one request only.
    Raises `aiohttp.ClientError`, `HttpProcessingError` or `OSError` (`TimeoutError`).
    """
    may_repeat = method in IDEMPOTENT and (body is None or isinstance(body, bytes))
    while True:
        connection = await connector.connect(upstream, [], TIMEOUT)
        try:
            return await _exchange(connection, method, target, head, body)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, ConnectionResetError):
            connection.close()
            if not may_repeat:
                raise
            may_repeat = False
            renew(head)
        except BaseException:
            connection.close()
            raise


async def _exchange(
    connection: Connection, method: str, target: str, head: Headers, body: RequestBody
) -> UpstreamResponse:
    protocol = cast(ResponseHandler, connection.protocol)  # set until the connection is released
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    _set_framing(method, head, body, writer)
    await writer.write_headers(f"{method} {target} HTTP/1.1", head)
    upload: asyncio.Task[None] | None = None
    if not body:
        writer.send_headers()
    elif isinstance(body, bytes):
        await writer.write(body, drain=False)  # in one packet with the headers; it is short, and in memory anyway
    else:
        upload = asyncio.create_task(_upload(writer, protocol, body), name=f"upload to {head[hdrs.HOST]}")
    try:
        protocol.set_response_params(  # nothing arrives before the loop runs, and meanwhile the upstream can begin
            skip_payload=method == hdrs.METH_HEAD,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=LINE_MAX,
            max_field_size=LINE_MAX,
            max_headers=HEADERS_MAX,
        )
        message, content = await protocol.read()
        while 102 <= message.code < 200 or message.code == 100:  # interim responses (RFC 9110 section 15.2)
            message, content = await protocol.read()
        if message.code < 200:
            raise HttpProcessingError(message="switched protocols unasked")
    except BaseException:
        if upload is not None:
            upload.cancel()
        raise
    return UpstreamResponse(connection, upload, message, content)


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
        protocol.set_exception(aiohttp.ClientConnectionError("the request couldn't be sent completely"), error)
        if protocol.transport is not None:
            protocol.transport.abort()
