"""A proxy on a real loopback server, with scripted tokens in place of the engine and an upstream of the test's own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.oauth.tls import bare
from trayapp.core.model import AccessToken, Secret, Spec
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.oauth.wire import Wire
from trayapp.proxy.noting import Recorder
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
class FakeTokens:
    """A scripted `TokenSource`: `answer` is returned until it is rejected, `after` from then on."""

    specs: dict[str, Spec] = field(default_factory=dict)
    answer: AccessToken | Unavailable = field(default_factory=token)
    after: AccessToken | Unavailable = field(default_factory=lambda: token(2))
    rejections: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)  # the error code of each
    refusal: Unavailable | None = None  # what a rejected caller is told if no other token can be had
    lacking: list[Needs] = field(default_factory=list)
    acceptances: int = 0
    token_requests: int = 0
    turned_away: int = 0
    whose: str | None = "ann"
    links: list[str] = field(default_factory=list)

    def reauthorize_link(self, name: str) -> str | None:
        return self.links.pop() if self.links else None

    def spec(self, name: str) -> Spec | None:
        return self.specs.get(name)

    async def token(self, name: str, *, counts: bool = True) -> AccessToken | Unavailable:
        assert name in self.specs
        self.token_requests += 1
        self.turned_away += counts and isinstance(self.answer, Unavailable)
        return self.answer

    def account(self, name: str) -> str | None:
        return self.whose

    def peek(self, name: str) -> AccessToken | Unavailable:
        return self.answer

    def rejected(self, name: str, serial: int, code: str) -> Unavailable | None:
        self.rejections.append(serial)
        self.codes.append(code)
        self.answer = self.after
        return self.refusal

    def lacks(self, name: str, serial: int, needs: Needs) -> Unavailable | None:
        self.lacking.append(needs)
        if isinstance(self.answer, AccessToken) and self.answer.serial != serial:
            return None
        return Unavailable(
            "permission_needed",
            Status.RUNNING,
            Detail.PERMISSION_NEEDED,
            1_800_000_000.0,
            None,
            None,
            f"{name} needs more.",
        )

    def accepted(self, name: str) -> None:
        self.acceptances += 1


@dataclass
class Site:
    """The proxy, its server and an HTTP client that shows the key."""

    server: LoopbackServer
    proxy: Proxy
    tokens: FakeTokens
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
        """Status and error code of one of the proxy's own refusals."""
        status, body, _ = await self.ask(method, path, **kwargs)
        return status, json.loads(body)["error"]


@contextlib.asynccontextmanager
async def proxied(
    url: str, directory: Path, *, certificates: Wire | None = None, recorder: Recorder | None = None, **more: Any
) -> AsyncIterator[Site]:
    """A proxy for the workload `one` at this URL."""
    tokens = FakeTokens({NAME: Spec(NAME, url, **more)})
    keys = Keys(directory / "keys.json")
    upstreams = Upstreams((certificates or Wire("0", bare)).tls)
    proxy = Proxy(tokens, keys, upstreams, directory / "mcp", tokens.reauthorize_link, recorder)
    server = LoopbackServer(
        port=0,
        runtime_dir=directory / "run",
        version="0",
        routes=[],
        open_routes=proxy.routes(),
        direct=proxy.direct(),
        allowed_origins=proxy.allowed_origins,
    )
    own = await server.start()
    head = {"Authorization": f"Bearer {keys.key(NAME).reveal()}"}
    try:
        async with aiohttp.ClientSession(own, headers=head, auto_decompress=False) as client:
            yield Site(server, proxy, tokens, keys, client)
    finally:
        proxy.steady.end_streams()
        await server.close()
        await proxy.close()


@dataclass
class Upstream:
    """An aiohttp server that answers with one handler and records the requests."""

    url: str = ""
    requests: list[web.BaseRequest] = field(default_factory=list)

    @property
    def last(self) -> web.BaseRequest:
        return self.requests[-1]


@contextlib.asynccontextmanager
async def upstream(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[Upstream]:
    """Run an upstream on a free port; it answers every path."""
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
