"""A proxy over a real engine, for tests of the two together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.engine.engines import World, keystore_with, login_of, running, spec_of
from tests.oauth.tls import bare
from trayapp.app.token_source import EngineTokenSource
from trayapp.core.model import Policy
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer
from trayapp.proxy.proxy import Proxy
from trayapp.proxy.upstream import Upstreams
from trayapp.server.keys import Keys
from trayapp.server.server import LoopbackServer


@dataclass
class ProxiedEngine:
    """A running engine with the workload `one`, its proxy, and an HTTP client."""

    world: World
    proxy: Proxy
    server: LoopbackServer
    key: str
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """The address for a client that accepts only a URL: the key is in the path."""
        return f"{self.server.url}/k/{self.key}/w/one"

    @property
    def keyless_url(self) -> str:
        """The address for a client that shows the key in a header."""
        return f"{self.server.url}/w/one"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def ask(self, body: bytes = b"{}", **head: str) -> tuple[int, bytes, Any]:
        """One POST: status, body, headers."""
        async with self.client.post(self.keyless_url, data=body, headers={**self.headers, **head}) as answer:
            return answer.status, await answer.read(), answer.headers


@contextlib.asynccontextmanager
async def proxied_engine(
    server: OAuthServer, url: str, path: Path, policy: Policy, **more: Any
) -> AsyncIterator[ProxiedEngine]:
    """The workload `one` at this URL, already signed in at `server`. Doesn't wait for its first refresh."""
    keystore = more.pop("keystore", None) or await keystore_with(("one", login_of(server)))
    specs = [spec_of(server, policy=policy, url=url)]
    async with running(specs, path, keystore=keystore, **more) as world:
        keys = Keys(path / "keys.json")
        proxy = Proxy(EngineTokenSource(world.engine, world.engine.callers), keys, Upstreams(Wire("0", bare).tls))
        loopback = LoopbackServer(
            port=0,
            runtime_dir=path / "run",
            version="0",
            routes=[],
            open_routes=proxy.routes(),
            direct=proxy.direct(),
            allowed_origins=proxy.allowed_origins,
        )
        await loopback.start()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
                yield ProxiedEngine(world, proxy, loopback, keys.key("one").reveal(), client)
        finally:
            await loopback.close()
            await proxy.close()
