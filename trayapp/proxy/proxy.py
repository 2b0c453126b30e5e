"""The proxy: `http://127.0.0.1:PORT/w/NAME` is the workload's URL with the token that the client does not have.

A request is answered here without anything being sent when the local key is wrong (a constant 403, whether there is such
a workload or not), when the target is a trick, or when there is no usable token (M15: 503 with the true `Retry-After`).
Otherwise it goes to the configured upstream and nowhere else, and both bodies are passed on as they come. An upstream's
401 is between the upstream and us: it forces one refresh, and the request is sent once more if its body was kept and
nothing was answered yet. The client never sees a 401, as that would make it start a sign-in of its own.

Host, Origin and the form of the target were checked by `server.py` before anything of this runs.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Collection
from typing import Protocol

import aiohttp
from aiohttp import web
from aiohttp.http import HttpProcessingError

from trayapp.core.model import AccessToken, Secret, Spec
from trayapp.core.public import unavailable_json
from trayapp.core.snapshot import Unavailable
from trayapp.proxy import headers, mapping
from trayapp.proxy.audit import Audit
from trayapp.proxy.bodies import body_of
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.headers import OddHeaderError
from trayapp.proxy.mapping import RequestTarget, SseEndpoints, UpstreamUrl
from trayapp.proxy.sse import EndpointRewriter
from trayapp.proxy.upstream import ProxyUnusable, Upstreams
from trayapp.server.keys import Keys
from trayapp.server.replies import Refusal, json_reply
from trayapp.server.server import only

REDIRECTS = frozenset((301, 302, 303, 307, 308))
REJECTS = "upstream_rejects"  # M18: the one reason that is the upstream's, so it is 502

log = logging.getLogger(__name__)


class TokenSource(Protocol):
    """What the proxy needs of the engine; all of it on the server's own loop."""

    def spec(self, name: str) -> Spec | None: ...

    async def token(self, name: str) -> AccessToken | Unavailable:
        """M15; does not suspend when the answer is known. May be cancelled."""
        ...

    def peek(self, name: str) -> AccessToken | Unavailable:
        """The same without waiting, and nobody is counted as refused."""
        ...

    def rejected(self, name: str, serial: int) -> None:
        """The upstream answered 401 to this token."""
        ...

    def accepted(self, name: str) -> None:
        """The upstream answered 2xx."""
        ...


class Proxy:
    """The two routes and what they share. Give `routes()` to the server as open ones: they look after the key."""

    def __init__(self, tokens: TokenSource, keys: Keys, upstreams: Upstreams) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()  # by workload and the upstream's status code
        self._tokens = tokens
        self._keys = keys
        self._upstreams = upstreams
        self._announced = SseEndpoints()
        self._audit = Audit()
        self._nobody = Secret(secrets.token_urlsafe(32))  # compared with where there is no workload, for the same time

    def routes(self) -> list[web.RouteDef]:
        """`/w/NAME…` and `/k/KEY/w/NAME…`, for `LoopbackServer(open_routes=…)`."""
        paths = ("/w/{rest:.*}", "/k/{rest:.*}")
        return [web.route("*", path, self.handle, expect_handler=_expected) for path in paths]

    def allowed_origins(self, request: web.Request) -> Collection[str]:
        """For `LoopbackServer(allowed_origins=…)`: the foreign origins that may use the workload a request is for."""
        asked = mapping.parse(request.raw_path)
        spec = self._tokens.spec(asked.name) if asked is not None else None
        return () if spec is None else spec.allowed_origins

    async def renew(self) -> None:
        """The network changed, or the machine woke up."""
        await self._upstreams.renew()

    async def close(self) -> None:
        """No request is under way any more."""
        self._audit.flush()
        await self._upstreams.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request from beginning to end; cancelled when the client hangs up."""
        asked = mapping.parse(request.raw_path)
        spec = self._admitted(request, asked)
        if asked is None or spec is None:
            raise Refusal(403, "forbidden", "This needs the local key of a workload. See: amberlight client-config")
        if not mapping.plain(asked.rest, asked.query):
            raise Refusal(
                400, "bad_path", "Paths with .., encoded slashes or dots, or odd characters are not passed on."
            )
        token = await self._tokens.token(asked.name)
        if isinstance(token, Unavailable):
            return _unavailable(token)
        return await self._pass(request, asked, mapping.place(spec.url), token)

    def _admitted(self, request: web.Request, asked: RequestTarget | None) -> Spec | None:
        """The workload, if there is one and its key was shown. Takes the same time for any name and any key."""
        spec = self._tokens.spec(asked.name) if asked is not None else None
        key = (self._keys.find(spec.name) if spec is not None else None) or self._nobody
        shown = asked.key if asked is not None and asked.key is not None else _bearer(request)
        same = hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), key.reveal().encode())
        return spec if spec is not None and (same or not spec.require_key) else None

    async def _pass(
        self, request: web.Request, asked: RequestTarget, where: UpstreamUrl, token: AccessToken
    ) -> web.StreamResponse:
        url = self._announced.upstream(asked, where)
        body = await body_of(request)
        line = self._upstreams.take()
        try:
            for _ in range(2):
                head = self._head(request, where, token)
                with await self._upstreams.open(line, request.method, where, url, head, body.to_send()) as answer:
                    self._note(request, asked.name, where, answer.status)
                    if answer.status != 401:
                        return await self._deliver(request, answer, asked, where, url)
                self._tokens.rejected(asked.name, token.serial)
                newer = await self._tokens.token(asked.name) if body.again() else self._tokens.peek(asked.name)
                if isinstance(newer, Unavailable):
                    return _unavailable(newer)
                if newer.serial == token.serial or not body.again():
                    break
                token = newer
            return _once_more()
        except (aiohttp.ClientError, HttpProcessingError, OSError, ProxyUnusable) as error:
            raise _unreachable(error, where) from None
        finally:
            await self._upstreams.give(line)

    @staticmethod
    def _head(request: web.Request, where: UpstreamUrl, token: AccessToken) -> headers.Headers:
        found = request.headers
        connection = found.getall("Connection", ())
        try:
            return headers.upward(found.items(), connection, where.authority, token.value.reveal())
        except OddHeaderError:
            raise Refusal(400, "bad_header", "A header holds bytes that are not UTF-8.") from None

    def _note(self, request: web.Request, name: str, where: UpstreamUrl, status: int) -> None:
        self.answered[name, str(status)] += 1
        self._audit.note(name, request.method, where.host, status)
        if 200 <= status < 300:
            self._tokens.accepted(name)

    async def _deliver(
        self, request: web.Request, answer: UpstreamResponse, asked: RequestTarget, where: UpstreamUrl, url: str
    ) -> web.StreamResponse:
        """The upstream's answer, as it comes. What is wholly here already goes out in one piece."""
        head = headers.downward(answer.headers.items(), answer.headers.getall("Connection", ()))
        if answer.status in REDIRECTS and "Location" in head:
            head["Location"] = self._local(asked, where, url, head["Location"], "redirects to")
        rewriter = None
        if request.method == "GET" and answer.content_type == "text/event-stream" and "Content-Encoding" not in head:
            rewriter = EndpointRewriter(lambda path: self._local(asked, where, url, path, "announced an endpoint at"))
        whole = answer.content.is_eof() and request.method != "HEAD" and rewriter is None
        if whole or rewriter is not None:
            head.popall("Content-Length", None)  # aiohttp knows it, or nobody does
        response: web.StreamResponse
        if whole:
            body = answer.content.read_nowait()
            response = web.Response(status=answer.status, reason=answer.reason, headers=head, body=body)
            await response.prepare(request)  # from here on the server adds nothing of its own
        else:
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=head)
            await response.prepare(request)
            await _stream(request, response, answer.content, rewriter)
        return response

    def _local(self, asked: RequestTarget, where: UpstreamUrl, at: str, reference: str, what: str) -> str:
        """Our path for what the upstream named. Raises `Refusal` for what is not the workload's."""
        path = self._announced.local(asked, where, at, reference)
        if path is None:
            log.warning("%s: %s %s an address that is not its own; that is not passed on", asked.name, where.host, what)
            message = f"{where.host} {what} another address; Amberlight does not go there with the token."
            raise Refusal(502, "foreign_address", f"{message} If that is right, change the workload's url.")
        return path


async def _stream(
    request: web.Request,
    response: web.StreamResponse,
    stream: aiohttp.StreamReader,
    rewriter: EndpointRewriter | None,
) -> None:
    """Chunk by chunk. If it breaks, the client must not take it for whole: its connection is cut."""
    try:
        async for chunk in stream.iter_any():
            data = chunk if rewriter is None else rewriter.feed(chunk)
            if data:
                await response.write(data)
        if rewriter is not None and (rest := rewriter.rest()):
            await response.write(rest)
        await response.write_eof()
    except (aiohttp.ClientError, OSError, Refusal):
        if request.transport is not None:
            request.transport.abort()


async def _expected(request: web.Request) -> None:
    """aiohttp would send `100 Continue` before anybody looked at the key; `body_of` sends it when the body is wanted."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed


def _bearer(request: web.Request) -> str:
    scheme, _, key = (only(request.headers.getall("Authorization", ())) or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _unavailable(why: Unavailable) -> web.Response:
    head = {} if why.retry_after is None else {"Retry-After": str(why.retry_after)}
    return json_reply(unavailable_json(why), 502 if why.error == REJECTS else 503, head)


def _once_more() -> web.Response:
    """The upstream said 401, a newer token is there, but the request cannot be repeated from here."""
    text = "The upstream rejected the token and there is a newer one: send the request again."
    body = {"error": "retrying", "status": "running", "detail": "ok", "since": None, "next_attempt_at": None}
    return json_reply({**body, "help": text}, 503, {"Retry-After": "1"})


def _unreachable(error: Exception, where: UpstreamUrl) -> Refusal:
    """What went wrong between us and the upstream, without anything of the request or the answer."""
    match error:
        case ProxyUnusable():
            return Refusal(502, "proxy_unusable", str(error))
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            why = "its certificate is not trusted: VPN, inspection or captive portal?"
            return Refusal(502, "upstream_tls", f"{where.host} was not asked: {why}")
        case TimeoutError() | asyncio.TimeoutError():
            return Refusal(504, "upstream_timeout", f"{where.host} did not take the connection in time.")
        case aiohttp.ClientHttpProxyError():
            return Refusal(502, "proxy_refused", f"The HTTP proxy does not let us through to {where.host}.")
        case aiohttp.ClientProxyConnectionError():
            return Refusal(502, "proxy_unreachable", "The HTTP proxy cannot be reached.")
        case aiohttp.ClientConnectorError():
            return Refusal(502, "upstream_unreachable", f"{where.host} cannot be reached.")
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return Refusal(502, "upstream_garbled", f"{where.host} gave an answer that is not HTTP.")
    return Refusal(502, "upstream_broke_off", f"{where.host} ended the connection before it answered.")
