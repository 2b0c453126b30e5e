"""The upstream's side of a held legacy SSE stream: opened, told the client's `initialize`, and passed on event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiohttp import web

from trayapp.core.model import AccessToken
from trayapp.mcp import answers, blocked, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import CALLS, LIST_CHANGED, Id, Json, Message
from trayapp.mcp.revisions import BY_VERSION
from trayapp.proxy.bodies import Body
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.forwarding import UPSTREAM_ERRORS, Forwarder, NoTokenError, SendAgainError, unreachable
from trayapp.proxy.held_streams import HeldStream, whole_events
from trayapp.proxy.legacy_sse import REVISION
from trayapp.proxy.mapping import RequestTarget, UpstreamUrl
from trayapp.proxy.sse import EndpointRewriter
from trayapp.proxy.steady_headers import SSE, OwnHeaders, StreamHeaders
from trayapp.proxy.steady_upstream import GatewayError
from trayapp.server.replies import Refusal

OWN_ID = "amberlight-session"  # of our `initialize`
HANDSHAKE_LIMIT = 30.0  # s for the upstream's endpoint and its answer to `initialize`


@dataclass(slots=True, eq=False)
class Held:
    """One client. `endpoint` is the upstream's while its stream is attached, else empty."""

    id: str
    request: web.Request
    target: RequestTarget
    upstream: UpstreamUrl
    url: str
    stream: HeldStream
    why: Blocked  # what was wrong last; counts while there is a token
    params: Json | None = None  # of the client's `initialize`
    version: str = REVISION.version  # what it was told
    client_info: object = None  # how it introduced itself
    endpoint: str = ""
    announced: bool = False  # the client knows its endpoint
    asked: dict[Id, Message] = field(default_factory=dict)  # passed on, and not answered yet
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # the upstream's stream is attached, or was tried


class _NotNowError(Exception):
    def __init__(self, why: Blocked) -> None:
        super().__init__(why.text)
        self.why = why


class _DiffersError(Exception):
    """The upstream isn't what the client was told: it has to connect anew."""


_FAILED = (_NotNowError, NoTokenError, SendAgainError, Refusal, *UPSTREAM_ERRORS)


class Attacher:
    """Opens the upstream's streams. `resolve` gives the upstream URL of an endpoint that was announced to a client, and
    raises `Refusal` for a foreign one; `not_legacy` is told the workload whose server has no such stream any more."""

    def __init__(
        self, forwarder: Forwarder, resolve: Callable[[Held, str], str], not_legacy: Callable[[str], None]
    ) -> None:
        self._forwarder = forwarder
        self._resolve = resolve
        self._not_legacy = not_legacy

    async def attach(self, held: Held) -> bool:
        """The upstream's events for as long as they come; whether there were any."""
        token, attached = self._forwarder.tokens.peek(held.target.name), False
        if held.params is None or not isinstance(token, AccessToken):
            held.settled.set()
            return False
        held.stream.account = self._forwarder.tokens.account(held.target.name)
        head = StreamHeaders(held.request, held.upstream, None, None)
        try:
            with await self._forwarder.send(
                held.target.name, "GET", held.upstream, held.url, head, Body(), token, counts=False
            ) as response:
                self._check(held, response)
                blocks = _blocks(response)
                async with asyncio.timeout(HANDSHAKE_LIMIT):
                    endpoint = self._resolve(held, await self._announced(held, blocks))
                    await self._shake_hands(held, endpoint, blocks, held.params, token)
                held.endpoint, attached = endpoint, True
                held.settled.set()
                for method in LIST_CHANGED.values():
                    await held.stream.send(messages.notification(method))
                async for block in blocks:
                    if held.asked and (response_id := _response(block).get("id")) is not None:
                        held.asked.pop(response_id, None)
                    await held.stream.write(block)
        except _DiffersError:
            held.stream.close()
        except _FAILED as error:
            held.why = why_not(error, held.target.name, held.upstream)
        finally:
            held.endpoint = ""
            held.settled.set()
            await _answer_lost(held)
        return attached

    def _check(self, held: Held, response: UpstreamResponse) -> None:
        if response.status == 405:
            self._not_legacy(held.target.name)
            raise _DiffersError
        if response.status != 200 or response.content_type != SSE or "Content-Encoding" in response.headers:
            raise _NotNowError(blocked.answered_badly(held.target.name, held.upstream.host, response.status, False))

    async def _announced(self, held: Held, blocks: AsyncIterator[bytes]) -> str:
        """The endpoint, as the upstream names it in its first event."""
        found: list[str] = []

        def note(reference: str) -> str:
            found.append(reference)
            return ""

        async for block in blocks:
            EndpointRewriter(note).feed(block)
            if found:
                return found[0]
            if b"\ndata:" in b"\n" + block:
                self._not_legacy(held.target.name)
                raise _DiffersError
        raise ConnectionResetError

    async def _shake_hands(
        self, held: Held, endpoint: str, blocks: AsyncIterator[bytes], params: Json, token: AccessToken
    ) -> None:
        """In the client's place; it has an answer to its `initialize` already."""
        hello = {"jsonrpc": "2.0", "id": OWN_ID, "method": "initialize", "params": params}
        await self._say(held, endpoint, hello, token)
        async for block in blocks:
            answer = _response(block)
            if answer.get("id") != OWN_ID:
                await held.stream.write(block)
                continue
            result = answer.get("result")
            if not isinstance(result, dict) or result.get("protocolVersion") != held.version:
                raise _DiffersError
            return await self._say(held, endpoint, messages.notification("notifications/initialized"), token)
        raise ConnectionResetError

    async def _say(self, held: Held, endpoint: str, message: Json, token: AccessToken) -> None:
        name, upstream, body = held.target.name, held.upstream, Body(whole=messages.encode(message))
        head = OwnHeaders(held.request, upstream, None)
        with await self._forwarder.send(name, "POST", upstream, endpoint, head, body, token, counts=False) as response:
            if response.status >= 300:
                raise _NotNowError(blocked.answered_badly(name, upstream.host, response.status, False))


def why_not(error: Exception, name: str, upstream: UpstreamUrl) -> Blocked:
    """What a client is told of an attempt that failed."""
    match error:
        case _NotNowError():
            return error.why
        case NoTokenError():
            return blocked.without_token(name, error.why)
        case SendAgainError():
            return blocked.send_again(name)
        case GatewayError():
            return blocked.answered_badly(name, upstream.host, error.status, False)
        case Refusal():
            return blocked.unreachable(name, error.message)
    return blocked.unreachable(name, unreachable(error, upstream).message)


async def _answer_lost(held: Held) -> None:
    """The upstream's stream has ended, and with it every answer that was to come on it."""
    name, revision = held.target.name, BY_VERSION[held.version]
    while held.asked:
        message = held.asked.pop(next(iter(held.asked)))
        why = blocked.fate_unknown(name) if message.method in CALLS else held.why
        pong = message.method == "ping"
        await held.stream.send(messages.result(message, {}) if pong else answers.refused(message, revision, why))


async def _blocks(response: UpstreamResponse) -> AsyncIterator[bytes]:
    """The events and comments of a stream, one by one."""
    async for piece in whole_events(response.content.iter_any()):
        for block in piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
            if block.strip(b"\n"):
                yield block.lstrip(b"\n") + b"\n\n"


def _response(block: bytes) -> Json:
    """The JSON-RPC response in an event; empty if it holds none."""
    for data in messages.events(block):
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and "method" not in said and isinstance(said.get("id"), str | int):
            return said
    return {}
