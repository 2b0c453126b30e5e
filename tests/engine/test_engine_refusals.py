"""Final refusals in a provider's own words, over real HTTP: red right away, after one request, and not asked again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.engine.engines import QUICK, World, keystore_with, running
from tests.raw_server import Received, http_response, raw_server, respond_with
from trayapp.core.model import Login, Secret, Spec
from trayapp.core.presentation import Colour

SPENT = {"error": "unauthorized_client", "error_description": "token was already used"}
OWN = "/login/oauth/access_token"


@asynccontextmanager
async def answering(
    tmp_path: Path, path: str, status: str, body: object, kind: str
) -> AsyncIterator[tuple[World, Received]]:
    """A login whose token endpoint always gives this answer."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    async with raw_server(respond_with(http_response(status, data, kind=kind))) as server:
        endpoint = f"http://127.0.0.1:{server.port}{path}"
        login = Login(1, "line", Secret("rt-canary-77c0"), 0.0, endpoint, "c")
        spec = Spec("one", "http://127.0.0.1:9/mcp", client_id="c", token_endpoint=endpoint, policy=QUICK)
        async with running([spec], tmp_path, keystore=await keystore_with(("one", login))) as world:
            yield world, server


@pytest.mark.parametrize(
    ("path", "status", "body", "kind"),
    [
        (OWN, "200 OK", {"error": "bad_refresh_token"}, "application/json"),  # GitHub Enterprise Server
        (OWN, "200 OK", "error=bad_refresh_token&error_description=gone", "application/x-www-form-urlencoded"),
        (OWN, "400 Bad Request", SPENT, "application/json"),  # Gitea, Forgejo
        ("/oauth2/token", "401 Unauthorized", {"error": "token_inactive"}, "application/json"),  # Ory Hydra
        ("/token", "200 OK", {"error": "invalid_grant"}, "application/json"),
        ("/token", "200 OK", "error=invalid_client", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_final_refusal_turns_red_right_away(
    tmp_path: Path, path: str, status: str, body: object, kind: str
) -> None:
    """One request, a verdict, and no second attempt with the refused login."""

    async with answering(tmp_path, path, status, body, kind) as (world, server):
        view = await world.becomes("unauthenticated refused")
        assert Colour.RED == view.colour
        await world.quiet(0.15)
    assert 1 == server.connections


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", {"error": "temporarily_unavailable"}, "application/json"),
        ("200 OK", "<p>error=invalid_grant</p>", "text/html"),
        ("400 Bad Request", {"status": "BAD_REFRESH_TOKEN"}, "application/json"),  # HubSpot's words, not HubSpot
    ],
)
async def test_what_is_no_refusal_is_tried_again(tmp_path: Path, status: str, body: object, kind: str) -> None:
    """Amber, and the login is kept."""

    async with answering(tmp_path, "/token", status, body, kind) as (world, server):
        await world.becomes("auth_retrying")
    assert server.connections > 1
