"""Sign-in, refresh and revocation against the scriptable server, which checks the client throughout."""

from __future__ import annotations

import asyncio

from tests.oauth.attempts import Attempt
from tests.oauth.tls import bare
from trayapp.core.classify import classify
from trayapp.core.model import Login, Problem, Spec
from trayapp.core.outcomes import Refreshed
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer, browse

RESOURCE = "https://mcp.test/"


def spec_of(server: OAuthServer) -> Spec:
    scopes = ("openid", "mail")
    return Spec("mail", RESOURCE, client_id=server.client_id, issuer=server.issuer, scopes=scopes, resource=RESOURCE)


async def test_a_whole_life() -> None:
    """Sign in, rotate twice, revoke: without one violation of a rule."""

    with OAuthServer(subject="alice", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(browse, await attempt.url()))
            new = await attempt.login()
            assert 200 == await tab
        assert server.valid_access(new.access.value.reveal())
        assert "alice" == new.login.subject

        tokens, login = HttpTokens(Wire("0", bare)), new.login
        for _ in range(2):
            outcome = classify(await tokens.refresh(login, limit=5, connect=2))
            assert isinstance(outcome, Refreshed)
            assert server.valid_access(outcome.access_token.reveal())
            login = rotated(login, outcome)
        assert await tokens.revoke(login)
        assert () == server.live_families()


def rotated(login: Login, outcome: Refreshed) -> Login:
    assert outcome.refresh_token is not None
    return login.rotated(outcome.refresh_token, 0.0)


async def test_a_mix_up() -> None:
    """The server sends another issuer: no code is exchanged."""

    with OAuthServer(wrong_iss="https://evil.test", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(browse, await attempt.url()))
            problem = await attempt.problem()
            await tab

        assert isinstance(problem, Problem)
        assert "request" == problem.kind
        assert 0 == server.count("token")


async def test_a_person_who_declines() -> None:
    """Said in plain words."""

    with OAuthServer(consent="deny", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(browse, await attempt.url()))
            problem = await attempt.problem()
            await tab

    assert ("denied", "access_denied") == (problem.kind, problem.code)
