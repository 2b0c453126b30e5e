"""The upstream's side of the steady MCP endpoint: forwards messages, takes notes, opens upstream sessions.

An upstream's session belongs to one client's session of ours. It is made when the first message needs it, once however many
arrive together, from the client's own `initialize` parameters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import StreamReader, web

from trayapp.core.model import AccessToken
from trayapp.mcp import answers, messages
from trayapp.mcp.lost import BODY_MAX, error_code, lost, wants_one
from trayapp.mcp.messages import CALLS, HELLOS, LISTS, UNSUPPORTED_VERSION, Id, Json
from trayapp.mcp.noted import NoteKey, key_of
from trayapp.mcp.sessions import Session
from trayapp.proxy import headers
from trayapp.proxy.bodies import Body
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.forwarding import GATEWAY, Forwarder
from trayapp.proxy.noting import response_begins
from trayapp.proxy.steady_call import Call, own_head
from trayapp.proxy.steady_headers import JSON, SESSION, SSE, OwnHeaders, SessionHeaders
from trayapp.proxy.steady_store import SteadyStore
from trayapp.proxy.whole_response import send_whole

log = logging.getLogger(__name__)

NOTE_MAX = 4 * 1024 * 1024  # bytes of one answer that is noted; a longer one only passes
NO_HANDSHAKE = frozenset((400, 404, 405, 406, 415, 501))  # to `initialize`: it speaks 2026-07-28 only, or HTTP+SSE
MAKE_LIMIT = 30.0  # s until an upstream session has to be there
HELLO_ID = "amberlight-session"  # of the `initialize` that we send ourselves


class SessionLostError(Exception):
    """The upstream does not know this session any more, which it called `upstream`."""

    def __init__(self, session: Session, upstream: str | None) -> None:
        super().__init__()
        self.session = session
        self.upstream = upstream


class SessionDiffersError(Exception):
    """The upstream's new session is not what the client was told."""


class GatewayError(Exception):
    """A gateway, or a server that is starting or overloaded, answered in the MCP server's place."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class UpstreamSessions:
    """Sends messages upstream. `tell_changed` announces to a client that its lists may differ."""

    def __init__(
        self, forwarder: Forwarder, store: SteadyStore, tell_changed: Callable[[str, Session], Awaitable[None]]
    ) -> None:
        self._forwarder = forwarder
        self._tokens = forwarder.tokens
        self._store = store
        self._tell_changed = tell_changed
        self._making: dict[str, asyncio.Task[None]] = {}  # by session, while its upstream session is being made

    async def close(self) -> None:
        """Give up what nobody waits for any more."""
        making = list(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    async def send(self, call: Call, token: AccessToken) -> web.StreamResponse:
        """Send the message and deliver the response.

        Raises `SessionLostError`, `GatewayError` and what `Forwarder.send` raises.
        """
        session, message = call.session, call.message
        notable = message.request and (message.method in LISTS or message.method in HELLOS)
        head = SessionHeaders(call.request, call.upstream, session, plain=notable)
        method, upstream_id = call.request.method, None if session is None else session.upstream
        with await self._forwarder.send(
            call.name, method, call.upstream, call.url, head, call.body, token, counts=message.method in CALLS
        ) as response:
            return await self.receive(call, response, upstream_id)

    async def receive(self, call: Call, response: UpstreamResponse, upstream_id: str | None) -> web.StreamResponse:
        """Deliver a response. `upstream_id` is the session id that went with the request."""
        session, message, status = call.session, call.message, response.status
        notable = message.request and (message.method in LISTS or message.method in HELLOS)
        if session is not None and (status == 400 or (status == 404 and upstream_id is not None)):
            body = await _short(response, BODY_MAX)
            if lost(status, body) if upstream_id is not None else wants_one(status, body):
                raise SessionLostError(session, upstream_id)
            return await deliver(call.request, response, call.session, body)
        if message.method == "initialize" and status == 400:
            body = await _short(response, BODY_MAX)
            if error_code(body) == UNSUPPORTED_VERSION:
                self._no_handshake(call)
            return await deliver(call.request, response, call.session, body)
        if status in GATEWAY and message.request and response.content_type not in (JSON, SSE):
            raise GatewayError(status)
        if status == 200 and notable:
            if message.method in HELLOS:
                return await self._hello(call, response)
            return await self._noted_list(call, response)
        if session is not None and message.method == "tools/call" and 200 <= status < 300:
            session.called = True
        return await deliver(call.request, response, call.session)

    async def _hello(self, call: Call, response: UpstreamResponse) -> web.StreamResponse:
        """An `initialize` or `server/discover` result: noted, made to declare `listChanged`, and given an id of ours."""
        message = call.message
        body = await _short(response, NOTE_MAX, message.id)
        plain = _decoded(response, body)
        found = messages.answer_in(response.content_type, plain, message.id) if message.id is not None else None
        if found is None:
            return await deliver(call.request, response, call.session, body)
        told = answers.declared(found)
        self._note(call, call.key(), found)
        if message.method == "initialize":
            account = call.account or self._tokens.account(call.name) or ""
            session = await self._store.begin(call.name, call.path, account, dict(message.params), told)
            session.live, session.upstream = True, response.headers.get(SESSION)
            call.session = session
        head = headers.to_client(response.headers.items(), response.headers.getall("Connection", ()))
        for name in ("Content-Length", "Content-Type", "Content-Encoding", SESSION):
            head.popall(name, None)
        head.update(own_head(call.session, JSON))
        answer = web.Response(body=messages.encode(messages.result(message, told)), headers=head)
        response_begins(call.request, answer.status)
        await answer.prepare(call.request)
        return answer

    async def _noted_list(self, call: Call, response: UpstreamResponse) -> web.StreamResponse:
        """A list passes as it comes, and is noted if it was whole: also if the client left as soon as it had it."""
        copy, wanted = bytearray(), call.message.id
        try:
            return await deliver(call.request, response, call.session, copy=copy)
        finally:
            if len(copy) <= NOTE_MAX and "Content-Encoding" not in response.headers and wanted is not None:
                found = messages.answer_in(response.content_type, bytes(copy), wanted)
                if found is not None:
                    self._note(call, call.key(), found)

    def _note(self, call: Call, key: NoteKey, answer: Json) -> None:
        account = self._tokens.account(call.name)
        if account is None or call.account not in (None, account):
            return  # it changed while this was on its way: whose answer it is cannot be told
        if not call.notes.note(account, key, call.message.method, call.message.params, answer):
            log.info("%s: %s is too long to be noted", call.name, call.message.method)
        self._store.changed()

    async def make_session(self, call: Call, session: Session, token: AccessToken) -> None:
        """A real session for a client that has been answered from here: one, however many requests arrive at once.

        Raises `SessionDiffersError` if it is not what the client was told, `GatewayError` if the upstream answered
        something else, and what `Forwarder.send` raises. The client's own message has not been sent then.
        """
        if not session.live:
            making = self._making.get(session.id)
            if making is None:
                making = asyncio.create_task(self._initialize(call, session, token), name="begin an upstream session")
                self._making[session.id] = making
                making.add_done_callback(lambda task: self._made(session, task))
            await asyncio.shield(making)  # one client that leaves doesn't end it for the others
        await self._tell_changed(call.name, session)

    def _made(self, session: Session, task: asyncio.Task[None]) -> None:
        self._making.pop(session.id, None)
        if not task.cancelled():
            task.exception()  # whoever still waits has it too

    async def _initialize(self, call: Call, session: Session, token: AccessToken) -> None:
        async with asyncio.timeout(MAKE_LIMIT):
            await self._handshake(call, session, token)

    async def _handshake(self, call: Call, session: Session, token: AccessToken) -> None:
        hello = {"jsonrpc": "2.0", "id": HELLO_ID, "method": "initialize", "params": session.params}
        try:
            found, id_ = await self._own(call, None, hello, token)
        except GatewayError as error:
            if error.status in NO_HANDSHAKE:
                self._no_handshake(call)
                raise SessionDiffersError from None
            raise
        if found is None:
            raise SessionDiffersError
        if not answers.harmless(session.told, found, guessed=session.guessed):
            raise SessionDiffersError
        session.upstream = id_
        await self._own(call, session, messages.notification("notifications/initialized"), token)
        for number, (what, params) in enumerate(list(session.replayed.items())):
            again = {"jsonrpc": "2.0", "id": f"{HELLO_ID}-{number}", "method": what.partition(" ")[0], "params": params}
            with contextlib.suppress(GatewayError):  # what can't be set again is lost; the session is not
                await self._own(call, session, again, token)
        session.live, session.called, session.upstream = True, False, id_
        key = key_of(call.path, call.request.headers.items(), session.revision.version, session.capabilities)
        if (account := call.account or self._tokens.account(call.name)) is not None:
            session.account = account
        if account is not None and account == self._tokens.account(call.name):
            call.notes.note(account, key, "initialize", session.params, found)
        (await self._store.sessions()).changed = True
        self._store.changed()

    def _no_handshake(self, call: Call) -> None:
        """The server was replaced by one that knows none: nobody else is told of it."""
        call.notes.forget_handshake(call.path)
        self._store.changed()

    async def _own(
        self, call: Call, session: Session | None, message: Json, token: AccessToken
    ) -> tuple[Json | None, str | None]:
        """A message of ours to the upstream: the result and the session id, where there are any."""
        head = OwnHeaders(call.request, call.upstream, session)
        body = Body(whole=messages.encode(message))
        with await self._forwarder.send(
            call.name, "POST", call.upstream, call.url, head, body, token, counts=call.message.method in CALLS
        ) as response:
            text = _decoded(response, await _short(response, NOTE_MAX, message.get("id")))
            if not 200 <= response.status < 300:
                raise GatewayError(response.status)
            found = messages.answer_in(response.content_type, text, message["id"]) if "id" in message else None
            return found, response.headers.get(SESSION)


async def deliver(
    request: web.Request,
    response: UpstreamResponse,
    session: Session | None,
    body: bytes | None = None,
    *,
    copy: bytearray | None = None,
    final: bool = False,
) -> web.StreamResponse:
    """The response as it comes; `body` is what was read of it already. `copy` gets at most a little over `NOTE_MAX`.

    `final`: nothing remains to be done that the client could depend on, so what is here already is sent immediately. The
    client reads it while the connection to the upstream is tidied up.
    """
    response_begins(request, response.status)
    head = headers.to_client(response.headers.items(), response.headers.getall("Connection", ()))
    if session is not None:
        head[SESSION] = session.id
    else:
        head.popall(SESSION, None)
    head.popall("Location", None)  # an MCP endpoint does not send its clients elsewhere
    if response.content.is_eof():  # the rest has arrived, read or not
        body = (body or b"") + response.content.read_nowait()
        if final:
            return await send_whole(request, response.status, response.reason, head, body)
        head.popall("Content-Length", None)
        whole = web.Response(status=response.status, reason=response.reason, headers=head, body=body)
        await whole.prepare(request)
        if copy is not None:
            copy += body
        return whole
    answer = web.StreamResponse(status=response.status, reason=response.reason, headers=head)
    await answer.prepare(request)
    await _copy(request, answer, _after(body, response.content), copy)
    return answer


async def _short(response: UpstreamResponse, limit: int, wanted: Id | None = None) -> bytes:
    """The body up to a limit, or of an event stream up to the response to `wanted`: what follows is still in the stream, and
    some servers never end it."""
    body = bytearray()
    while len(body) <= limit and not response.content.at_eof():
        body += await response.content.readany()
        if wanted is not None and response.content_type == SSE and messages.response_in(SSE, bytes(body), wanted):
            break
    return bytes(body)


def _decoded(response: UpstreamResponse, body: bytes) -> bytes:
    """The body without the compression that nobody asked for."""
    if response.headers.get("Content-Encoding", "").lower() not in ("gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, NOTE_MAX)
    except zlib.error:
        return body


async def _after(body: bytes | None, rest: StreamReader) -> AsyncIterator[bytes]:
    if body:
        yield body
    async for chunk in rest.iter_any():
        yield chunk


async def _copy(
    request: web.Request, answer: web.StreamResponse, chunks: AsyncIterator[bytes], copy: bytearray | None
) -> None:
    """Chunk by chunk. If the upstream breaks off, cut the client's connection: a part must not pass for all."""
    try:
        async for chunk in chunks:
            if copy is not None and len(copy) <= NOTE_MAX:
                copy += chunk
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, OSError):
        if request.transport is not None:
            request.transport.abort()
