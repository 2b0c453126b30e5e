"""Access tokens that say themselves when they end, from a real token endpoint that doesn't: an ended one reaches nobody."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

from tests.engine.engines import one, with_policy
from trayapp.core.model import AccessToken
from trayapp.core.snapshot import Unavailable
from trayapp.oauthtest import OAuthServer

PATIENT = with_policy(initial_retry_interval=60.0, max_retry_interval=60.0)  # one attempt, then nothing for a minute


def jwt(exp: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': exp, 'sub': 'canary'})}.c2ln"


async def test_an_ended_token_is_handed_to_nobody(tmp_path: Path) -> None:
    """No expires_in, and an exp that has passed: callers are refused, and the next attempt isn't hurried."""

    with OAuthServer(extra={"access_token": jwt(time.time() - 60), "expires_in": ...}) as server:
        async with one(server, tmp_path, PATIENT) as world:
            await world.until(lambda: world.w().failing is not None, "the ended token to be refused")
            answer = await world.engine.token("one", 0.0)
            assert isinstance(answer, Unavailable)
            problem = world.view().auth.last_error
            assert problem is not None
            assert "already expired" in problem.summary
            await world.quiet(0.1)
            assert 1 == server.count("token")


async def test_a_token_that_ends_later_is_served_until_then_and_refreshed_ahead(tmp_path: Path) -> None:
    """exp does what expires_in would have done (M1)."""

    with OAuthServer(extra={"access_token": jwt(time.time() + 600), "expires_in": ...}) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            answer = await world.engine.token("one", 0.0)
            assert isinstance(answer, AccessToken)
            assert answer.expires_at is not None
            assert 590 < answer.expires_at - answer.obtained_at <= 601
            assert world.w().due is not None


async def test_milliseconds_are_no_end(tmp_path: Path) -> None:
    """A number that can't be seconds counts as absent: served until the upstream rejects it, as without any exp."""

    with OAuthServer(extra={"access_token": jwt(int(time.time() * 1000) - 60000), "expires_in": ...}) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            answer = await world.engine.token("one", 0.0)
            assert isinstance(answer, AccessToken)
            assert answer.expires_at is None
            assert world.w().due is None
