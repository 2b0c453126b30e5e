"""Held legacy SSE streams (MCP 2024-11-05): a client may start while the workload has no token or can't be reached.

Its stream is opened here, with an endpoint of ours, and what it posts there is answered in the upstream's place. As soon
as there is a way, the upstream's own stream is attached (`legacy_attach.py`) and messages pass, until that stream ends
and another one is asked for. The client's stream ends only with the client, the program, or an upstream that turns out
to differ from what the client was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from aiohttp import web

from trayapp.core.model import AccessToken, Spec
from trayapp.core.snapshot import Unavailable
from trayapp.mcp import answers, blocked, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import CALLS, Json, Message, NotJsonRpcError
from trayapp.mcp.noted import NoteKey
from trayapp.mcp.revisions import BY_VERSION, negotiated
from trayapp.proxy.bodies import message_of
from trayapp.proxy.forwarding import Forwarder, MakeHeaders
from trayapp.proxy.held_streams import HeldStream
from trayapp.proxy.legacy_attach import Attacher, Held, why_not
from trayapp.proxy.legacy_sse import WAITING_MAX, LegacyEndpoint
from trayapp.proxy.mapping import ANNOUNCED, RequestTarget, UpstreamUrl
from trayapp.proxy.steady import NotMcpError
from trayapp.proxy.steady_call import MESSAGE, accepted, reply
from trayapp.proxy.steady_headers import SESSION
from trayapp.proxy.steady_requests import looks_like_mcp
from trayapp.proxy.steady_store import SteadyStore

PREFIX = f"{ANNOUNCED}/amberlight-sse/"  # of the endpoints here, below the workload
ATTACH_WAIT = 5.0  # s that a message waits for the upstream's stream when there is a token

Attach = Callable[[HeldStream], Coroutine[Any, Any, bool]]
Hold = Callable[[str, HeldStream, Attach], Awaitable[web.StreamResponse]]


class LegacyHold:
    """The held legacy streams of all clients. Belongs to the server's loop."""

    def __init__(
        self,
        forwarder: Forwarder,
        store: SteadyStore,
        legacy: LegacyEndpoint,
        hold: Hold,
        resolve: Callable[[Held, str], str],
    ) -> None:
        """`hold` runs a stream, wakes it when its workload becomes usable, and ends it with the program. `resolve` as in
        `Attacher`."""
        self._tokens = forwarder.tokens
        self._store = store
        self._legacy = legacy
        self._hold = hold
        self._attacher = Attacher(forwarder, resolve, lambda name: store.legacy(name, False))
        self._held: dict[str, Held] = {}

    async def wanted(self, request: web.Request, spec: Spec) -> bool:
        """Whether this request asks for a stream that is held if the upstream's can't be opened."""
        if request.method != "GET" or spec.mcp == "off" or SESSION in request.headers or not looks_like_mcp(request):
            return False
        return (await self._store.notes(spec.name)).legacy

    def find(self, request: web.Request, target: RequestTarget) -> Held | None:
        """The client that was told to post here."""
        held = self._held.get(target.rest.removeprefix(PREFIX))
        return held if held is not None and request.method == "POST" and held.target.name == target.name else None

    async def get(
        self,
        request: web.Request,
        target: RequestTarget,
        upstream: UpstreamUrl,
        url: str,
        error: Exception | None = None,
    ) -> web.StreamResponse:
        """Open a client's stream. `error` is why the upstream's can't be opened although there is a token."""
        why = blocked.unreachable(target.name, f"{upstream.host} hasn't been contacted yet.")
        if error is not None:
            why = why_not(error, target.name, upstream)
        held = Held(secrets.token_hex(16), request, target, upstream, url, HeldStream(request, {}), why)
        self._held[held.id] = held
        try:
            return await self._hold(target.name, held.stream, lambda stream: self._attach(held))
        finally:
            del self._held[held.id]

    async def _attach(self, held: Held) -> bool:
        if not held.announced:
            held.announced = True
            path = f"{held.target.local_base}{PREFIX}{held.id}"
            await held.stream.write(f"event: endpoint\ndata: {path}\n\n".encode())
        return await self._attacher.attach(held)

    async def post(
        self,
        request: web.Request,
        held: Held,
        head: MakeHeaders,
        deliver: Callable[..., Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Pass a message on to the upstream's endpoint, or answer it on the stream. Raises `NotMcpError` if it is none
        and there is an endpoint, and `Refusal`."""
        body = await message_of(request)
        await self._settle(held)
        try:
            message = messages.parse(body.whole or b"")
        except NotJsonRpcError:
            message = ()
        if isinstance(message, tuple):  # this revision has no batches
            if held.endpoint:
                raise NotMcpError(body)
            return reply(messages.error(None, messages.INVALID_REQUEST, "This isn't a JSON-RPC message."), 400, None)
        request[MESSAGE] = message
        name = held.target.name
        if not held.endpoint:
            token = await self._tokens.token(name, counts=message.method in CALLS)
            return await self._local(
                held, message, blocked.without_token(name, token) if isinstance(token, Unavailable) else held.why
            )
        if message.method == "notifications/initialized":
            return accepted(None)  # the upstream has been told
        if message.request and message.id is not None:
            held.asked[message.id] = message
            if len(held.asked) > WAITING_MAX:
                del held.asked[next(iter(held.asked))]

        async def answer(told: Json) -> None:
            if held.asked.pop(told["id"], None) is not None:  # else it was answered when the upstream's stream ended
                await held.stream.send(told)

        url = held.endpoint
        response = await self._legacy.pass_on(
            request, name, held.upstream, url, head, answer, partial(deliver, url=url), body, message
        )
        if response.status >= 300 and message.id is not None:
            held.asked.pop(message.id, None)  # the status tells the client
        return response

    async def _settle(self, held: Held) -> None:
        """When there is a token, a client that has introduced itself need not be told that there was none a moment ago."""
        if held.endpoint or held.params is None or not isinstance(self._tokens.peek(held.target.name), AccessToken):
            return
        held.settled.clear()
        held.stream.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ATTACH_WAIT):
                await held.settled.wait()

    async def _local(self, held: Held, message: Message, why: Blocked) -> web.StreamResponse:
        """Accepted, and answered on the stream."""
        if message.method == "initialize" and message.request and message.answerable:
            held.version = negotiated(message.params.get("protocolVersion")).version
            await held.stream.send(messages.result(message, answers.initialize(None, held.version, why)))
            held.params = dict(message.params)
            held.stream.wake()
            return accepted(None)
        key = NoteKey(held.target.rest, "", held.version, "")
        said = answers.answer(message, BY_VERSION[held.version], None, key, why)
        if said is not None:
            await held.stream.send(said)
        return accepted(None)
