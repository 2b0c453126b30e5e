"""The steady MCP endpoint at `/w/NAME`: a client keeps its session and its tools while the workload has no token.

Green, everything passes as it comes, and what the upstream says of itself is noted on the way. Without a usable token, or
without a way to the upstream, the client is answered from here (`mcp/answers.py`): `initialize` and lists from the notes,
calls by the sentence that says what is wrong. Every client of a revision with sessions has an id of ours, which stays while the
upstream's sessions come and go: the first request after an outage makes a real one. Nothing is executed twice: a request
that may have reached the upstream is sent again only if repeating it changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable

from aiohttp import hdrs, web

from trayapp.core.model import AccessToken, Spec
from trayapp.core.snapshot import Status, Unavailable
from trayapp.mcp import answers, blocked, elicitation, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import CALLS, HELLOS, LISTS, Json, Message, NotJsonRpcError
from trayapp.mcp.revisions import BY_VERSION, UNNAMED, VERSION_META
from trayapp.mcp.sessions import Session
from trayapp.proxy.bodies import Body, arrived, message_of
from trayapp.proxy.forwarding import (
    UPSTREAM_ERRORS,
    Forwarder,
    NoTokenError,
    SendAgainError,
    nothing_sent,
    unreachable,
)
from trayapp.proxy.mapping import RequestTarget, UpstreamUrl
from trayapp.proxy.noting import NOTED, mcp_begins
from trayapp.proxy.steady_call import MESSAGE, Call, accepted, answered, own_head, reply, session_gone, unreadable
from trayapp.proxy.steady_headers import SESSION, SessionHeaders
from trayapp.proxy.steady_requests import called_tool, first_message, is_plain_call, looks_like_mcp, revision_of
from trayapp.proxy.steady_store import SteadyStore
from trayapp.proxy.steady_streams import ClientStreams
from trayapp.proxy.steady_upstream import GatewayError, SessionDiffersError, SessionLostError, UpstreamSessions, deliver

SIGN_IN_WAIT = 45.0  # s that a call may wait for a sign-in that its client agreed to; clients give up after 60
SIGN_IN_POLL = 0.25  # s
DELETE_LIMIT = 5.0  # s that the end of a session may take upstream


class NotMcpError(Exception):
    """The request is no MCP client's: serve it as a plain one, with the body that was read."""

    def __init__(self, body: Body | None = None) -> None:
        super().__init__()
        self.body = body


class SteadyEndpoint:
    """Serves MCP requests of admitted clients. Belongs to the server's loop."""

    def __init__(
        self,
        forwarder: Forwarder,
        store: SteadyStore,
        reauthorize_link: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        """`reauthorize_link` makes an address at which a person may begin the sign-in of a workload, or None."""
        self._forwarder = forwarder
        self._reauthorize_link = reauthorize_link
        self._tokens = forwarder.tokens
        self._store = store
        self._streams = ClientStreams(forwarder)
        self.hold = self._streams.hold
        self._upstream = UpstreamSessions(forwarder, store, self._streams.tell_changed)

    # --- requests ----------------------------------------------------------------------------------------------------

    async def handle(
        self, request: web.Request, target: RequestTarget, spec: Spec, url: str, upstream: UpstreamUrl
    ) -> web.StreamResponse:
        """Answer an MCP client. Raises `NotMcpError` for anybody else, and `Refusal`."""
        shown, posted = request.headers.get(SESSION), request.method == hdrs.METH_POST
        if spec.mcp == "off" or not ((posted and shown) or looks_like_mcp(request, always=spec.mcp == "on")):
            raise NotMcpError
        path = target.rest + (f"?{target.query}" if target.query else "")
        session, body = None, Body()
        if shown:
            known = self._store.known_sessions or await self._store.sessions()
            session = known.find(shown, target.name, path)
        noted = mcp_begins(request, session)
        if posted:
            whole = arrived(request)
            body = Body(whole=whole) if whole is not None else await message_of(request)
            if session is not None and session.live and not session.unsaid and is_plain_call(body.whole):
                token = self._tokens.peek(target.name)
                if isinstance(token, AccessToken) and session.account == self._tokens.account(target.name):
                    if noted is not None:
                        noted.called = called_tool(body.whole)
                    return await self._plain_call(request, target.name, path, url, upstream, session, body, token)
        call = await self._call(request, target.name, path, url, upstream, session, body)
        if session is not None and call.account is not None and session.account != call.account:
            session.renewed()  # the upstream's session was made with somebody else's token
            session.account = call.account
        if posted:
            return await self._post(call)
        if shown and session is None:
            return session_gone()
        return await (self._delete(call) if request.method == hdrs.METH_DELETE else self._get(call))

    async def _call(
        self,
        request: web.Request,
        name: str,
        path: str,
        url: str,
        upstream: UpstreamUrl,
        session: Session | None,
        body: Body,
    ) -> Call:
        return Call(
            request=request,
            name=name,
            path=path,
            upstream=upstream,
            url=url,
            message=Message(),
            body=body,
            revision=UNNAMED if session is None else session.revision,
            session=session,
            account=self._tokens.account(name),
            notes=await self._store.notes(name),
        )

    async def _plain_call(
        self,
        request: web.Request,
        name: str,
        path: str,
        url: str,
        upstream: UpstreamUrl,
        session: Session,
        body: Body,
        token: AccessToken,
    ) -> web.StreamResponse:
        """A `tools/call` in a session that the upstream knows: nine of ten messages. Read only if something is wrong."""
        head, upstream_id = SessionHeaders(request, upstream, session, plain=False), session.upstream
        call: Call | None = None
        try:
            with await self._forwarder.send(name, request.method, upstream, url, head, body, token) as response:
                if response.status < 300:
                    session.called = True
                    return await deliver(request, response, session, final=True)
                call = await self._call(request, name, path, url, upstream, session, body)
                call.message = first_message(body)
                return await self._upstream.receive(call, response, upstream_id)
        except (SessionLostError, GatewayError, NoTokenError, SendAgainError, *UPSTREAM_ERRORS) as error:
            if call is None:
                call = await self._call(request, name, path, url, upstream, session, body)
                call.message = first_message(body)
            answer = await self._reach(call, token, error)
            return await self._local(call, answer) if isinstance(answer, Blocked) else answer

    async def _post(self, call: Call) -> web.StreamResponse:
        shown = call.request.headers.get(SESSION)
        try:
            parsed = messages.parse(call.body.whole or b"")
        except NotJsonRpcError:
            if call.session is None and not (shown and call.body.whole is None):
                raise NotMcpError(call.body) from None
            parsed, call.readable = Message(), False  # too long to be looked at, or malformed: it only passes
        first = parsed[0] if isinstance(parsed, tuple) else parsed
        call.request[MESSAGE] = first
        call.message, call.revision = first, revision_of(call.request, first, call.session)
        batch = parsed if isinstance(parsed, tuple) else (parsed,)
        if len(batch) > 1 and NOTED in call.request:
            call.request[NOTED].batch = batch
        call.answer_due = not call.readable or any(each.request for each in batch)
        if first.method == "initialize" and not isinstance(parsed, tuple):
            call.session = None  # a new one, whatever id came with it
        elif shown and call.session is None and not call.revision.modern:
            return session_gone()
        return await (self._batch(call, parsed) if isinstance(parsed, tuple) else self._one(call))

    async def _one(self, call: Call) -> web.StreamResponse:
        """One message: to the upstream if there is a way, else answered here."""
        message = call.message
        action = elicitation.answer_of(message)
        token = await self._tokens.token(call.name, counts=message.method in CALLS and action is None)
        if action == "accept":
            token = await self._signed_in(call.name, token)
        if isinstance(token, Unavailable):
            return await self._local(call, blocked.without_token(call.name, token))
        if action is not None:
            call.body = Body(whole=messages.encode(elicitation.without_answer(json.loads(call.body.whole or b"{}"))))
        if message.method == "subscriptions/listen" and message.request:
            return await self._streams.listen(call)
        response = await self._reach(call, token)
        if isinstance(response, Blocked):
            return await self._local(call, response)
        if call.session is not None and message.method in answers.REMEMBERED and response.status < 300:
            await self._remember(call.session, message)
        return response

    async def _remember(self, session: Session, message: Message) -> None:
        """The upstream's next session is to be told what this one, or in its place we, were told."""
        session.replay(message.method, dict(message.params))
        await self._store.session_changed()

    async def _signed_in(self, name: str, token: AccessToken | Unavailable) -> AccessToken | Unavailable:
        """The token once the person has signed in: the client calls again as soon as the page is open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SIGN_IN_WAIT):
                while isinstance(token, Unavailable) and token.status is Status.UNAUTHENTICATED:
                    await asyncio.sleep(SIGN_IN_POLL)
                    token = self._tokens.peek(name)
        return token

    async def _batch(self, call: Call, batch: tuple[Message, ...]) -> web.StreamResponse:
        """2025-03-26: an array of messages. It passes whole, or is answered here whole; it is never sent twice."""
        if not call.revision.batches or any(each.method == "initialize" for each in batch):
            text = f"{call.revision.version} doesn't support batches, and none may contain initialize."
            return reply(messages.error(None, messages.INVALID_REQUEST, text), 400, call.session)
        key = call.key()
        token = await self._tokens.token(call.name, counts=any(each.method in CALLS for each in batch))
        if isinstance(token, Unavailable):
            why: web.StreamResponse | Blocked = blocked.without_token(call.name, token)
        else:
            called = any(each.method in CALLS for each in batch)
            call.message = Message("tools/call" if called else "")  # as careful as with a single call
            why = await self._reach(call, token)
        if not isinstance(why, Blocked):
            return why
        notes = call.known_notes()
        found = [told for each in batch if (told := answers.answer(each, call.revision, notes, key, why)) is not None]
        return reply(found, 200, call.session) if found else accepted(call.session)

    async def _reach(
        self, call: Call, token: AccessToken, failed: Exception | None = None
    ) -> web.StreamResponse | Blocked:
        """The upstream's response, or why there is none. `failed`: it was sent once already, and this came of it."""
        message, session, name = call.message, call.session, call.name
        sent = False  # whether the upstream may have got this very message
        if failed is None and session is not None and session.unsaid and message.method == "tools/call":
            return self._restarted(session, name)
        try:
            for number in range(2):
                sent = False
                if failed is None and session is not None and not session.live:
                    await self._upstream.make_session(call, session, token)
                repeat = not number and _harmless_to_repeat(message, session)
                sent = True
                try:
                    if failed is not None:
                        error, failed = failed, None
                        raise error
                    return await self._upstream.send(call, token)
                except SessionLostError as error:
                    if error.session.upstream == error.upstream:  # else another request has made a new one already
                        error.session.lost()
                        error.session.stale = True
                        self._store.changed()
                    elif error.session.depended_on == error.upstream and message.method == "tools/call":
                        repeat = False  # it was sent before anybody knew that the session is gone
                    if not call.answer_due:
                        return accepted(error.session)
                    if not repeat:
                        break
            return self._restarted(session, name)
        except NoTokenError as error:
            return blocked.without_token(name, error.why)
        except SendAgainError:
            return blocked.send_again(name)
        except SessionDiffersError:
            self._end(session)
            return session_gone()
        except GatewayError as error:
            called = sent and (message.method in CALLS or not call.readable)
            return blocked.answered_badly(name, call.upstream.host, error.status, called)
        except UPSTREAM_ERRORS as error:
            if sent and (message.method in CALLS or not call.readable) and not nothing_sent(error):
                return blocked.fate_unknown(name)
            return blocked.unreachable(name, unreachable(error, call.upstream).message)

    def _restarted(self, session: Session | None, name: str) -> Blocked:
        """Said once for each session that was lost, whoever noticed: a call, a list or the stream."""
        if session is not None:
            session.unsaid = False
        return blocked.session_restarted(name)

    # --- answers of our own ------------------------------------------------------------------------------------------

    async def _local(self, call: Call, why: Blocked) -> web.StreamResponse:
        """What is said in the upstream's place."""
        message, session, notes = call.message, call.session, call.known_notes()
        if not call.readable:
            return unreadable(call, why)
        if not call.revision.version:
            version = str(message.meta.get(VERSION_META, ""))
            return reply(answers.unsupported(message, list(BY_VERSION), version), 400, session)
        if message.method == "initialize" and message.request and not call.revision.modern and message.answerable:
            noted = None if notes is None else notes.hello(call.key(), "initialize")
            if noted is None and notes is not None and (spoken := notes.without_handshake(call.path)):
                return reply(answers.unsupported(message, spoken, call.revision.version), 400, None)
            asked_for = call.revision.version
            likely = None if notes is None else notes.negotiated(call.path, asked_for)
            others = None if notes is None else notes.hello_of_others(call.key(), likely or asked_for)
            told = answers.initialize(noted or others, likely or asked_for, why)
            session = await self._store.begin(call.name, call.path, call.account or "", dict(message.params), told)
            session.stale, session.guessed = True, noted is None
            return reply(messages.result(message, told), 200, session)
        if message.method == "subscriptions/listen" and message.request and call.revision.modern:
            return await self._streams.listen(call)
        if (asked := self._asked_for_sign_in(call, why)) is not None:
            return answered(call, asked)
        if session is not None and message.method in answers.REMEMBERED:
            await self._remember(session, message)
        if session is not None and message.method in LISTS and not session.stale:
            session.stale = True
            await self._store.session_changed()
        said = answers.answer(message, call.revision, notes, call.key(), why)
        return accepted(session) if said is None else answered(call, said)

    def _asked_for_sign_in(self, call: Call, why: Blocked) -> Json | None:
        """For a call to a red workload by a client that can open a page: the address of ours, once in a while."""
        message = call.message
        if message.method != "tools/call" or why.status != Status.UNAUTHENTICATED or elicitation.answer_of(message):
            return None
        if not message.answerable or not elicitation.supported(call.revision, call.capabilities()):
            return None
        if (url := self._reauthorize_link(call.name)) is None:
            return None
        id_ = secrets.token_hex(8)
        if call.session is not None:
            call.session.elicitation = id_
        return elicitation.request(message, call.revision, why, url, id_)

    async def _get(self, call: Call) -> web.StreamResponse:
        """The stream on which the server speaks of its own accord."""
        if call.session is not None:
            return await self._streams.get(call)
        usable = isinstance(self._tokens.peek(call.name), AccessToken)
        if usable or call.notes.legacy or not await self._is_streamable(call):
            raise NotMcpError  # the legacy SSE transport, or a server without sessions
        text = "This endpoint opens a stream only within a session."
        refused = reply(messages.error(None, messages.INVALID_REQUEST, text), 405, None)
        refused.headers["Allow"] = "POST"
        return refused

    async def _is_streamable(self, call: Call) -> bool:
        """Whether clients have met streamable HTTP there: then a stream without a session has nothing to wait for."""
        return call.notes.account is not None or bool((await self._store.sessions()).of(call.name))

    async def _delete(self, call: Call) -> web.StreamResponse:
        """The client is done: the upstream is told if it can be."""
        session, token = call.session, self._tokens.peek(call.name)
        if session is None:
            raise NotMcpError
        self._end(session)
        if isinstance(token, AccessToken) and session.live and session.upstream is not None:
            head = SessionHeaders(call.request, call.upstream, session, plain=False)
            with contextlib.suppress(NoTokenError, SendAgainError, *UPSTREAM_ERRORS):
                async with asyncio.timeout(DELETE_LIMIT):
                    with await self._forwarder.send(
                        call.name, "DELETE", call.upstream, call.url, head, Body(), token, counts=False
                    ):
                        pass
        return web.Response(status=200, headers=own_head(None))

    def _end(self, session: Session | None) -> None:
        if session is not None:
            self._streams.end_session(session)
            self._store.end(session)

    # --- life --------------------------------------------------------------------------------------------------------

    def published(self) -> None:
        """Something changed in the engine: streams of workloads that became usable are attached and told."""
        self._streams.published()

    async def forget(self, name: str) -> None:
        """The workload is gone."""
        self._streams.end_workload(name)
        await self._store.forget(name)

    def end_streams(self) -> None:
        """The program ends: nobody need wait for streams that would stay for ever."""
        self._streams.end_all()

    async def close(self) -> None:
        """Write what is not written yet."""
        await self._upstream.close()
        await self._store.close()


def _harmless_to_repeat(message: Message, session: Session | None) -> bool:
    """Whether a request may be sent into a new session: nothing in the old one can have depended on it, or it on that."""
    if message.method in LISTS or message.method in HELLOS or message.method == "ping":
        return True
    return message.method == "tools/call" and session is not None and not session.called
