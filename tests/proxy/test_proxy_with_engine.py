"""The proxy over a real engine and a real authorization server: what clients get in good times and bad."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.engine.engines import QUICK, with_policy
from tests.proxy.proxied_engine import ProxiedEngine, proxied_engine
from trayapp.core.presentation import Verb
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
LASTING = with_policy(tick_interval=60.0, tick_jitter=0.0, max_tries=1)  # amber at once, and for a minute
JSON = {"Content-Type": "application/json"}


async def ping(site: ProxiedEngine) -> tuple[int, bytes]:
    status, body, _ = await site.ask(PING, **JSON)
    return status, body


async def test_a_hundred_401s_are_one_refresh(tmp_path: Path) -> None:
    """100 parallel requests with a token that is rejected: one refresh, and all are answered as if nothing had been."""

    with OAuthServer() as server, EchoWorkload(server) as echo:
        async with proxied_engine(server, echo.url, tmp_path, with_policy(rejected_spacing=0.0)) as site:
            await site.world.green()
            assert 1 == server.count("token")
            await ping(site)
            echo.reject_seen()
            answers = await asyncio.gather(*(ping(site) for _ in range(100)))

            assert {200} == {status for status, _ in answers}
            assert all("result" in json.loads(body) for _, body in answers)
            assert 2 == server.count("token")
            assert 101 == echo.count("ok")
            assert 1 <= echo.count("rejected") <= 100


@pytest.mark.alone
async def test_amber_is_fast_and_sends_nothing(tmp_path: Path) -> None:
    """A thousand calls while amber: 503 with the true Retry-After, none to the token endpoint or the upstream; each
    takes milliseconds; once healed the very next request works."""

    with OAuthServer() as server, EchoWorkload(server) as echo:
        server.mode = Mode.FIREWALL
        async with proxied_engine(server, echo.url, tmp_path, LASTING) as site:
            view = await site.world.becomes("auth_retrying")
            attempts = server.count("token")
            assert view.auth.next_attempt_at is not None
            took: list[float] = []
            for _ in range(1000):
                began = time.perf_counter()
                status, body, head = await site.ask(PING, **JSON)
                took.append(time.perf_counter() - began)
                assert (503, "auth_retrying") == (status, json.loads(body)["status"])
                assert abs(int(head["Retry-After"]) - (view.auth.next_attempt_at - time.time())) < 2

            assert sorted(took)[500] < 0.005
            assert sorted(took)[990] < 0.02
            assert (attempts, 0) == (server.count("token"), echo.count())
            server.mode = Mode.SUCCESS
            site.world.do(Verb.RETRY)
            await site.world.becomes("running")
            assert 200 == (await ping(site))[0]


async def test_red_and_stopped(tmp_path: Path) -> None:
    """A refused login is 503 `reauth_required`, a paused workload 503 `stopped` without Retry-After, and no 401 ever."""

    with OAuthServer() as server, EchoWorkload(server) as echo:
        async with proxied_engine(server, echo.url, tmp_path, QUICK) as site:
            await site.world.green()
            site.world.do(Verb.PAUSE)
            await site.world.becomes("stopped")
            status, body, head = await site.ask(PING)
            assert (503, "stopped", None) == (status, json.loads(body)["error"], head.get("Retry-After"))
            site.world.do(Verb.RESUME)
            await site.world.green()
            server.revoke_all()
            site.world.do(Verb.RETRY)
            await site.world.becomes("unauthenticated")
            status, body, head = await site.ask(PING)
            assert (503, "reauth_required", "60") == (status, json.loads(body)["error"], head["Retry-After"])
            assert "WWW-Authenticate" not in head


async def test_an_upstream_that_rejects_everything(tmp_path: Path) -> None:
    """After three fresh tokens in a row were rejected it is 502, refreshes end, and one good answer forgives it all."""

    with OAuthServer() as server, EchoWorkload(server) as echo:
        async with proxied_engine(
            server, echo.url, tmp_path, with_policy(rejected_spacing=0.0, strike_interval=0.6, hot_wait=0.2)
        ) as site:
            await site.world.green()
            echo.reject_all()
            answers = [(await ping(site))[0] for _ in range(4)]
            assert {502, 503} >= set(answers)
            assert 502 == answers[-1]
            await site.world.becomes("unhealthy upstream_rejects")
            asked = server.count("token")
            assert 3 == asked
            assert "upstream_rejects" == json.loads((await ping(site))[1])["error"]
            echo.accept()
            await site.world.until(lambda: server.count("token") > asked, "the one refresh of the interval")
            await site.world.until(lambda: site.world.w().attempt is None)
            assert 200 == (await ping(site))[0]
            assert "running ok" == site.world.status()


@pytest.mark.alone
async def test_tokens_that_expire_under_way(tmp_path: Path) -> None:
    """With tokens of a second, rotating, and one revoked by the way: every one of many requests is answered."""

    with OAuthServer(access_token_lifetime=1.0, grace=5.0) as server, EchoWorkload(server) as echo:
        policy = with_policy(rejected_spacing=0.0)
        async with proxied_engine(server, echo.url, tmp_path, policy) as site:
            await site.world.green()
            end, answers = time.monotonic() + 3.0, []

            async def caller() -> None:
                while time.monotonic() < end:
                    answers.append((await ping(site))[0])
                    await asyncio.sleep(0.01)

            await asyncio.gather(*(caller() for _ in range(4)))
            assert {200} == set(answers)
            assert len(answers) > 50
            assert server.count("token") >= 4


@pytest.mark.linux("getrusage tells what the process holds")
@pytest.mark.parametrize("upload", [True, False])
async def test_streaming_needs_no_memory(tmp_path: Path, upload: bool) -> None:
    """64 MB in either direction pass through a few buffers: what the process holds at most grows by less than 8 MB."""

    import resource

    from tests.proxy.proxying import proxied
    from tests.proxy.streaming import sink_and_source

    size = 64 << 20
    with sink_and_source() as port:
        async with proxied(f"http://127.0.0.1:{port}", tmp_path) as site:

            async def through(amount: int) -> int:
                if upload:
                    return int((await site.ask("PUT", data=_zeros(amount), headers={"Content-Length": str(amount)}))[1])
                got = 0
                async with site.client.get(f"/w/one/{amount}") as answer:
                    async for chunk in answer.content.iter_any():
                        got += len(chunk)
                return got

            assert 8 << 20 == await through(8 << 20)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert size == await through(size)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert after - before < 8 << 10  # KiB


async def _zeros(amount: int) -> object:
    piece = bytes(1 << 16)
    for _ in range(amount // len(piece)):
        yield piece
