"""HTTP transport for OAuth: one request, one `Reply`, on a fresh connection, without redirects, retries or cookies.

A pooled connection that the network dropped in the meantime would leave a token in doubt for nothing; on a fresh one
the same outage is "not sent". All requests share one TLS context, made in a thread because making one blocks for 30 ms.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2

from trayapp import __version__
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.oauth.address_class import AddressClass, class_of_host, too_near
from trayapp.oauth.faults import BadCertificatesError, BadProxyError, TooLargeError, fault
from trayapp.oauth.progress import RequestProgress
from trayapp.oauth.system_context import system_context
from trayapp.system import proxies

BODY_CAP = 1 << 20  # bytes; a token response has a few thousand
CONNECT_LIMIT = 5.0  # s for each step of connecting; a reachable server needs less than one
STEPS = 2  # × the limit of a step for all of connecting: one may be slow, a proxy that hangs isn't waited for
CHANGES = 4  # changes of the network in `CHANGES_WINDOW` that end attempts; a restless one lets some through
CHANGES_WINDOW = 10.0  # s
URL_MAX = 8192  # characters; servers and proxies reject longer request lines
URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986, all of it


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send. Body and headers may hold secrets, so `repr` leaves them out."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = field(default="", repr=False)
    nearest_allowed: AddressClass = AddressClass.LOCAL  # the server may be no nearer than this
    head_only: bool = False  # don't read the body: an event stream never ends
    repeatable: bool = False  # it ends if the network changes before anything was sent; the caller begins another


def is_loopback(host: str) -> bool:
    """Whether a host name or address literal is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_problem(url: str) -> str:
    """Why tokens or codes must not go to this address, as the end of a sentence; empty if nothing speaks against it.

    https, or this machine itself (RFC 8252 section 8.3, RFC 9700 section 2.6); no fragment (RFC 6749 section 3.2).
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "isn't valid"
    if len(url) > URL_MAX:
        return "is too long"
    # A browser decodes a host's percent signs: 127.0.0%2e1 would be judged as another one than it opens.
    if not URL_CHARACTERS.fullmatch(url) or not host or ("%" in host and ":" not in host):
        return "isn't valid"
    if parts.username is not None or parts.password is not None:
        return "can't contain a user name or password"
    if parts.fragment:
        return "can't end in a #fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return ""
    return "must start with https://"


class Wire:
    """Sends requests. `make_context` makes the TLS context; the default follows the system and SSL_CERT_FILE.

    `now` is a clock that counts sleep, where a machine that sleeps between connecting and sending matters.
    """

    def __init__(
        self,
        release: str = "",
        make_context: Callable[[], ssl.SSLContext] = system_context,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._user_agent = f"Amberlight/{release or __version__}"
        self._make_context = make_context
        self._tls_context: ssl.SSLContext | None = None
        self._lock = asyncio.Lock()
        self._now = now
        self._connecting: set[RequestProgress] = set()
        self._changes: deque[float] = deque(maxlen=CHANGES)

    async def send(
        self,
        request: Request,
        *,
        limit: float,
        connect: float = CONNECT_LIMIT,
        cap: int = BODY_CAP,
        on_reached: Callable[[AddressClass], None] = lambda reached: None,
    ) -> Reply:
        """Send a request once. `limit` (s) holds for everything together, `connect` (s) for a step of connecting, `cap`
        (bytes) for the decoded body. `on_reached` is told the class of the address that was reached; behind a proxy only
        the server's name can tell.

        Raises nothing but CancelledError, which also closes the connection.
        """
        if reason := url_problem(request.url):
            return Fault(False, "request", f"the address {reason}")
        host = urlsplit(request.url).hostname or ""
        if (reached := class_of_host(host)) < request.nearest_allowed:
            return Fault(False, "request", too_near(host, reached)[:200])
        progress, answers = RequestProgress(host, self._now, request.nearest_allowed), list[Answer]()
        if request.repeatable and not is_loopback(host):
            self._connecting.add(progress)
        try:
            async with asyncio.timeout(limit), asyncio.timeout(STEPS * connect) as progress.connecting:
                await self._exchange(request, host, progress, httpx2.Timeout(limit, connect=connect), cap, answers)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes a value that says whether the token left
            # A complete answer counts, even if closing the connection failed or took too long.
            return answers[0] if answers else fault(exc, progress, limit)
        finally:
            self._connecting.discard(progress)
            await progress.close()
        on_reached(reached if progress.reached is None else progress.reached)
        return answers[0]

    def network_changed(self) -> None:
        """End the repeatable requests of which nothing has left: they wait for a network that is gone."""
        now = self._now()
        if len(self._changes) == CHANGES and now - self._changes[0] < CHANGES_WINDOW:
            return
        self._changes.append(now)
        for progress in self._connecting:
            progress.network_changed()

    async def _exchange(
        self,
        request: Request,
        host: str,
        progress: RequestProgress,
        timeout: httpx2.Timeout,
        cap: int,
        answers: list[Answer],
    ) -> None:
        context = await self.tls()
        proven = context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
        verified = is_loopback(host) or (proven and request.url.startswith("https:"))
        proxy = await _system_proxy(request.url) if proxies.HAS_SETTINGS and not is_loopback(host) else None
        async with self._client(context, host, timeout, proxy) as client:
            headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
            headers |= {**request.headers, "User-Agent": self._user_agent}
            content = request.body.encode("ascii") if request.method in ("POST", "PUT") else None
            async with client.stream(
                request.method, request.url, headers=headers, content=content, extensions={"trace": progress}
            ) as response:
                body = bytearray()
                if not request.head_only:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > cap:
                            raise TooLargeError
                names = {name.lower(): value for name, value in response.headers.items()}
                answers.append(Answer(response.status_code, names, bytes(body), verified))

    @staticmethod
    def _client(
        context: ssl.SSLContext, host: str, timeout: httpx2.Timeout, proxy: str | None = None
    ) -> httpx2.AsyncClient:
        """A client with `proxy`, which may be "", or with None the environment's; for this machine without one: plain http
        must never reach a proxy."""
        try:
            return httpx2.AsyncClient(
                verify=context,
                timeout=timeout,
                limits=httpx2.Limits(max_keepalive_connections=0),
                proxy=proxy or None,
                trust_env=proxy is None and not is_loopback(host),
                follow_redirects=False,
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as exc:
            raise BadProxyError from exc

    async def tls(self) -> ssl.SSLContext:
        """The TLS context that all requests share, including connections to the proxy. Raises `BadCertificatesError`."""
        async with self._lock:
            if self._tls_context is None:
                try:
                    self._tls_context = await asyncio.to_thread(self._make_context)
                except OSError as exc:  # ssl.SSLError is one
                    raise BadCertificatesError from exc
            return self._tls_context


async def _system_proxy(url: str) -> str | None:
    """The proxy of the system's settings for this address, "" for none; None if the environment decides."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = await asyncio.to_thread(proxies.of_system, parts.scheme, parts.hostname or "", port)
    return f"http://{found}" if found and "://" not in found else found
