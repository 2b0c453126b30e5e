"""Where the upstreams are reached: one connection pool for all workloads, created by the first request.

aiohttp rather than httpx2, which the token requests use: it is several times faster for many small requests. Idle
connections are kept for a few seconds only, and none outlives a network change or a sleep. A request on a connection
that died meanwhile would hang, or fail although the upstream is well, and must not be sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from trayapp.oauth.wire import is_loopback
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.proxy.pool import Target, UpstreamPool


class ProxyUnusable(Exception):  # noqa: N818 - says what is so
    """The environment names an HTTP proxy that can't be used; the text is a sentence without its address."""


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
            self._pool = UpstreamPool()
        self._pool.users += 1
        return self._pool

    def give_back(self, pool: UpstreamPool) -> None:
        """The request has ended."""
        pool.users -= 1
        if pool.retired and not pool.users:
            self._retired.discard(pool)
            closing = asyncio.ensure_future(pool.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def target(self, pool: UpstreamPool, upstream: UpstreamUrl) -> Target:
        """The connector's description of an upstream, its HTTP proxy included; remembered until the network changes.

        Raises `ProxyUnusable`.
        """
        tls: ssl.SSLContext | bool = True
        if upstream.scheme == "https":
            if self._context is None:
                self._context = await self._certificates()
            tls = self._context
        proxy = await _proxy_for(upstream)
        request = aiohttp.ClientRequest("GET", URL(upstream.origin, encoded=True), ssl=tls, proxy=proxy)
        return pool.targets.setdefault(upstream.origin, Target(request))

    async def renew(self) -> None:
        """The network changed, or the machine slept: no idle connection is used again."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if pool.users:
            pool.retired = True
            self._retired.add(pool)
        else:
            await pool.close()

    async def close(self) -> None:
        """Close every connection, used or not."""
        pools = [*self._retired, *([self._pool] if self._pool else [])]
        self._pool = None
        self._retired.clear()
        for pool in pools:
            await pool.close()
        await asyncio.gather(*self._closing)


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
        raise ProxyUnusable("The proxy address of the environment (HTTPS_PROXY) is not an address.") from None
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise ProxyUnusable("The environment (HTTPS_PROXY) names a proxy that is not an http proxy.")
    return proxy


def _configured_proxy(upstream: UpstreamUrl) -> str:
    proxies = getproxies()
    proxy = proxies.get(upstream.scheme) or proxies.get("all") or ""
    return "" if proxy and proxy_bypass(f"{upstream.host}:{upstream.port}") else proxy
