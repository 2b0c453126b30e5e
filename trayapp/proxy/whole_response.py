"""A response that has arrived whole, sent to the client in one piece and with little work.

`web.Response` does the same, and costs a proxied request a tenth more: it copies the headers and looks at cookies,
compression, chunks and signals, none of which apply here.
"""

from __future__ import annotations

import contextlib

from aiohttp import HttpVersion10, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import must_be_empty_body, rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from trayapp.proxy.headers import Headers


class WholeResponse(web.StreamResponse):
    """Sent when it is prepared. `head` is kept and completed, not copied."""

    def __init__(self, status: int, reason: str, head: Headers, body: bytes) -> None:
        super().__init__(status=status, reason=reason, _real_headers=head)
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it, once. Raises `ConnectionError` if the client has left."""
        if self._eof_sent:
            return None
        head, keep_alive = self._headers, request.keep_alive
        head[hdrs.CONTENT_LENGTH] = str(len(self._whole))
        if self._whole:
            head.setdefault(hdrs.CONTENT_TYPE, "application/octet-stream")
        if hdrs.DATE not in head:
            head[hdrs.DATE] = rfc822_formatted_time()
        head.setdefault(hdrs.SERVER, SERVER_SOFTWARE)
        if request.version == HttpVersion10:
            line = f"HTTP/1.0 {self._status} {self._reason}"
            if keep_alive:
                head[hdrs.CONNECTION] = "keep-alive"
        else:
            line = f"HTTP/1.1 {self._status} {self._reason}"
            if not keep_alive:
                head[hdrs.CONNECTION] = "close"
        self._keep_alive = keep_alive
        writer = self._payload_writer = request._payload_writer
        await writer.write_headers(line, head)
        await writer.write_eof(self._whole)
        self._eof_sent, self._body_length = True, writer.output_size
        return writer


async def send_whole(request: web.Request, status: int, reason: str, head: Headers, body: bytes) -> web.StreamResponse:
    """Send a response, without the framing that `head` may hold. If the client has left, the server will notice."""
    head.popall(hdrs.CONTENT_LENGTH, None)
    if must_be_empty_body(request.method, status):
        response: web.StreamResponse = web.Response(status=status, reason=reason, headers=head, body=body)
    else:
        response = WholeResponse(status, reason, head, body)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
    return response
