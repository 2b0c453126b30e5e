"""Legacy SSE workloads (MCP 2024-11-05): a message that can't be passed on is answered on the client's open stream.

With this transport a POST is only accepted, and what it asked for comes on the GET stream. A POST that is refused makes
some SDKs give up the connection and others wait for their time-out. So while there is no usable token, or no way to the
upstream, it is accepted here, and an error with the request's id goes onto the stream, between whole events.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from trayapp.core.model import Spec
from trayapp.core.snapshot import Unavailable
from trayapp.mcp import answers, blocked, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import CALLS, Json, Message, NotJsonRpcError
from trayapp.mcp.revisions import BY_VERSION
from trayapp.proxy.bodies import Body, message_of
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.forwarding import (
    GATEWAY,
    UPSTREAM_ERRORS,
    Forwarder,
    MakeHeaders,
    NoTokenError,
    SendAgainError,
    nothing_sent,
    unreachable,
)
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.proxy.steady import NotMcpError
from trayapp.proxy.steady_call import MESSAGE, accepted

REVISION = BY_VERSION["2024-11-05"]
WAITING_MAX = 1000  # answers for a client that doesn't read

_EVENT_ENDS = (b"\n\n", b"\r\r", b"\n\r\n", b"\r\r\n")  # an empty line (WHATWG HTML, section 9.2.6)

Deliver = Callable[[UpstreamResponse], Awaitable[web.StreamResponse]]
Answer = Callable[[Json], Awaitable[None]]


class LegacyStream:
    """A client's open stream. The upstream's bytes pass as they come; ours wait for the end of an event."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.client_info: object = None  # how the client introduced itself
        self._response = response
        self._tail = b""
        self._waiting: list[Json] = []
        self._writing = False

    async def write(self, data: bytes) -> None:
        """Bytes of the upstream."""
        self._tail = (self._tail + data)[-3:]
        await self._write(data)
        await self._send_waiting()

    async def send(self, message: Json) -> None:
        """A message of ours; it goes out as soon as it can."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(message)
        if not self._writing:
            with contextlib.suppress(OSError, RuntimeError):  # the client is gone
                await self._send_waiting()

    async def _send_waiting(self) -> None:
        while self._waiting and self._tail.endswith(_EVENT_ENDS):
            await self._write(messages.event(self._waiting.pop(0)))

    async def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            await self._response.write(data)
        finally:
            self._writing = False


class LegacyEndpoint:
    """The open legacy streams of all clients, by the address that they were told to post to."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._streams: dict[tuple[str, str], LegacyStream] = {}  # by workload and upstream URL

    def opened(self, name: str, url: str, stream: LegacyStream) -> None:
        """The upstream announced this URL on this stream."""
        self._streams[name, url] = stream

    def closed(self, stream: LegacyStream) -> None:
        """The stream has ended."""
        for key in [key for key, each in self._streams.items() if each is stream]:
            del self._streams[key]

    def stream_of(self, request: web.Request, spec: Spec, url: str) -> LegacyStream | None:
        """The stream on which a message that is posted to this URL is answered."""
        if request.method != "POST" or spec.mcp == "off":
            return None
        return self._streams.get((spec.name, url))

    async def post(
        self,
        request: web.Request,
        name: str,
        upstream: UpstreamUrl,
        url: str,
        head: MakeHeaders,
        stream: LegacyStream,
        deliver: Deliver,
    ) -> web.StreamResponse:
        """Pass the message on, or answer it on the stream. Raises `NotMcpError` if it is none, and `Refusal`."""
        body = await message_of(request)
        try:
            message = messages.parse(body.whole or b"")
        except NotJsonRpcError:
            raise NotMcpError(body) from None
        if isinstance(message, tuple):  # this revision has no batches
            raise NotMcpError(body)
        request[MESSAGE] = message
        return await self.pass_on(request, name, upstream, url, head, stream.send, deliver, body, message)

    async def pass_on(
        self,
        request: web.Request,
        name: str,
        upstream: UpstreamUrl,
        url: str,
        head: MakeHeaders,
        answer: Answer,
        deliver: Deliver,
        body: Body,
        message: Message,
    ) -> web.StreamResponse:
        """The upstream's response to a message that has been read. `answer` puts what is said in its place onto the
        client's stream."""
        called = message.method in CALLS
        token = await self._forwarder.tokens.token(name, counts=called)
        if isinstance(token, Unavailable):
            return await self._refuse(answer, message, blocked.without_token(name, token))
        try:
            with await self._forwarder.send(
                name, request.method, upstream, url, head, body, token, counts=called
            ) as response:
                if response.status not in GATEWAY:
                    return await deliver(response)
                why = blocked.answered_badly(name, upstream.host, response.status, called)
        except NoTokenError as error:
            why = blocked.without_token(name, error.why)
        except SendAgainError:
            why = blocked.send_again(name)
        except UPSTREAM_ERRORS as error:
            if called and not nothing_sent(error):
                why = blocked.fate_unknown(name)
            else:
                why = blocked.unreachable(name, unreachable(error, upstream).message)
        return await self._refuse(answer, message, why)

    async def _refuse(self, answer: Answer, message: Message, why: Blocked) -> web.StreamResponse:
        """Accepted, and answered on the stream. Notifications and responses need no answer."""
        if message.request and message.answerable:
            pong = message.method == "ping"
            await answer(messages.result(message, {}) if pong else answers.refused(message, REVISION, why))
        return accepted(None)
