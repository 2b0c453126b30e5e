"""Held streams of the steady MCP endpoint: which clients listen, what they get, who is told that lists may have changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from trayapp.core.model import AccessToken
from trayapp.mcp import elicitation, messages
from trayapp.mcp.messages import LIST_CHANGED
from trayapp.mcp.revisions import SUBSCRIPTION_META
from trayapp.mcp.sessions import Session
from trayapp.proxy.forwarding import UPSTREAM_ERRORS, Forwarder, NoTokenError, SendAgainError
from trayapp.proxy.held_streams import HeldStream, last_id, whole_events
from trayapp.proxy.steady_call import Call
from trayapp.proxy.steady_headers import SESSION, SSE, StreamHeaders


class ClientStreams:
    """The open streams of all clients. Belongs to the server's loop."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._tokens = forwarder.tokens
        self._streams: dict[str, dict[HeldStream, Session | None]] = {}  # by workload
        self._usable: dict[str, bool] = {}  # by workload with streams: whether there was a usable token
        self._telling: set[asyncio.Task[None]] = set()
        self._closing = False

    async def get(self, call: Call) -> web.StreamResponse:
        """The stream of a session, on which the server speaks of its own accord."""
        head = {} if call.session is None else {SESSION: call.session.id}
        return await self._attached(call, HeldStream(call.request, head))

    async def listen(self, call: Call) -> web.StreamResponse:
        """`subscriptions/listen` (2026-07-28): held through everything, because no client asks for it twice."""
        asked = call.message.params.get("notifications")
        stream = HeldStream(call.request, {}, call.message.id)
        names = {f"{name}ListChanged": name for name in LIST_CHANGED}
        if isinstance(asked, dict):
            stream.wanted = frozenset(name for key, name in names.items() if asked.get(key) is True)
        return await self._attached(call, stream)

    def end_session(self, session: Session) -> None:
        """End the streams of one session."""
        for stream, owner in list(self._streams.get(session.workload, {}).items()):
            if owner is session:
                stream.close()

    def end_workload(self, name: str) -> None:
        """End the streams of one workload."""
        for stream in list(self._streams.get(name, {})):
            stream.close()

    def end_all(self) -> None:
        """The program ends: nobody need wait for streams that would stay for ever."""
        self._closing = True
        for name in list(self._streams):
            self.end_workload(name)

    async def _attached(self, call: Call, stream: HeldStream) -> web.StreamResponse:
        return await self.hold(call.name, stream, lambda held: self._attach(call, held), call.session)

    async def hold(
        self,
        name: str,
        stream: HeldStream,
        attach: Callable[[HeldStream], Coroutine[Any, Any, bool]],
        session: Session | None = None,
    ) -> web.StreamResponse:
        """Run a stream until its client, its session, its workload or the program ends it."""
        streams = self._streams.setdefault(name, {})
        streams[stream] = session
        usable = isinstance(self._tokens.peek(name), AccessToken)
        self._usable[name] = usable and self._usable.get(name, True)  # what is new, `published` is to notice
        if self._closing:
            stream.close()
        try:
            return await stream.run(attach)
        finally:
            streams.pop(stream, None)
            if not streams:
                self._streams.pop(name, None)
                self._usable.pop(name, None)

    async def _attach(self, call: Call, stream: HeldStream) -> bool:
        """The upstream's events for as long as they come; whether there was such a stream."""
        token = self._tokens.peek(call.name)
        session = call.session
        stream.account = self._tokens.account(call.name)
        if session is not None and stream.account not in (None, session.account):
            self._renew(session, stream.account)
        if session is not None and session.stale and isinstance(token, AccessToken):
            await self.tell_changed(call.name, session)  # it became usable while no stream was open
        if not isinstance(token, AccessToken) or (session is not None and not session.live):
            await self._acknowledge(stream)
            return False
        if session is not None and session.upstream is None:
            return False  # a server without sessions has nothing to say outside of answers
        upstream_id = None if session is None else session.upstream
        if stream.upstream not in (None, upstream_id):
            stream.last_event_id = None  # it means nothing in another session
        stream.upstream = upstream_id
        head = StreamHeaders(call.request, call.upstream, session, stream.last_event_id)
        try:
            with await self._forwarder.send(
                call.name, call.request.method, call.upstream, call.url, head, call.body, token, counts=False
            ) as response:
                if response.status != 200 or response.content_type != SSE or "Content-Encoding" in response.headers:
                    if 400 <= response.status < 500:
                        stream.last_event_id = None  # perhaps it means nothing there any more
                    if session is not None and response.status == 404 and session.upstream == upstream_id:
                        session.lost()
                        session.stale = True
                    await self._acknowledge(stream)
                    return False
                if stream.detached and stream.acknowledged:
                    await self._announce(stream, stream.wanted)
                stream.detached = False
                async for piece in whole_events(response.content.iter_any()):
                    piece = self._without_end(stream, piece)
                    if session is not None:
                        stream.last_event_id = last_id(piece) or stream.last_event_id
                    if piece:
                        await stream.write(piece)
                return True
        except (NoTokenError, SendAgainError, *UPSTREAM_ERRORS):
            await self._acknowledge(stream)
            return False

    async def _acknowledge(self, stream: HeldStream) -> None:
        """In the upstream's place: what was asked for, as far as we can tell of it."""
        if stream.subscription is None or stream.acknowledged:
            return
        stream.acknowledged = True
        honoured = {f"{name}ListChanged": True for name in sorted(stream.wanted)}
        params = {"_meta": {SUBSCRIPTION_META: stream.subscription}, "notifications": honoured}
        await stream.send(messages.notification("notifications/subscriptions/acknowledged", params))

    def _without_end(self, stream: HeldStream, piece: bytes) -> bytes:
        """Of a subscription: without a second acknowledgement, and without the result that ends it, as it goes on here."""
        if stream.subscription is None:
            return piece
        kept = []
        for block in piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
            data = next(iter(messages.events(block + b"\n\n")), None)
            try:
                said = json.loads(data) if data is not None else None
            except (ValueError, RecursionError):
                said = None
            if isinstance(said, dict):
                if said.get("method") == "notifications/subscriptions/acknowledged":
                    if stream.acknowledged:
                        continue
                    stream.acknowledged = True
                elif "method" not in said and said.get("id") == stream.subscription:
                    continue
            if block:
                kept.append(block + b"\n\n")
        return b"".join(kept)

    async def tell_changed(self, name: str, session: Session) -> None:
        """Its upstream session is new, and its lists may differ from what it was given: say so, once, on one stream."""
        for stream, owner in self._streams.get(name, {}).items():
            if owner is session and stream.upstream not in (None, session.upstream):
                stream.move()
        if not session.stale:
            return
        session.stale = False
        capabilities = session.told.get("capabilities")
        told = frozenset(capabilities) & LIST_CHANGED.keys() if isinstance(capabilities, dict) else frozenset()
        for stream, owner in list(self._streams.get(name, {}).items()):
            if owner is session:
                stream.wake()
                await self._announce(stream, told)
                return

    async def _announce(self, stream: HeldStream, names: frozenset[str]) -> None:
        for name in sorted(names):
            params = None if stream.subscription is None else {"_meta": {SUBSCRIPTION_META: stream.subscription}}
            await stream.send(messages.notification(LIST_CHANGED[name], params))

    def published(self) -> None:
        """Something changed in the engine: a workload that has become usable wakes its streams."""
        for name, was in list(self._usable.items()):
            now = isinstance(self._tokens.peek(name), AccessToken)
            self._usable[name] = now
            if now and not was:
                task = asyncio.get_running_loop().create_task(self._became_usable(name), name=f"tell clients of {name}")
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def _became_usable(self, name: str) -> None:
        streams = list(self._streams.get(name, {}).items())
        await asyncio.gather(*(self._tell_usable(name, stream, session) for stream, session in streams))

    async def _tell_usable(self, name: str, stream: HeldStream, session: Session | None) -> None:
        account = self._tokens.account(name)
        if account is not None and stream.account not in (None, account):
            stream.move()  # what is attached was opened with somebody else's token
        stream.wake()
        if session is None:
            return
        if account not in (None, session.account):
            self._renew(session, account)
        if session.elicitation:
            done, session.elicitation = session.elicitation, ""
            await stream.send(elicitation.complete(done))
        if not session.live:
            session.stale = True
        await self.tell_changed(name, session)

    @staticmethod
    def _renew(session: Session, account: str | None) -> None:
        """The upstream's session was made with somebody else's token."""
        session.renewed()
        session.account, session.stale = account or "", True
