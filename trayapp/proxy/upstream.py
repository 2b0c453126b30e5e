"""The connections to the upstreams: one pool of aiohttp's for all workloads, made when the first request wants it.

aiohttp and not httpx2, which the tokens use: it is several times faster for many small requests (PROTOTYPES.md section
3). Connections are kept for a few seconds only, and none outlives a change of the network or a sleep: a request on a
connection that died in the meantime would hang, or fail though the upstream is well, and must not be sent twice.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from trayapp.oauth.wire import is_loopback
from trayapp.proxy import exchange
from trayapp.proxy.exchange import Sent, UpstreamResponse
from trayapp.proxy.headers import Headers
from trayapp.proxy.mapping import UpstreamUrl

KEEP = 4.0  # s; shorter than servers keep an idle connection (Node and uvicorn: 5 s), so they never close first
PROBE_AFTER, PROBE_EVERY, PROBES = 30, 10, 3  # s, s: an upstream that vanished without a word is noticed in a minute


class ProxyUnusable(Exception):  # noqa: N818 - says what is so
    """The environment names a proxy that cannot be used; the text is a sentence without its address."""


@dataclass(slots=True, eq=False)
class UpstreamPool:
    """A pool, the way to each upstream, by origin, and how many requests are under way."""

    connector: aiohttp.TCPConnector
    ways: dict[str, aiohttp.ClientRequest] = field(default_factory=dict)
    users: int = 0
    retired: bool = False


class Upstreams:
    """Belongs to the server's loop. `certificates` makes the TLS context, at the first https upstream."""

    def __init__(self, certificates: Callable[[], Awaitable[ssl.SSLContext]]) -> None:
        self._certificates = certificates
        self._context: ssl.SSLContext | None = None
        self._line: UpstreamPool | None = None
        self._retired: set[UpstreamPool] = set()

    def take(self) -> UpstreamPool:
        """The line for one request; give it back by `give`."""
        if self._line is None:
            self._line = UpstreamPool(_connector())
        self._line.users += 1
        return self._line

    async def give(self, line: UpstreamPool) -> None:
        """The request is over."""
        line.users -= 1
        if line.retired and not line.users:
            self._retired.discard(line)
            await line.connector.close()

    async def open(
        self, line: UpstreamPool, method: str, where: UpstreamUrl, url: str, headers: Headers, body: Sent
    ) -> UpstreamResponse:
        """Send one request; its answer as soon as its headers are here. Redirects are not followed.

        Raises what `exchange.ask` does, or `ProxyUnusable`.
        """
        way = line.ways.get(where.origin) or await self._way(line, where)
        return await exchange.ask(line.connector, way, method, url.removeprefix(where.origin), headers, body)

    async def _way(self, line: UpstreamPool, where: UpstreamUrl) -> aiohttp.ClientRequest:
        """Where a connection leads to, in the connector's words; a change of the network forgets it."""
        tls: ssl.SSLContext | bool = True
        if where.scheme == "https":
            if self._context is None:
                self._context = await self._certificates()
            tls = self._context
        proxy = await _proxy_for(where)
        way = aiohttp.ClientRequest("GET", URL(where.origin, encoded=True), ssl=tls, proxy=proxy)
        line.ways[where.origin] = way
        return way

    async def renew(self) -> None:
        """The network is another one, or the machine slept: nothing that is idle is used again."""
        line, self._line = self._line, None
        if line is None:
            return
        if line.users:
            line.retired = True
            self._retired.add(line)
        else:
            await line.connector.close()

    async def close(self) -> None:
        """End every connection."""
        lines = [*self._retired, *([self._line] if self._line else [])]
        self._line = None
        self._retired.clear()
        for line in lines:
            await line.connector.close()


def _connector() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP, socket_factory=_socket)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """TCP keep-alive: an event stream whose upstream vanished ends, as its client cannot notice."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, (PROBE_AFTER, PROBE_EVERY, PROBES), strict=True):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


async def _proxy_for(where: UpstreamUrl) -> URL | None:
    """What HTTPS_PROXY and NO_PROXY, or the system's settings, say; nothing for this machine."""
    if is_loopback(where.host):
        return None
    found = await asyncio.to_thread(_configured_proxy, where)  # Windows may look names up for it
    if not found:
        return None
    try:
        proxy = URL(found if "://" in found else f"http://{found}")
    except ValueError:
        raise ProxyUnusable("The proxy address of the environment (HTTPS_PROXY) is not an address.") from None
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise ProxyUnusable("The environment (HTTPS_PROXY) names a proxy that is not an http proxy.")
    return proxy


def _configured_proxy(where: UpstreamUrl) -> str:
    proxies = getproxies()
    proxy = proxies.get(where.scheme) or proxies.get("all") or ""
    return "" if proxy and proxy_bypass(f"{where.host}:{where.port}") else proxy
