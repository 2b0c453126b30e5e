"""One request on one of aiohttp's connections, and its answer: bytes to and fro, with no opinion about them.

aiohttp's connector finds, makes and keeps the connections, and its parser reads the answers. Its `ClientSession` is left
out: redirects, cookies, added headers and decoded bodies are what the proxy must not have, and switching them all off
still costs more than the rest of a request together (`packaging/bench/proxy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeAlias, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDictProxy

from trayapp.proxy.headers import Headers

CONNECT = 10.0  # s; look-up, TCP, proxy and TLS together. Nothing else has a limit: streams stay silent for hours
LINE_MAX = 32 * 1024  # bytes of a status line and of one header; some servers send long policies
HEADERS_MAX = 256
BODILESS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # whose body is no news if it is missing
IDEMPOTENT = BODILESS | frozenset(("PUT", "DELETE"))  # RFC 9110 section 9.2.2

TIMEOUT = aiohttp.ClientTimeout(total=None, connect=CONNECT)  # a kept connection does not even start its clock

Sent: TypeAlias = bytes | AsyncIterator[bytes] | None


class UpstreamResponse:
    """What the upstream says: its headers are here, its body comes. The end of `with` gives the connection back."""

    __slots__ = ("_connection", "_upload", "content", "headers", "reason", "status")

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
        self._connection = connection
        self._upload = upload

    @property
    def content_type(self) -> str:
        """Without parameters, in small letters."""
        return self.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """aiohttp keeps a connection only if its answer was read to the end; we, only if the request was sent, too."""
        transport = self._connection.transport
        if self._upload is not None and not self._upload.done():
            self._upload.cancel()
        elif transport is not None and not transport.get_write_buffer_size():
            self._connection.release()
            return
        self._connection.close()


async def ask(
    connector: aiohttp.BaseConnector,
    upstream: aiohttp.ClientRequest,
    method: str,
    target: str,
    head: Headers,
    body: Sent,
) -> UpstreamResponse:
    """Send a request where `upstream` points to; its answer as soon as its headers are here.

    A body of unknown length is sent in chunks. What found a kept connection closed is sent once more, if doing it twice
    is the same as once. Raises `aiohttp.ClientError`, `HttpProcessingError` or `OSError` (`TimeoutError`).
    """
    again = method in IDEMPOTENT and (body is None or isinstance(body, bytes))
    while True:
        connection = await connector.connect(upstream, [], TIMEOUT)
        try:
            return await _exchange(connection, method, target, head, body)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, ConnectionResetError):
            connection.close()
            if not again:
                raise
            again = False
        except BaseException:
            connection.close()
            raise


async def _exchange(connection: Connection, method: str, target: str, head: Headers, body: Sent) -> UpstreamResponse:
    protocol = cast(ResponseHandler, connection.protocol)  # nobody has given it back yet
    protocol.set_response_params(
        skip_payload=method == hdrs.METH_HEAD,
        read_until_eof=True,
        auto_decompress=False,
        max_line_size=LINE_MAX,
        max_field_size=LINE_MAX,
        max_headers=HEADERS_MAX,
    )
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    _frame(method, head, body, writer)
    await writer.write_headers(f"{method} {target} HTTP/1.1", head)
    upload: asyncio.Task[None] | None = None
    if not body:
        writer.send_headers()
    elif isinstance(body, bytes):
        await writer.write(body, drain=False)  # in one piece with the headers; it is short, and kept here anyway
    else:
        upload = asyncio.create_task(_send(writer, protocol, body), name=f"upload to {head[hdrs.HOST]}")
    try:
        message, content = await protocol.read()
        while 102 <= message.code < 200 or message.code == 100:  # RFC 9110 section 15.2: the real one is to come
            message, content = await protocol.read()
        if message.code < 200:
            raise HttpProcessingError(message="switched to another protocol, which nobody had asked for")
    except BaseException:
        if upload is not None:
            upload.cancel()
        raise
    return UpstreamResponse(connection, upload, message, content)


def _frame(method: str, head: Headers, body: Sent, writer: StreamWriter) -> None:
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


async def _send(writer: StreamWriter, protocol: ResponseHandler, body: AsyncIterator[bytes]) -> None:
    """If the client's body breaks off, the upstream must not take it for whole, and whoever waits for it is told."""
    try:
        async for chunk in body:
            await writer.write(chunk)
        await writer.write_eof()
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        protocol.set_exception(aiohttp.ClientConnectionError("the request could not be sent to its end"), error)
        if protocol.transport is not None:
            protocol.transport.abort()
