"""A running sign-in and the browser of the person in front of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.oauth.authserver import ACCESS, CODE, REFRESH, AuthServer
from tests.oauth.tls import bare_wire
from trayapp.core.model import BrowserFault, Moment, Problem, Spec
from trayapp.engine.ports import NewLogin
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.tokens import HttpTokens

NOW = Moment(at=1000.0, awake=500.0, wall=1_700_000_000.0)


class Attempt:
    """A running sign-in and the browser of the person in front of it."""

    def __init__(
        self,
        spec: Spec,
        *,
        browser: bool = False,
        open_url: Callable[[str], bool] | None = None,
        linger: float = 10.0,
        limit: float = 5.0,
        header_limit: float = 1.0,
        clients: ClientRecords | None = None,
        now: Moment = NOW,
    ) -> None:
        wire = bare_wire()
        self.opened: list[str] = []
        self.faults: list[BrowserFault | None] = []  # what came of opening the browser, each time
        self.signin = BrowserSignIn(
            wire,
            HttpTokens(wire),
            clients=clients,
            open_url=open_url or self._open,
            limit=limit,
            linger=linger,
            header_limit=header_limit,
        )
        self.spec = spec
        self.shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(
            self.signin.run(
                spec,
                browser=browser,
                show=self.shown.set_result,
                now=lambda: now,
                browser_fault=self.faults.append,
            )
        )

    def _open(self, url: str) -> bool:
        self.opened.append(url)
        return True

    async def __aenter__(self) -> Attempt:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.signin.close()

    async def url(self) -> str:
        return await asyncio.wait_for(asyncio.shield(self.shown), 3)

    async def redirect_uri(self) -> str:
        return parse_qs(urlsplit(await self.url()).query)["redirect_uri"][0]

    async def state(self) -> str:
        return parse_qs(urlsplit(await self.url()).query)["state"][0]

    async def result(self) -> NewLogin | Problem:
        result = await asyncio.wait_for(self.task, 5)
        assert REFRESH not in repr(result)
        assert ACCESS not in repr(result)
        assert CODE not in repr(result)
        return result

    async def problem(self) -> Problem:
        result = await self.result()
        assert isinstance(result, Problem), result
        assert len(result.summary) <= 200
        return result

    async def login(self) -> NewLogin:
        result = await self.result()
        assert isinstance(result, NewLogin), result
        return result

    async def waits(self) -> bool:
        """Whether the attempt is still waiting for its redirect."""
        await asyncio.sleep(0)
        return not self.task.done() and self.signin.reopen(self.spec.name)


async def browse(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False, verify=False) as client:
        return await client.get(url)


async def get(url: str, method: str = "GET", **kwargs: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, verify=False) as client:
        return await client.request(method, url, **kwargs)


def issuer_of(server: AuthServer, **more: Any) -> Spec:
    return Spec("github", "https://mcp.test/", client_id="the-client", issuer=server.issuer, **more)


def endpoints_of(server: AuthServer, **more: Any) -> Spec:
    return Spec(
        "github", "https://mcp.test/", client_id="the-client",
        authorization_endpoint=f"{server.base}/authorize", token_endpoint=f"{server.base}/token", **more,
    )  # fmt: skip


async def sign_in(server: AuthServer, spec: Spec | None = None) -> NewLogin | Problem:
    """The whole flow with a browser that follows every redirect."""
    async with Attempt(spec or issuer_of(server)) as attempt:
        browser = asyncio.create_task(browse(await attempt.url()))
        result = await attempt.result()
        await browser
        return result


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log line of ours, at any level, holds a token or a code."""
    caplog.set_level(logging.DEBUG, "trayapp")
    yield
    for canary in (ACCESS, REFRESH, CODE):
        assert canary not in caplog.text
