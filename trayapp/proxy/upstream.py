"""Connection pool to the upstreams: one aiohttp connector for all workloads, created by the first request.

aiohttp rather than httpx2, which the token requests use: it is several times faster for many small requests. Idle
connections are kept for a few seconds only, and none outlives a network change or a sleep. A request on a connection
that died meanwhile would hang, or fail although the upstream is well, and must not be sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from trayapp.oauth.wire import is_loopback
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.system import proxies

KEEPALIVE = 4.0  # s; less than servers keep an idle connection (Node and uvicorn: 5 s), so they never close first
PROBE_AFTER, PROBE_EVERY, PROBES = 30, 10, 3  # s, s, number: an upstream that vanished is noticed within a minute


class ProxyUnusable(Exception):  # noqa: N818 - says what is so
    """The environment names an HTTP proxy that can't be used; the text is a sentence without its address."""


@dataclass(slots=True, eq=False)
class UpstreamPool:
    """One generation of pooled connections. `targets` are the upstreams by origin, as the connector wants them.

    A retired pool takes no new requests and is closed by its last user.
    """

    connector: aiohttp.TCPConnector
    targets: dict[str, aiohttp.ClientRequest] = field(default_factory=dict)
    users: int = 0
    retired: bool = False


class Upstreams:
    """The current pool and the retired ones. Belongs to the server's loop.

    `certificates` makes the TLS context; it is called at the first https upstream.
    """

    def __init__(self, certificates: Callable[[], Awaitable[ssl.SSLContext]]) -> None:
        self._certificates = certificates
        self._context: ssl.SSLContext | None = None
        self._pool: UpstreamPool | None = None
        self._retired: set[UpstreamPool] = set()
        self._closing: set[asyncio.Future[None]] = set()

    def take(self) -> UpstreamPool:
        """The pool for one request; return it with `give_back`."""
        if self._pool is None:
            self._pool = UpstreamPool(UpstreamConnector())
        self._pool.users += 1
        return self._pool

    def give_back(self, pool: UpstreamPool) -> None:
        """The request has ended."""
        pool.users -= 1
        if pool.retired and not pool.users:
            self._retired.discard(pool)
            closing = asyncio.ensure_future(pool.connector.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def target(self, pool: UpstreamPool, upstream: UpstreamUrl) -> aiohttp.ClientRequest:
        """The connector's description of an upstream, its HTTP proxy included; remembered until the network changes.

        Raises `ProxyUnusable`.
        """
        tls: ssl.SSLContext | bool = True
        if upstream.scheme == "https":
            if self._context is None:
                self._context = await self._certificates()
            tls = self._context
        proxy = await _proxy_for(upstream)
        target = aiohttp.ClientRequest("GET", URL(upstream.origin, encoded=True), ssl=tls, proxy=proxy)
        pool.targets[upstream.origin] = target
        return target

    async def renew(self) -> None:
        """The network changed, or the machine slept: no idle connection is used again."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if pool.users:
            pool.retired = True
            self._retired.add(pool)
        else:
            await pool.connector.close()

    async def close(self) -> None:
        """Close every connection, used or not."""
        pools = [*self._retired, *([self._pool] if self._pool else [])]
        self._pool = None
        self._retired.clear()
        for pool in pools:
            await pool.connector.close()
        await asyncio.gather(*self._closing)


class UpstreamProtocol(ResponseHandler):
    """aiohttp's protocol of one connection to an upstream."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only what was paused. aiohttp calls this twice a response, and would run the parser over nothing each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)


class UpstreamConnector(aiohttp.TCPConnector):
    """aiohttp's pool, with connections of this protocol."""

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=KEEPALIVE, socket_factory=_socket)
        self._factory = cast("partial[ResponseHandler]", partial(UpstreamProtocol, loop=self._loop))


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Switch on TCP keep-alive, so that an event stream whose upstream vanished ends: its client can't notice."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "win32":  # the options below are Windows 10's, from 2017 on
        with contextlib.suppress(OSError):
            sock.ioctl(socket.SIO_KEEPALIVE_VALS, (1, PROBE_AFTER * 1000, PROBE_EVERY * 1000))
        return sock
    names = ("TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, (PROBE_AFTER, PROBE_EVERY, PROBES), strict=True):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


async def _proxy_for(upstream: UpstreamUrl) -> URL | None:
    """The HTTP proxy that HTTPS_PROXY and NO_PROXY, or the system's settings, name; None for this machine."""
    if is_loopback(upstream.host):
        return None
    found = await asyncio.to_thread(_configured_proxy, upstream)  # may resolve names on Windows
    if not found:
        return None
    try:
        proxy = URL(found if "://" in found else f"http://{found}")
    except ValueError:
        raise ProxyUnusable(f"The proxy in {proxies.source()} isn't a valid URL.") from None
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise ProxyUnusable(f"The proxy in {proxies.source()} isn't an HTTP proxy.")
    return proxy


def _configured_proxy(upstream: UpstreamUrl) -> str:
    return proxies.configured(upstream.scheme, upstream.host, upstream.port)
