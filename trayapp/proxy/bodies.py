"""A request's body on its way to the upstream, and whether it can be sent once more.

A short body of known length is read first: it is here already, as a rule. Anything else is passed on while it arrives;
what was kept of it is good for a second time only if it came to its end and stayed short.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import StreamReader, hdrs, web

from trayapp.proxy.exchange import Sent
from trayapp.server.replies import Refusal

KEPT_MAX = 1024 * 1024  # bytes; DESIGN.md section 7
READ_TIME = 30.0  # s for a short body; its client is on this machine


@dataclass(slots=True)
class Body:
    """What is sent: nothing, what is wholly here, what is kept as it passes, or what only passes."""

    whole: bytes | None = None
    kept: ReplayableBody | None = None
    stream: StreamReader | None = None

    def to_send(self) -> Sent:
        """For one request."""
        if self.stream is not None:
            return self.stream.iter_any()
        if self.kept is None:
            return self.whole
        return self.kept.chunks() if self.kept.whole is None else self.kept.whole

    def again(self) -> bool:
        """Whether it can be sent a second time."""
        if self.kept is not None:
            return self.kept.whole is not None
        return self.stream is None


class ReplayableBody:
    """A body of unknown length, kept while it passes as long as it is short."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._so_far: bytearray | None = bytearray()
        self.whole: bytes | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_any():
            if self._so_far is not None:
                self._so_far += chunk
                if len(self._so_far) > KEPT_MAX:
                    self._so_far = None
            yield chunk
        if self._so_far is not None:
            self.whole = bytes(self._so_far)


async def body_of(request: web.Request) -> Body:
    """The body of an admitted request. Raises `Refusal` 400 or 408."""
    if request.headers.get(hdrs.EXPECT) and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # now somebody wants it (RFC 9110 section 10.1.1)
    if not request.body_exists:
        return Body()
    length = request.content_length
    if length is None:
        return Body(kept=ReplayableBody(request.content))
    if length > KEPT_MAX:
        return Body(stream=request.content)
    try:
        if request.content.is_eof():
            return Body(whole=request.content.read_nowait())
        async with asyncio.timeout(READ_TIME):
            return Body(whole=await request.read())
    except web.RequestPayloadError:
        raise Refusal(400, "bad_body", "The body breaks off, or is not framed as HTTP wants it.") from None
    except TimeoutError:
        raise Refusal(408, "timeout", f"The body did not arrive within {READ_TIME:.0f} seconds.") from None
