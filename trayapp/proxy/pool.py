"""Connections to the upstreams, opened by aiohttp's connector and kept here while they are idle.

aiohttp's own pool is left out because taking a connection from it is a coroutine: here it is a call, so a request whose
connection is there can be sent within the step of the loop that received it. The connection used last is used next, so that
as few as possible are kept.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

KEEPALIVE = 4.0  # s; less than servers keep an idle connection (Node and uvicorn: 5 s), so they never close first
PROBE_AFTER, PROBE_EVERY, PROBES = 30, 10, 3  # s, s, number: an upstream that vanished is noticed within a minute
CONNECT_LIMIT = 10.0  # s for DNS, TCP, proxy and TLS together. Nothing else has a limit: streams stay silent for hours
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=CONNECT_LIMIT)

T = TypeVar("T")


class UpstreamProtocol(ResponseHandler):
    """aiohttp's protocol, which also calls whoever watches as soon as `read` has something, within the same step of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.watcher: Callable[[], None] | None = None  # called once

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Called by the parser for each response whose headers are here."""
        super().feed_data(data, size)
        self._call_watcher()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Called when no response is to come any more."""
        super().set_exception(exc, *cause)
        self._call_watcher()

    def _call_watcher(self) -> None:
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher()


@dataclass(slots=True, eq=False)
class Target:
    """An upstream as the connector wants it, and its idle connections with the time since when, the one used last at the end."""

    request: aiohttp.ClientRequest
    idle: list[tuple[Connection, float]] = field(default_factory=list)


class UpstreamPool:
    """One generation of connections. `targets` are the upstreams by origin.

    A retired pool takes no new requests and is closed by its last user.
    """

    def __init__(self) -> None:
        self.connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)
        self.connector._factory = cast(Any, partial(UpstreamProtocol, asyncio.get_running_loop()))
        self.targets: dict[str, Target] = {}
        self.users = 0
        self.retired = False
        self._expiry: asyncio.TimerHandle | None = None

    def idle(self, target: Target) -> Connection | None:
        """A connection that is ready for a request; to be given back with `release`, or closed."""
        while target.idle:
            connection, since = target.idle.pop()
            if _ready(connection) and time.monotonic() - since <= KEEPALIVE:
                return connection
            connection.close()
        return None

    async def connect(self, target: Target) -> Connection:
        """A new connection. Raises `aiohttp.ClientError` or `OSError` (`TimeoutError`)."""
        return await self.connector.connect(target.request, [], TIMEOUT)

    def release(self, target: Target, connection: Connection) -> None:
        """Keep a connection for the next request, if its last response was read to the end."""
        if self.connector.closed or not _ready(connection):
            connection.close()
            return
        target.idle.append((connection, time.monotonic()))
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(KEEPALIVE, self._close_expired)

    async def close(self) -> None:
        """Close every connection, used or not. May be called twice."""
        if self._expiry is not None:
            self._expiry.cancel()
        await self.connector.close()
        for target in self.targets.values():
            while target.idle:
                target.idle.pop()[0].close()

    def _close_expired(self) -> None:
        """The oldest idle connection may have expired."""
        self._expiry = None
        now, oldest = time.monotonic(), None
        for target in self.targets.values():
            while target.idle and now - target.idle[0][1] >= KEEPALIVE:
                target.idle.pop(0)[0].close()
            if target.idle:
                oldest = min(target.idle[0][1], oldest or now)
        if oldest is not None:
            delay = max(0.0, oldest + KEEPALIVE - now)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._close_expired)


def _ready(connection: Connection) -> bool:
    """Whether it is open and empty: with something in it that nobody asked for, that would be the next response."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    coroutine.close()
    raise RuntimeError("a coroutine waits that has nothing to wait for")


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Switch on TCP keep-alive, so that an event stream whose upstream vanished ends: its client can't notice."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, (PROBE_AFTER, PROBE_EVERY, PROBES), strict=True):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock
