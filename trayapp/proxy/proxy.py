"""The token-injecting proxy: `http://127.0.0.1:PORT/w/NAME` is the workload's URL with the access token added.

A request is answered here, and nothing is sent, if the local key is wrong (a constant 403, whether the workload exists
or not), if the target is ambiguous, or if there is no usable token (503 with a computed `Retry-After`, M15). Otherwise
it goes to the configured upstream and nowhere else, and both bodies are streamed. An upstream's 401 stays between the
upstream and us: it forces one refresh, and the request is sent once more if its body can be repeated and no byte of a
response has reached the client. The client never sees a 401, because that would make it start an OAuth flow of its
own.

`server/server.py` has checked Host, Origin and the form of the target before anything here runs.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from trayapp.core.model import AccessToken, Secret, Spec
from trayapp.core.public import unavailable_json
from trayapp.core.snapshot import Unavailable
from trayapp.proxy import headers, mapping
from trayapp.proxy.bodies import Body, body_of
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.forwarding import (
    GATEWAY,
    UPSTREAM_ERRORS,
    Forwarder,
    NoTokenError,
    SendAgainError,
    TokenSource,
    request_headers,
    unreachable,
)
from trayapp.proxy.legacy_attach import Held
from trayapp.proxy.legacy_hold import PREFIX, LegacyHold
from trayapp.proxy.legacy_sse import LegacyEndpoint, LegacyStream
from trayapp.proxy.mapping import RequestTarget, SseEndpoints, UpstreamUrl
from trayapp.proxy.mcp_refusals import MCP, Handler, in_jsonrpc
from trayapp.proxy.noting import NOTED, NoRecorder, Noted, Recorder, response_begins
from trayapp.proxy.sse import EndpointRewriter
from trayapp.proxy.steady import NotMcpError, SteadyEndpoint
from trayapp.proxy.steady_call import session_gone
from trayapp.proxy.steady_store import SteadyStore
from trayapp.proxy.steady_upstream import GatewayError
from trayapp.proxy.transport import Transports
from trayapp.proxy.upstream import Upstreams
from trayapp.proxy.whole_response import send_whole
from trayapp.server.keys import Keys
from trayapp.server.peers import Owner, owner_of
from trayapp.server.replies import Refusal, json_reply
from trayapp.server.server import single_value

REDIRECTS = frozenset((301, 302, 303, 307, 308))
STATUSES = {  # of what is no lack of a token, hence no 503
    "upstream_rejects": 502,  # it lies with the upstream (M18)
    "permission_needed": 403,  # the upstream's own answer; only the challenge is kept back (RULES.md section 7)
}

FAILURES = (NoTokenError, SendAgainError, *UPSTREAM_ERRORS)  # before a byte of a response has reached the client

log = logging.getLogger(__name__)


class Proxy:
    """The two routes and what they share. Pass `routes()` to the server as open ones: they check the key themselves."""

    def __init__(
        self,
        tokens: TokenSource,
        keys: Keys,
        upstreams: Upstreams,
        notes: Path | None = None,
        reauthorize_link: Callable[[str], str | None] = lambda name: None,
        recorder: Recorder | None = None,
    ) -> None:
        """`notes` is the directory where what MCP servers offer is kept; None: nowhere. `reauthorize_link` makes an
        address at which a person may begin the sign-in of a workload."""
        self._tokens = tokens
        self._recorder = recorder or NoRecorder()
        self._keys = keys
        self._forwarder = Forwarder(tokens, upstreams)
        self._store = SteadyStore(notes)
        self.steady = SteadyEndpoint(self._forwarder, self._store, reauthorize_link)
        self.transports = Transports(self._forwarder, self._store)
        self._endpoints = SseEndpoints()
        self._legacy = LegacyEndpoint(self._forwarder)
        self._hold = LegacyHold(self._forwarder, self._store, self._legacy, self.steady.hold, self._endpoint_of)
        self._handler = in_jsonrpc(self.handle)
        self._decoy_key = Secret(secrets.token_urlsafe(32))  # compared with where there is no workload: constant time

    def routes(self) -> list[web.RouteDef]:
        """`/w/NAME…` and `/k/KEY/w/NAME…`, for `LoopbackServer(open_routes=…)`."""
        paths = ("/w/{rest:.*}", "/k/{rest:.*}")
        return [web.route("*", path, self._handler, expect_handler=_handle_expect) for path in paths]

    def direct(self) -> dict[str, Handler]:
        """The same for `LoopbackServer(direct=…)`."""
        return {"/w/": self._handler}

    def allowed_origins(self, request: web.Request) -> Collection[str]:
        """For `LoopbackServer(allowed_origins=…)`: foreign origins that may use the workload this request is for."""
        target = mapping.parse(request.raw_path)
        spec = self._tokens.spec(target.name) if target is not None else None
        return () if spec is None else spec.allowed_origins

    @property
    def answered(self) -> Counter[tuple[str, str]]:
        """Responses by workload and the upstream's status code."""
        return self._forwarder.answered

    async def renew(self) -> None:
        """The network changed, or the machine woke up: open new connections."""
        await self._forwarder.renew()

    async def close(self) -> None:
        """Flush the audit log and close the connections. No request may be in progress."""
        await self.steady.close()
        await self._forwarder.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request from start to end; cancelled when the client disconnects."""
        target = mapping.parse(request.raw_path)
        spec = self._admitted(request, target)
        if target is None or spec is None:
            raise Refusal(403, "forbidden", "This needs the local key of a workload. Run `amberlight client-config`.")
        request[MCP] = spec.mcp
        if not self._recorder.takes():
            return await self._serve(request, target, spec)
        noted, status = Noted(), None
        request[NOTED] = noted
        try:
            response = await self._serve(request, target, spec)
            status = response.status
            return response
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            noted.record(self._recorder, request, target.name, target.rest, status)

    async def _serve(self, request: web.Request, target: RequestTarget, spec: Spec) -> web.StreamResponse:
        """A request whose key has been checked."""
        if not mapping.unambiguous(target.rest, target.query):
            raise Refusal(
                400, "bad_path", "Paths with .., encoded slashes or dots, or unusual characters aren't allowed."
            )
        upstream = mapping.split_upstream(spec.url)
        url = self._endpoints.upstream_url(target, upstream)
        body = None
        if target.rest.startswith(PREFIX):
            return await self._post_to_held(request, target, upstream)
        try:
            if (stream := self._legacy.stream_of(request, spec, url)) is not None:
                if NOTED in request:
                    request[NOTED].stream = stream
                deliver = partial(self._deliver, request, target=target, upstream=upstream, url=url)
                head = partial(request_headers, request, upstream)
                return await self._legacy.post(request, target.name, upstream, url, head, stream, deliver)
            return await self.steady.handle(request, target, spec, url, upstream)
        except NotMcpError as plain:
            body = plain.body
        holds = await self._hold.wanted(request, spec)
        token = await self._tokens.token(target.name, counts=not holds)
        if isinstance(token, Unavailable):
            return await self._hold.get(request, target, upstream, url) if holds else _unavailable(token)
        return await self._forward(request, target, upstream, url, body, token, holds=holds)

    async def _post_to_held(
        self, request: web.Request, target: RequestTarget, upstream: UpstreamUrl
    ) -> web.StreamResponse:
        """A message of a client whose stream is held here; one that has ended is unknown."""
        held = self._hold.find(request, target)
        if held is None:
            return session_gone()
        if NOTED in request:
            request[NOTED].stream = held
        head = partial(request_headers, request, upstream)
        try:
            return await self._hold.post(
                request, held, head, partial(self._deliver, request, target=target, upstream=upstream)
            )
        except NotMcpError as plain:
            body, url = plain.body, held.endpoint
        token = await self._tokens.token(target.name)
        if isinstance(token, Unavailable):
            return _unavailable(token)
        return await self._forward(request, target, upstream, url, body, token)

    def _admitted(self, request: web.Request, target: RequestTarget | None) -> Spec | None:
        """The workload, if it exists and its key was shown. Constant time for any name and any key."""
        spec = self._tokens.spec(target.name) if target is not None else None
        key = (self._keys.find(spec.name) if spec is not None else None) or self._decoy_key
        shown = target.key if target is not None and target.key is not None else _bearer(request)
        matches = hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), key.reveal().encode())
        if spec is None or matches:
            return spec
        return None if spec.require_key or owner_of(request) is Owner.UNKNOWN else spec  # a container's needs it always

    async def _forward(
        self,
        request: web.Request,
        target: RequestTarget,
        upstream: UpstreamUrl,
        url: str,
        body: Body | None,
        token: AccessToken,
        *,
        holds: bool = False,
    ) -> web.StreamResponse:
        """`body` is what was read already, None: nothing yet. `holds`: as a stream of ours if there is no way."""
        if body is None:
            body = await body_of(request)
        head = partial(request_headers, request, upstream)
        try:
            with await self._forwarder.send(target.name, request.method, upstream, url, head, body, token) as response:
                if not (holds and response.status in GATEWAY):
                    return await self._deliver(request, response, target, upstream, url)
                away = GatewayError(response.status)
            return await self._hold.get(request, target, upstream, url, away)
        except FAILURES as error:
            if holds:
                return await self._hold.get(request, target, upstream, url, error)
            if isinstance(error, UPSTREAM_ERRORS):
                raise unreachable(error, upstream) from None
            return _unavailable(error.why) if isinstance(error, NoTokenError) else _send_again()

    async def _deliver(
        self, request: web.Request, answer: UpstreamResponse, target: RequestTarget, upstream: UpstreamUrl, url: str
    ) -> web.StreamResponse:
        """Stream the response to the client. One that has arrived whole is sent in one piece."""
        response_begins(request, answer.status)
        head = headers.to_client(answer.headers.items(), answer.headers.getall("Connection", ()))
        if answer.status in REDIRECTS and "Location" in head:
            head["Location"] = self._local(target, upstream, url, head["Location"], "redirects to")
        events = request.method == "GET" and answer.content_type == "text/event-stream"
        events = events and "Content-Encoding" not in head
        if answer.content.is_eof() and request.method != "HEAD" and not events:
            return await send_whole(request, answer.status, answer.reason, head, answer.content.read_nowait())
        if events:
            head.popall("Content-Length", None)  # the endpoint's path changes
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=head)
        await response.prepare(request)  # once prepared, the server adds none of its own headers
        if not events:
            await _stream(request, response, answer.content)
            return response
        legacy = LegacyStream(response)
        rewriter = EndpointRewriter(lambda path: self._announced(target, upstream, url, path, legacy))
        try:
            await _stream(request, response, answer.content, rewriter, legacy)
        finally:
            self._legacy.closed(legacy)
        return response

    def _announced(
        self, target: RequestTarget, upstream: UpstreamUrl, url: str, reference: str, stream: LegacyStream
    ) -> str:
        """The local path for the endpoint that a legacy stream announced; what is posted there belongs to the stream."""
        path = self._local(target, upstream, url, reference, "announced an endpoint at")
        if (posted := mapping.parse(path.partition("#")[0])) is not None:
            self._legacy.opened(target.name, self._endpoints.upstream_url(posted, upstream), stream)
        self._store.legacy(target.name)
        return path

    def _endpoint_of(self, held: Held, reference: str) -> str:
        """The upstream URL of the endpoint that was announced for a held stream."""
        path = self._local(held.target, held.upstream, held.url, reference, "announced an endpoint at")
        posted = mapping.parse(path.partition("#")[0])
        return held.url if posted is None else self._endpoints.upstream_url(posted, held.upstream)

    def _local(self, target: RequestTarget, upstream: UpstreamUrl, base_url: str, reference: str, verb: str) -> str:
        """The local path for an address the upstream named. Raises `Refusal` 502 for one that isn't the workload's."""
        path = self._endpoints.local_path(target, upstream, base_url, reference)
        if path is None:
            log.warning("%s: %s %s a different address; it is not passed on", target.name, upstream.host, verb)
            message = f"{upstream.host} {verb} a different address. Amberlight won't send the token there."
            raise Refusal(502, "foreign_address", f"{message} If that's right, change the workload's url.")
        return path


async def _stream(
    request: web.Request,
    response: web.StreamResponse,
    stream: aiohttp.StreamReader,
    rewriter: EndpointRewriter | None = None,
    legacy: LegacyStream | None = None,
) -> None:
    """Chunk by chunk. If the upstream breaks off, cut the client's connection: a part must not pass for all."""
    write = response.write if legacy is None else legacy.write
    try:
        async for chunk in stream.iter_any():
            data = chunk if rewriter is None else rewriter.feed(chunk)
            if data:
                await write(data)
        if rewriter is not None and (rest := rewriter.rest()):
            await write(rest)
        await response.write_eof()
    except (aiohttp.ClientError, OSError, Refusal):
        if request.transport is not None:
            request.transport.abort()


async def _handle_expect(request: web.Request) -> None:
    """aiohttp would send `100 Continue` before the key is checked; `body_of` sends it when the body is wanted."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed


def _bearer(request: web.Request) -> str:
    scheme, _, key = (single_value(request.headers.getall("Authorization", ())) or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _unavailable(unavailable: Unavailable) -> web.Response:
    head = {} if unavailable.retry_after is None else {"Retry-After": str(unavailable.retry_after)}
    return json_reply(unavailable_json(unavailable), STATUSES.get(unavailable.error, 503), head)


def _send_again() -> web.Response:
    """The upstream said 401 and there is a newer token, but the request can't be repeated from here."""
    text = "The service rejected the token, and there's a newer one. Send the request again."
    body = {"error": "retrying", "status": "running", "detail": "ok", "since": None, "next_attempt_at": None}
    return json_reply({**body, "help": text}, 503, {"Retry-After": "1"})
