"""Client registration at the test server."""

from __future__ import annotations

import json

import pytest

from tests.oauthtest.client import AGENT, REDIRECT, SignIn, ask
from trayapp.oauthtest import OAuthServer


def register(server: OAuthServer, body: object) -> tuple[int, dict[str, object]]:
    got = ask(f"{server.url}/register", "POST", json.dumps(body), {**AGENT, "Content-Type": "application/json"})
    return got.status, got.json()


def test_a_registered_client_signs_in() -> None:
    """The metadata names the endpoint; its answer repeats what was sent and adds the client id."""

    with OAuthServer(registration=True) as server:
        metadata = ask(f"{server.url}/.well-known/oauth-authorization-server").json()
        assert f"{server.url}/register" == metadata["registration_endpoint"]
        status, client = register(server, {"redirect_uris": [REDIRECT], "client_name": "Test"})
        assert (201, {"redirect_uris": [REDIRECT], "client_name": "Test", "client_id": server.client_id}) == (
            status,
            client,
        )
        one = SignIn.new(server)
        redeemed = one.redeem(one.callback(client_id=str(client["client_id"]))["code"]).json()
        assert server.valid_access(redeemed["access_token"])
        assert 1 == server.count("register", outcome="ok")


def test_a_confidential_client_gets_its_secret() -> None:
    """With RFC 7591's mandatory expiry."""

    with OAuthServer(registration=True, client_secret="s") as server:
        status, client = register(server, {"redirect_uris": [REDIRECT]})
        assert (201, "s", 0) == (status, client["client_secret"], client["client_secret_expires_at"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "invalid_client_metadata"),
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri"),
    ],
)
def test_nonsense_is_refused(body: object, error: str) -> None:
    with OAuthServer(registration=True) as server:
        status, answer = register(server, body)
        assert (400, error) == (status, answer["error"])


def test_without_the_option_nobody_registers(oauth_server: OAuthServer) -> None:
    assert "registration_endpoint" not in ask(f"{oauth_server.url}/.well-known/oauth-authorization-server").json()
    assert 404 == ask(f"{oauth_server.url}/register", "POST", "{}").status
