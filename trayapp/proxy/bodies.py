"""Request bodies on their way to the upstream, and whether they can be sent a second time.

A short body of known length is read first: as a rule it has arrived already. Anything else is streamed; a copy of it
is good for a second request only if the body ended and stayed short.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import StreamReader, hdrs, web

from trayapp.proxy.exchange import RequestBody
from trayapp.server.replies import Refusal, too_slow

REPLAY_MAX = 1024 * 1024  # bytes kept for a second attempt; MCP messages are far shorter
READ_LIMIT = 30.0  # s for a short body; the client is on this machine
BROKEN = "The body was cut off, or isn't valid HTTP."


@dataclass(slots=True)
class Body:
    """One request body: none, read (`whole`), streamed with a copy (`replayable`), or only streamed (`stream`)."""

    whole: bytes | None = None
    replayable: ReplayableBody | None = None
    stream: StreamReader | None = None

    def to_send(self) -> RequestBody:
        """What to send in one request."""
        if self.stream is not None:
            return self.stream.iter_any()
        if self.replayable is None:
            return self.whole
        return self.replayable.chunks() if self.replayable.whole is None else self.replayable.whole

    def can_repeat(self) -> bool:
        """Whether it can be sent a second time."""
        if self.replayable is not None:
            return self.replayable.whole is not None
        return self.stream is None


class ReplayableBody:
    """A body of unknown length, copied while it is streamed for as long as it is short."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._so_far: bytearray | None = bytearray()
        self._ahead = b""  # read already, and not yet sent
        self.whole: bytes | None = None

    async def read_ahead(self) -> bool:
        """Read it before it is sent; whether it ended while it was short."""
        ahead = bytearray()
        try:
            async with asyncio.timeout(READ_LIMIT):
                while len(ahead) <= REPLAY_MAX and not self._content.at_eof():
                    ahead += await self._content.readany()
        except web.RequestPayloadError:
            raise Refusal(400, "bad_body", BROKEN) from None
        except TimeoutError:
            pass
        self._ahead = bytes(ahead)
        if self._content.at_eof() and len(ahead) <= REPLAY_MAX:
            self.whole = self._ahead
        return self.whole is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._ahead:
            self._so_far = bytearray(self._ahead) if len(self._ahead) <= REPLAY_MAX else None
            yield self._ahead
            self._ahead = b""
        async for chunk in self._content.iter_any():
            if self._so_far is not None:
                self._so_far += chunk
                if len(self._so_far) > REPLAY_MAX:
                    self._so_far = None
            yield chunk
        if self._so_far is not None:
            self.whole = bytes(self._so_far)


def arrived(request: web.Request) -> bytes | None:
    """A body that has arrived whole, as most have; None if it needs waiting for. Raises `Refusal` 400."""
    content = request.content
    if not content.is_eof() or content.total_bytes > REPLAY_MAX or not content.total_bytes:
        return None
    try:
        return content.read_nowait()
    except web.RequestPayloadError:
        raise Refusal(400, "bad_body", BROKEN) from None


async def message_of(request: web.Request) -> Body:
    """The same as `body_of` where a message is expected: one of unknown length is read too, for as long as it is short."""
    body = await body_of(request)
    if body.replayable is not None and await body.replayable.read_ahead():
        return Body(whole=body.replayable.whole)
    return body


async def body_of(request: web.Request) -> Body:
    """The body of an admitted request. Raises `Refusal` 400 or 408."""
    if (whole := arrived(request)) is not None:
        return Body(whole=whole)
    if request.headers.get(hdrs.EXPECT) and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # only now is the body wanted (RFC 9110, 10.1.1)
    if not request.body_exists:
        return Body()
    length = request.content_length
    if length is None:
        return Body(replayable=ReplayableBody(request.content))
    if length > REPLAY_MAX:
        return Body(stream=request.content)
    try:
        async with asyncio.timeout(READ_LIMIT):
            return Body(whole=await request.read())
    except web.RequestPayloadError:
        raise Refusal(400, "bad_body", BROKEN) from None
    except TimeoutError:
        raise too_slow(READ_LIMIT) from None
