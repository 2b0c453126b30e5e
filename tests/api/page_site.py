"""A server with dashboard pages, two clocks that a test moves, and an HTTP client without a key."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.api.scripted_control import FakeControl
from trayapp.api import api
from trayapp.api.pagekeys import PageKeys
from trayapp.api.pages import Pages
from trayapp.server.server import LoopbackServer

BASE = "/api/v1beta"
WALL = 1_800_000_000.0
FILES = {
    "index.html": b"<!doctype html><script src=/web/app.js></script>",
    "app.js": b"let one = 1;",
    "style.css": b"a { color: red }",
    "icon.svg": b"<svg/>",
}


@dataclass
class Clock:
    """A monotonic and a wall clock that a test moves."""

    now: float = 100.0
    wall: float = WALL

    def keys(self, path: Path | None = None) -> PageKeys:
        return PageKeys(path, now=lambda: self.now, wall=lambda: self.wall)


@dataclass
class Site:
    """A running server with pages. Requests go out without a key unless one is given."""

    server: LoopbackServer
    client: aiohttp.ClientSession
    clock: Clock
    control: FakeControl
    keys: PageKeys
    allowed_users: list[int]
    restart: Any = field(default=None)

    @property
    def own(self) -> dict[str, str]:
        return {"Origin": self.server.url}

    async def ask(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any, Any]:
        async with self.client.request(method, self.server.url + path, allow_redirects=False, **kwargs) as response:
            body = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if body and is_json else body, response.headers

    async def link(self, key: str | None = None) -> str:
        """The token of a new one-time link, as a program with the API key gets it."""
        shown = key or self.server.api_key.reveal()
        status, body, _ = await self.ask("POST", f"{BASE}/dashboard", headers={"Authorization": f"Bearer {shown}"})
        assert status == 200
        url = body["url"]
        assert url.startswith(f"{self.server.url}/#once=")
        return str(url.partition("#once=")[2])

    async def trade(self, token: str, **headers: str) -> tuple[int, Any]:
        status, body, _ = await self.ask(
            "POST",
            f"{BASE}/session",
            json={"once": token},
            headers=self.own | {k.replace("_", "-"): v for k, v in headers.items()},
        )
        return status, body

    async def key(self) -> str:
        """The key of a newly opened page."""
        status, body = await self.trade(await self.link())
        assert status == 200
        return str(body["key"])

    async def listing(self, key: str, **headers: str) -> int:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await self.ask("GET", f"{BASE}/workloads", headers={"Authorization": f"Bearer {key}"} | more))[0]


def write_page(tmp_path: Path) -> Path:
    """A directory with a page in it."""
    made = tmp_path / "web"
    made.mkdir()
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    return made


@contextlib.asynccontextmanager
async def page_site(tmp_path: Path, web: Path) -> AsyncIterator[Site]:
    """A server that serves the files of `web`, over a scripted `Control`."""
    clock, control = Clock(), FakeControl()
    allowed_users: list[int] = []

    async def start(port: int = 0) -> tuple[LoopbackServer, PageKeys]:
        keys = clock.keys(tmp_path / "run" / "pages.json")
        server = LoopbackServer(
            port=port,
            runtime_dir=tmp_path / "run",
            version="1",
            routes=api.routes(control, version="1", page_keys=keys),
            open_routes=api.open_routes(keys),
            pages=Pages(web).routes(),
            page_key=keys.admits,
            allowed_users=lambda: allowed_users,
        )
        await server.start()
        return server, keys

    server, keys = await start()
    async with aiohttp.ClientSession() as client:
        made = Site(server, client, clock, control, keys, allowed_users)

        async def restart() -> None:
            await made.server.close()
            made.server, made.keys = await start(made.server.port)

        made.restart = restart
        yield made
    await made.server.close()
