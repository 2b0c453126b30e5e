"""The proxy before an upstream that wants more than the token grants, or rejects a token that can't be renewed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engine.engines import keystore_with, login_of, with_policy
from tests.proxy.mcp_upstream import McpServer
from tests.proxy.proxied_engine import ProxiedEngine, proxied_engine
from tests.proxy.proxying import proxied, token, upstream
from tests.proxy.test_mcp_with_engine import McpClient
from trayapp.core.model import Secret
from trayapp.core.notices import ShownNotices, notices
from trayapp.core.permission import NAMES_MAX, Needs
from trayapp.oauthtest import OAuthServer
from trayapp.proxy.challenges import challenge_of

WRITE = 'Bearer error="insufficient_scope", scope="mcp write", resource_metadata="https://x.example/prm"'
QUICK = with_policy(rejected_spacing=0.3)
CALL = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a"}}'


@dataclass
class Upstream:
    """Answers every request with this status and these challenges, or 200 to a token that suffices."""

    status: int = 403
    challenges: list[str] = field(default_factory=lambda: [WRITE])
    suffices: str = "no such token"
    tokens: list[str] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        shown = request.headers["Authorization"].removeprefix("Bearer ")
        self.tokens.append(shown)
        if shown == self.suffices:
            return web.json_response({"done": True})
        response = web.json_response({"error": "from the upstream"}, status=self.status)
        for challenge in self.challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response


# --- the challenge ---------------------------------------------------------------------------------------------------


def read(status: int, *challenges: str) -> Any:
    from multidict import CIMultiDict, CIMultiDictProxy

    return challenge_of(status, CIMultiDictProxy(CIMultiDict(("WWW-Authenticate", each) for each in challenges)))


@pytest.mark.parametrize(
    ("challenges", "needs"),
    [
        ([WRITE], Needs(True, ("mcp", "write"))),
        (['Basic realm="x", Bearer error="insufficient_scope", scope="a"'], Needs(True, ("a",))),
        (
            ['Bearer error="insufficient_scope", scope="a", DPoP error="insufficient_scope", scope="b"'],
            Needs(True, ("a", "b")),
        ),
        (
            ['Bearer error="insufficient_scope", scope="a"', 'Bearer error="insufficient_scope", scope="b"'],
            Needs(True, ("a", "b")),
        ),
        (["Bearer error=insufficient_scope"], Needs(True)),
        ([", ".join([f'Bearer error="insufficient_scope", scope="s{n}"' for n in range(5000)])], None),
        (['Digest error="insufficient_scope", scope="a"'], None),
        (['Bearer realm="x"'], None),
        (['\\",,=="Bearer'], None),
        ([], None),
    ],
)
def test_the_challenges_of_a_403(challenges: list[str], needs: Needs | None) -> None:
    """Those for Bearer count, however many there are; anything else passes as it came."""

    found = read(403, *challenges)
    if challenges and len(challenges[0]) > 10_000:  # cut, and bounded
        assert NAMES_MAX == len(found.needs.scopes)
    else:
        assert needs == (None if found is None else found.needs)


def test_the_challenges_of_a_401() -> None:
    """It is about the token unless it says otherwise; the code is cut."""

    assert ("", None) == (read(401).code, read(401).needs)
    assert "invalid_token" == read(401, 'Bearer realm="x", error="invalid_token"').code
    assert 64 == len(read(401, f'Bearer error="{"x" * 1000}"').code)
    assert read(401, 'Bearer error="insufficient_user_authentication", max_age="5"').needs.authentication
    assert read(200, WRITE) is None
    both = read(401, f'{WRITE}, Bearer error="invalid_token"')
    assert ("invalid_token", None) == (both.code, both.needs)


# --- a plain request -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 401])
async def test_the_caller_is_told_what_is_missing(tmp_path: Path, status: int) -> None:
    """403 with the sentence, whichever status carried the challenge; no challenge and no refresh."""

    there = Upstream(status)
    async with upstream(there) as server, proxied(server.url, tmp_path) as site:
        answered, body, head = await site.ask("POST", data=b"{}")

    assert (403, "permission_needed", "one needs more.") == (
        answered,
        json.loads(body)["error"],
        json.loads(body)["help"],
    )
    assert "WWW-Authenticate" not in head
    assert ([], [Needs(True, ("mcp", "write"))], 1) == (site.tokens.rejections, site.tokens.lacking, len(there.tokens))


@pytest.mark.parametrize("challenges", [[], ['Bearer realm="x"'], ['Bearer error="access_denied"'], ["junk,,="]])
async def test_another_403_passes_as_it_comes(tmp_path: Path, challenges: list[str]) -> None:
    """The upstream's own words reach the client, except for the challenge."""

    async with upstream(Upstream(challenges=challenges)) as server, proxied(server.url, tmp_path) as site:
        status, body, head = await site.ask("GET")

    assert (403, {"error": "from the upstream"}) == (status, json.loads(body))
    assert "WWW-Authenticate" not in head
    assert [] == site.tokens.lacking


async def test_a_newer_token_is_tried_first(tmp_path: Path) -> None:
    """The person has just granted it: the request that was under way is sent once more."""

    there = Upstream(suffices=token(2).value.reveal())
    async with upstream(there) as server, proxied(server.url, tmp_path) as site:
        site.tokens.answer = token(1)

        async def signed_in_meanwhile(name: str, *, counts: bool = True) -> Any:
            first, site.tokens.answer = site.tokens.answer, token(2)
            return first

        site.tokens.token = signed_in_meanwhile  # type: ignore[method-assign]
        status, body, _ = await site.ask("POST", data=b"{}")

    assert (200, {"done": True}) == (status, json.loads(body))
    assert [token(1).value.reveal(), token(2).value.reveal()] == there.tokens


# --- with the engine -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def engine(there: Any, path: Path, server: OAuthServer, **more: Any) -> AsyncIterator[ProxiedEngine]:
    async with upstream(there) as found, proxied_engine(server, f"{found.url}/mcp", path, QUICK, **more) as site:
        yield site


async def test_the_workload_keeps_running_and_a_sign_in_adds_the_scope(tmp_path: Path) -> None:
    """From the 403 to the request that works: shown, asked for as the union, and gone."""

    there = Upstream()
    with OAuthServer() as server:
        async with engine(there, tmp_path, server) as site:
            world = site.world
            await world.green()
            status, body, _ = await site.ask()
            assert 403 == status
            assert "one needs additional permission: write. Choose Reauthorize" in json.loads(body)["help"]
            view = await world.becomes("running permission_needed")
            assert (("write",), ("mcp", "write")) == (view.auth.missing_scopes, view.auth.reauthorize_scopes)
            assert 1 == server.count("token")

            assert isinstance(await world.engine.sign_ins.begin("one", browser=True, accept=False), str)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert {"mcp", "write"} == set(held.scope.split())
            there.suffices = world.w().access.value.reveal()  # type: ignore[union-attr]
            assert 200 == (await site.ask())[0]


async def test_a_server_that_quotes_the_token_is_not_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the client's answer nor what is shown holds a piece of it."""

    class Quoting(Upstream):
        async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
            shown = request.headers["Authorization"].removeprefix("Bearer ")
            self.challenges = [f'Bearer error="insufficient_scope", scope="{shown} x{shown[:20]} write"']
            return await super().__call__(request)

    there = Quoting()
    with OAuthServer(canary="canary-quoted") as server:
        async with engine(there, tmp_path, server) as site:
            await site.world.green()
            _, body, _ = await site.ask()
            view = await site.world.becomes("running permission_needed")
            assert ("write",) == view.auth.missing_scopes
            url = await site.world.engine.sign_ins.begin("one", browser=False, accept=False)
    for said in (body.decode(), repr(view), str(url), caplog.text):
        assert there.tokens[0][:20] not in said


async def test_declining_keeps_the_login(tmp_path: Path) -> None:
    """The old scopes still work, and what is missing stays shown."""

    with OAuthServer(consent="deny") as server:
        async with engine(Upstream(), tmp_path, server) as site:
            world = site.world
            await world.green()
            before = await world.stored()
            await site.ask()
            assert isinstance(await world.engine.sign_ins.begin("one", browser=True, accept=False), str)
            await world.until(lambda: world.view().auth.sign_in_error is not None, "the refusal")
            assert before == await world.stored()
            assert "running permission_needed" == world.status()


async def test_a_stronger_sign_in_reaches_the_authorization_request(tmp_path: Path) -> None:
    """RFC 9470: the parameters of the challenge are those of the request."""

    there = Upstream(401, ['Bearer error="insufficient_user_authentication", acr_values="mfa hw", max_age="60"'])
    with OAuthServer() as server:
        async with engine(there, tmp_path, server) as site:
            world = site.world
            await world.green()
            status, body, _ = await site.ask()
            assert (403, "one needs a stronger sign-in.") == (status, json.loads(body)["help"][:29])
            await world.becomes("running stronger_sign_in")
            assert 1 == server.count("token")
            url = await world.engine.sign_ins.begin("one", browser=False, accept=False)
            assert isinstance(url, str)
            assert "acr_values=mfa+hw" in url
            assert "max_age=60" in url


async def test_many_such_requests_are_one_notice_and_no_refresh(tmp_path: Path) -> None:
    """Each with another scope: the state is bounded, the history has one row, and nobody is asked twice."""

    class Greedy(Upstream):
        async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
            self.challenges = [f'Bearer error="insufficient_scope", scope="s{len(self.tokens)}"']
            return await super().__call__(request)

    with OAuthServer() as server:
        async with engine(Greedy(), tmp_path, server) as site:
            world = site.world
            await world.green()
            memory, shown = ShownNotices(), 0
            for _ in range(10):
                assert {403} == {status for status, _, _ in await asyncio.gather(*(site.ask() for _ in range(20)))}
                memory, notes, _ = notices(memory, world.engine.snapshot(), frozenset(), 0.0)
                shown += len(notes)
            needs = world.w().needs
            assert needs is not None
            assert (1, NAMES_MAX, 1) == (shown, len(needs.scopes), server.count("token"))


async def test_an_mcp_client_keeps_its_session(tmp_path: Path) -> None:
    """The call is an error result with the sentence; lists and other calls still work."""

    mcp = McpServer()

    async def there(request: web.BaseRequest) -> web.StreamResponse:
        if b"tools/call" in await request.read():
            return web.json_response({}, status=403, headers={"WWW-Authenticate": WRITE})
        return await mcp.handle(request)

    with OAuthServer() as server:
        async with engine(there, tmp_path, server) as site:
            await site.world.green()
            client = McpClient(site)
            await client.connect()
            for _ in range(2):
                said = await client.call()
                assert said.startswith("one needs additional permission: write. Choose Reauthorize")
                assert "reconnecting" not in said
            assert "result" in await client.request("tools/list")
            assert "running permission_needed" == site.world.status()


# --- a token that can't be renewed -----------------------------------------------------------------------------------


async def access_only(server: OAuthServer) -> Any:
    """A keyring with such a login."""
    usual = login_of(server)
    kept = replace(usual, refresh_token=Secret(""), access_token=Secret("canary-kept"))
    return await keystore_with(("one", kept))


async def test_one_401_is_doubt_and_the_second_is_red(tmp_path: Path) -> None:
    """Between them the same token is served; the client reads what happened, and never a 401."""

    there = Upstream(401, ['Bearer error="invalid_token"'])
    with OAuthServer() as server:
        async with engine(there, tmp_path, server, keystore=await access_only(server)) as site:
            world = site.world
            await world.green()
            for _ in range(3):
                status, body, head = await site.ask()
                assert (502, "upstream_rejects") == (status, json.loads(body)["error"])
                assert "(401)" in json.loads(body)["help"]
                assert "WWW-Authenticate" not in head
            assert "running ok" == world.status()
            await asyncio.sleep(QUICK.rejected_spacing)
            status, body, _ = await site.ask()
            assert (503, "reauth_required") == (status, json.loads(body)["error"])
            await world.becomes("unauthenticated refused")
            sent = len(there.tokens)
            assert 503 == (await site.ask())[0]
            assert (sent, 0) == (len(there.tokens), server.count("token"))


async def test_a_2xx_between_two_401s_clears_the_doubt(tmp_path: Path) -> None:
    """A server's mistake costs no login."""

    there = Upstream(401, ['Bearer error="invalid_token"'])
    with OAuthServer() as server:
        async with engine(there, tmp_path, server, keystore=await access_only(server)) as site:
            await site.world.green()
            assert 502 == (await site.ask())[0]
            there.suffices = "canary-kept"
            assert 200 == (await site.ask())[0]
            there.suffices = ""
            await asyncio.sleep(QUICK.rejected_spacing)
            assert 502 == (await site.ask())[0]
            assert "running ok" == site.world.status()


async def test_401s_without_a_code_are_the_services_affair(tmp_path: Path) -> None:
    """Unhealthy after three, with the token still served: a 2xx makes it well."""

    there = Upstream(401, [])
    with OAuthServer() as server:
        async with engine(there, tmp_path, server, keystore=await access_only(server)) as site:
            await site.world.green()
            for _ in range(3):
                assert 502 == (await site.ask())[0]
                await asyncio.sleep(QUICK.rejected_spacing)
            await site.world.becomes("unhealthy upstream_rejects")
            there.suffices = "canary-kept"
            assert 200 == (await site.ask())[0]
            await site.world.green()
