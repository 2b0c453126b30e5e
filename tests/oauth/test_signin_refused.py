"""Sign-ins that bring no login: refused by the server, answered by another issuer, or unusable."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.oauth.attempts import endpoints_of, quiet_log, sign_in
from tests.oauth.authserver import auth_server
from trayapp.core.model import Problem, Spec
from trayapp.engine.ports import NewLogin

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("access_denied", "denied", "You declined, or the server denied access."),
        ("invalid_scope", "request", "scopes"),
        ("server_error", "request", "later"),
        ("made_up_by_them", "denied", "made_up_by_them"),
        ("<script>", "denied", "refused"),
    ],
)
async def test_an_error_with_the_right_state_ends_the_attempt(error: str, kind: str, words: str) -> None:
    """In plain words; its own description is never shown."""

    async with auth_server(error=error, answer={"error_description": "<b>ring me</b>"}) as server:
        result = await sign_in(server)

    assert isinstance(result, Problem)
    assert kind == result.kind
    assert words in result.summary
    assert "ring me" not in result.summary
    assert "<" not in result.summary
    assert [] == server.exchanged


async def test_the_right_issuer_is_accepted() -> None:
    """RFC 9207: promised, there, and equal."""

    async with auth_server(metadata={"authorization_response_iss_parameter_supported": True}) as server:
        server.answer = {"iss": server.issuer}

        assert isinstance(await sign_in(server), NewLogin)


@pytest.mark.parametrize("promised", [True, False])
@pytest.mark.parametrize("error", ["", "access_denied"])
async def test_another_issuer_ends_the_attempt(promised: bool, error: str) -> None:
    """A mix-up: the code of a stranger goes nowhere, and neither does its error count as an answer."""

    knobs: dict[str, Any] = {
        "metadata": {"authorization_response_iss_parameter_supported": promised},
        "answer": {"iss": "https://evil.test"},
        "error": error,
    }
    async with auth_server(**knobs) as server:
        result = await sign_in(server)

    assert isinstance(result, Problem)
    assert "request" == result.kind
    assert "came from a different server" in result.summary
    assert [] == server.exchanged


async def test_a_promised_issuer_that_is_missing_ends_the_attempt() -> None:
    """Otherwise an attacker would just leave it out."""

    async with auth_server(metadata={"authorization_response_iss_parameter_supported": True}) as server:
        result = await sign_in(server)

    assert isinstance(result, Problem)
    assert [] == server.exchanged


async def test_without_a_known_issuer_it_is_not_compared() -> None:
    """Configured endpoints only: there is nothing to compare with."""

    async with auth_server(answer={"iss": "https://whoever.test"}) as server:
        assert isinstance(await sign_in(server, endpoints_of(server)), NewLogin)


async def test_no_refresh_token() -> None:
    """The login is the access token, which nobody caps; `expires_in` says when it ends, if it says anything."""

    for life, ends in ((None, None), (0, None), (365 * 86400, 365 * 86400.0), (10**12, None)):
        async with auth_server(grant={"refresh_token": None, "expires_in": life}) as server:
            result = await sign_in(server)

        assert isinstance(result, NewLogin)
        login, access = result.login, result.access
        assert not login.renewable
        assert login.access_token == access.value
        assert ends == (None if login.expires_at is None else login.expires_at - login.obtained_at)
        assert ends == (None if access.expires_at is None else access.expires_at - access.obtained_at)
        assert login.expires_at == access.expires_wall


@pytest.mark.parametrize(
    ("status", "grant", "code"),
    [
        (400, {"error": "invalid_grant"}, "invalid_grant"),
        (401, {"error": "invalid_client"}, "invalid_client"),
        (503, {}, ""),
        (200, {"access_token": None}, ""),
        (200, {"access_token": ""}, ""),
        (200, {"access_token": 5}, ""),
        (403, {"message": "Forbidden"}, ""),
    ],
)
async def test_an_exchange_that_brings_no_token(status: int, grant: dict[str, object], code: str) -> None:
    """Status and code are kept, and the words fit a sign-in."""

    grant = grant if status == 200 else {"access_token": None, "refresh_token": None} | grant
    async with auth_server(token_status=status, grant=grant) as server:
        result = await sign_in(server)

    assert isinstance(result, Problem)
    assert ("exchange", status, code) == (result.kind, result.http_status, result.code)
    assert "no longer" not in result.summary


async def test_an_exchange_without_an_answer() -> None:
    """The token endpoint is down."""

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with auth_server() as server:
            spec = Spec(
                "github", "", client_id="c", authorization_endpoint=f"{server.base}/authorize",
                token_endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}/token",
            )  # fmt: skip
            result = await sign_in(server, spec)

    assert isinstance(result, Problem)
    assert "exchange" == result.kind
    assert "refused" in result.summary
