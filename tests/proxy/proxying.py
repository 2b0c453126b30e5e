"""A proxy on a real loopback server, with a scripted engine behind it and an upstream of the test's own in front."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.oauth.token_requests import bare
from trayapp.core.model import AccessToken, Secret, Spec
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.oauth.wire import Wire
from trayapp.proxy.proxy import Proxy
from trayapp.proxy.upstream import Upstreams
from trayapp.server.keys import Keys
from trayapp.server.server import LoopbackServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NAME = "one"
TOKEN = "canary-access-token"


def unavailable(error: str = "retrying", retry_after: int | None = 7) -> Unavailable:
    return Unavailable(error, Status.AUTH_RETRYING, Detail.RETRYING, 1_800_000_000.0, retry_after, None, "It heals.")


def token(serial: int = 1) -> AccessToken:
    return AccessToken(serial, Secret(f"{TOKEN}-{serial}"), 0.0, None)


@dataclass
class FakeSupply:
    """What it holds is answered. A rejected token is replaced by `after`."""

    specs: dict[str, Spec] = field(default_factory=dict)
    answer: AccessToken | Unavailable = field(default_factory=token)
    after: AccessToken | Unavailable = field(default_factory=lambda: token(2))
    rejections: list[int] = field(default_factory=list)
    acceptances: int = 0
    asked: int = 0

    def spec(self, name: str) -> Spec | None:
        return self.specs.get(name)

    async def token(self, name: str) -> AccessToken | Unavailable:
        assert name in self.specs
        self.asked += 1
        return self.answer

    def peek(self, name: str) -> AccessToken | Unavailable:
        return self.answer

    def rejected(self, name: str, serial: int) -> None:
        self.rejections.append(serial)
        self.answer = self.after

    def accepted(self, name: str) -> None:
        self.acceptances += 1


@dataclass
class Site:
    """Everything that runs: the proxy's server and its parts, and a client that shows the key."""

    server: LoopbackServer
    proxy: Proxy
    supply: FakeSupply
    keys: Keys
    client: aiohttp.ClientSession

    @property
    def key(self) -> str:
        return self.keys.key(NAME).reveal()

    async def ask(self, method: str, path: str = f"/w/{NAME}", **kwargs: Any) -> tuple[int, bytes, Any]:
        """Status, body, headers."""
        async with self.client.request(method, path, allow_redirects=False, **kwargs) as answer:
            return answer.status, await answer.read(), answer.headers

    async def error(self, method: str = "GET", path: str = f"/w/{NAME}", **kwargs: Any) -> tuple[int, str]:
        """Status and error word of an answer of ours."""
        status, body, _ = await self.ask(method, path, **kwargs)
        return status, json.loads(body)["error"]


@contextlib.asynccontextmanager
async def proxied(url: str, directory: Path, *, certificates: Wire | None = None, **more: Any) -> AsyncIterator[Site]:
    """A proxy for the workload `one` at this URL."""
    supply = FakeSupply({NAME: Spec(NAME, url, **more)})
    keys = Keys(directory / "keys.json")
    proxy = Proxy(supply, keys, Upstreams((certificates or Wire("0", bare)).tls))
    server = LoopbackServer(
        port=0,
        runtime_dir=directory / "run",
        version="0",
        routes=[],
        open_routes=proxy.routes(),
        allowed_origins=proxy.allowed_origins,
    )
    own = await server.start()
    head = {"Authorization": f"Bearer {keys.key(NAME).reveal()}"}
    try:
        async with aiohttp.ClientSession(own, headers=head, auto_decompress=False) as client:
            yield Site(server, proxy, supply, keys, client)
    finally:
        await server.close()
        await proxy.close()


@dataclass
class Upstream:
    """An aiohttp server that answers by one handler and keeps what it was asked."""

    url: str = ""
    requests: list[web.BaseRequest] = field(default_factory=list)

    @property
    def last(self) -> web.BaseRequest:
        return self.requests[-1]


@contextlib.asynccontextmanager
async def upstream(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[Upstream]:
    """It answers every path."""
    found = Upstream()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        found.requests.append(request)
        return await handler(request)

    runner = web.ServerRunner(web.Server(handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()
