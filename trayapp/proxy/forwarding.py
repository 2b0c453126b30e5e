"""One request to a workload's upstream with its token: refreshed once and sent again when the upstream says 401.

A challenge that asks for more than the login grants (RULES.md section 7) is no rejection: nothing is refreshed, and the
caller is told what is missing.

What every caller of an upstream needs is here, once: connection pool, token, audit line, counters. Nothing here knows
what the request is about.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import aiohttp
from aiohttp import web
from aiohttp.http import HttpProcessingError

from trayapp.core.classify import INTERCEPTED
from trayapp.core.model import AccessToken, Spec
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Unavailable
from trayapp.proxy import headers
from trayapp.proxy.audit import Audit
from trayapp.proxy.bodies import Body
from trayapp.proxy.challenges import challenge_of
from trayapp.proxy.exchange import UpstreamResponse, send_request
from trayapp.proxy.headers import Headers, OddHeaderError
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.proxy.upstream import ProxyUnusable, Upstreams
from trayapp.server.replies import Refusal

if TYPE_CHECKING:
    from trayapp.proxy.proofs import UpstreamProofs

USE_NONCE = "use_dpop_nonce"  # RFC 9449 section 9
UPSTREAM_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError, ProxyUnusable)  # OSError holds TimeoutError
GATEWAY = frozenset((502, 503, 504))  # what answers in the place of a server that is away or overloaded
NOTHING_SENT = (  # of these: the connection was never made
    ProxyUnusable,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientSSLError,
    TimeoutError,
)


class TokenSource(Protocol):
    """What the proxy needs of the engine. All of it runs on the server's loop."""

    def spec(self, name: str) -> Spec | None: ...

    async def token(self, name: str, *, counts: bool = True) -> AccessToken | Unavailable:
        """A usable token, or why there is none, after at most M15's wait. Suspends only to wait. May be cancelled.

        `counts`: a person or program is turned away if there is none, which is what amber notifications speak of.
        """
        ...

    def peek(self, name: str) -> AccessToken | Unavailable:
        """The same without waiting; the caller isn't counted as turned away."""
        ...

    def account(self, name: str) -> str | None:
        """A digest of whose login it is, for what and where; None while no login is known."""
        ...

    def rejected(self, name: str, serial: int, code: str) -> Unavailable | None:
        """The upstream answered 401 to this token, with this error code. What to tell the caller if no other token can
        be had; None if one may come."""
        ...

    def lacks(self, name: str, serial: int, needs: Needs) -> Unavailable | None:
        """The upstream wants more than this token grants. What to tell the caller; None if there is a newer token."""
        ...

    def accepted(self, name: str) -> None:
        """The upstream answered 2xx."""
        ...


class NoTokenError(Exception):
    """The token was rejected or doesn't suffice, and there is no other one."""

    def __init__(self, why: Unavailable) -> None:
        super().__init__(why.help)
        self.why = why


class SendAgainError(Exception):
    """The token was rejected and there is a newer one, but the body can't be repeated from here."""


MakeHeaders: TypeAlias = Callable[[AccessToken], Headers]


class Forwarder:
    """Sends requests upstream. Belongs to the server's loop."""

    def __init__(self, tokens: TokenSource, upstreams: Upstreams) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()  # responses by workload and the upstream's status code
        self.tokens = tokens
        self.upstreams = upstreams
        self._audit = Audit()
        self._made_proofs: UpstreamProofs | None = None

    async def send(
        self,
        name: str,
        method: str,
        upstream: UpstreamUrl,
        url: str,
        head: MakeHeaders,
        body: Body,
        token: AccessToken,
        *,
        counts: bool = True,
    ) -> UpstreamResponse:
        """The upstream's response, to be used in a `with` block, its body unread; after a challenge, the response to the
        same request with a newer token. `head` makes the headers for a token; `counts` as in `TokenSource`.

        Raises `NoTokenError`, `SendAgainError` or one of `UPSTREAM_ERRORS`.
        """
        upstreams = self.upstreams
        pool = upstreams.take()
        try:
            target = pool.targets.get(upstream.origin) or await upstreams.target(pool, upstream)
            path = url.removeprefix(upstream.origin)
            tried = False  # a newer token
            asked = False  # for the upstream's nonce
            for _ in range(3):
                bound = token.proof_key
                if bound is None:
                    response = await send_request(pool.connector, target, method, path, head(token), body.to_send())
                else:
                    proofs = self._proofs()
                    own = await proofs.bind(head(token), method, url, token, bound)
                    renew = partial(proofs.sign, method=method, url=url, token=token, key=bound)
                    response = await send_request(pool.connector, target, method, path, own, body.to_send(), renew)
                self._record(name, method, upstream, response.status)
                challenge = challenge_of(response.status, response.headers)
                nonce = bound is not None and self._proofs().noted(url, response.headers, bound)
                if challenge is None:
                    response.on_exit = partial(upstreams.give_back, pool)
                    return response
                with response:
                    pass  # its connection goes back
                if bound is not None and challenge.code == USE_NONCE:  # no strike: nothing is wrong with the token
                    if asked or not nonce or not body.can_repeat():
                        break
                    asked = True
                    continue
                if challenge.needs is not None:
                    why = self.tokens.lacks(name, token.serial, challenge.needs)
                else:
                    why = self.tokens.rejected(name, token.serial, challenge.code)
                if why is not None:
                    raise NoTokenError(why)
                repeat = body.can_repeat()
                newer = await self.tokens.token(name, counts=counts) if repeat else self.tokens.peek(name)
                if isinstance(newer, Unavailable):
                    raise NoTokenError(newer)
                if newer.serial == token.serial or not repeat or tried:
                    break
                token, tried = newer, True
            raise SendAgainError
        except BaseException:
            upstreams.give_back(pool)
            raise

    def _proofs(self) -> UpstreamProofs:
        """Made for the first bound token: most people have none."""
        if self._made_proofs is None:
            from trayapp.proxy.proofs import UpstreamProofs

            self._made_proofs = UpstreamProofs()
        return self._made_proofs

    def _record(self, name: str, method: str, upstream: UpstreamUrl, status: int) -> None:
        self.answered[name, str(status)] += 1
        self._audit.note(name, method, upstream.host, status)
        if 200 <= status < 300:
            self.tokens.accepted(name)

    async def renew(self) -> None:
        """The network changed, or the machine woke up: open new connections."""
        await self.upstreams.renew()

    async def close(self) -> None:
        """Flush the audit log and close the connections. No request may be in progress."""
        self._audit.flush()
        await self.upstreams.close()


def request_headers(request: web.Request, upstream: UpstreamUrl, token: AccessToken) -> Headers:
    """The client's headers for the upstream, with the token. Raises `Refusal` 400."""
    received = request.headers
    connection = received.getall("Connection", ())
    try:
        return headers.to_upstream(received.items(), connection, upstream.authority, token.value.reveal())
    except OddHeaderError:
        raise Refusal(400, "bad_header", "A header contains bytes that aren't UTF-8.") from None


def nothing_sent(error: Exception) -> bool:
    """Whether the request certainly never reached the upstream."""
    return isinstance(error, NOTHING_SENT)


def unreachable(error: Exception, upstream: UpstreamUrl) -> Refusal:
    """What went wrong between us and the upstream; quotes nothing of the request or the response."""
    match error:
        case ProxyUnusable():
            return Refusal(502, "proxy_unusable", str(error))
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            said = f"The certificate of {upstream.host} isn't trusted. {INTERCEPTED}"
            return Refusal(502, "upstream_tls", said)
        case TimeoutError() | asyncio.TimeoutError():
            return Refusal(504, "upstream_timeout", f"Can't reach {upstream.host} (timed out).")
        case aiohttp.ClientHttpProxyError():
            return Refusal(502, "proxy_refused", f"The HTTP proxy blocked the connection to {upstream.host}.")
        case aiohttp.ClientProxyConnectionError():
            return Refusal(502, "proxy_unreachable", "Can't reach the HTTP proxy.")
        case aiohttp.ClientConnectorError():
            return Refusal(502, "upstream_unreachable", f"Can't reach {upstream.host}.")
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return Refusal(502, "upstream_garbled", f"{upstream.host} returned an answer that isn't HTTP.")
    return Refusal(502, "upstream_broke_off", f"{upstream.host} closed the connection without an answer.")
