"""Token requests byte for byte: what authlib's own client builds, and nothing that should not be there."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2 import client as authlib_client

from tests.oauth.tls import bare_wire
from tests.raw_server import http_response, raw_server, respond_and_hang, respond_with
from trayapp.core.model import Login, Secret
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.tokens import CodeGrant, HttpTokens, exchange_request, refresh_request, revoke_request
from trayapp.oauth.wire import Request

ENDPOINT = "https://auth.test/token?tenant=1"
REVOKE = "https://auth.test/revoke"
CANARY = "rt/canary+3f9a51c0=="
VERIFIER = "v" * 64
REDIRECT = "http://127.0.0.1:8123/callback/x"
METHODS = ["none", "client_secret_basic", "client_secret_post"]


def credentials(method: str) -> dict[str, Secret]:
    if method == "none":
        return {}
    registration = Secret(json.dumps({"token_endpoint_auth_method": method}))
    return {"client_secret": Secret("s3cret"), "registration": registration}


def login(method: str = "none", **more: Any) -> Login:
    made = credentials(method) | more
    return Login(1, "l", Secret(CANARY), 0.0, ENDPOINT, "the-client", revocation_endpoint=REVOKE, **made)


def code(method: str = "none", **more: Any) -> CodeGrant:
    return CodeGrant(
        ENDPOINT, "the-client", Secret("c0de"), Secret(VERIFIER), REDIRECT, resource="https://mcp.test/",
        **(credentials(method) | more),
    )  # fmt: skip


async def authlibs(what: str, method: str) -> httpx2.Request:
    """What authlib's full client sends."""
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"access_token": "a", "token_type": "Bearer"})

    client = AsyncOAuth2Client(
        "the-client",
        "s3cret" if method != "none" else None,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        code_challenge_method="S256",
        transport=httpx2.MockTransport(answer),
    )
    async with client:
        if what == "refresh":
            await client.refresh_token(ENDPOINT, refresh_token=CANARY)
        elif what == "code":
            await client.fetch_token(
                ENDPOINT,
                grant_type="authorization_code",
                code="c0de",
                redirect_uri=REDIRECT,
                code_verifier=VERIFIER,
                resource="https://mcp.test/",
            )
        else:
            await client.revoke_token(REVOKE, token=CANARY, token_type_hint="refresh_token")
    return sent[0]


def ours(what: str, method: str) -> Request:
    if what == "code":
        return exchange_request(code(method))
    return refresh_request(login(method)) if what == "refresh" else revoke_request(login(method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", ["refresh", "code", "revoke"])
async def test_requests_are_authlibs_own(what: str, method: str) -> None:
    """Method, address, body and client authentication are the same, byte for byte."""

    expected, got = await authlibs(what, method), ours(what, method)

    assert (expected.method, str(expected.url), expected.content) == (got.method, got.url, got.body.encode())
    assert expected.headers.get("authorization") == got.headers.get("Authorization")
    assert expected.headers["content-type"].partition(";")[0] == got.headers["Content-Type"].partition(";")[0]


def test_a_refresh_says_no_more_than_needed() -> None:
    """Grant, token and client; never the scope, though the login knows it."""

    body = refresh_request(login(scope="read offline_access")).body

    assert [("grant_type", "refresh_token"), ("refresh_token", CANARY), ("client_id", "the-client")] == parse_qsl(body)


def test_the_resource_is_sent_again() -> None:
    """RFC 8707: a login that was made for one resource is refreshed for it."""

    assert ("resource", "https://mcp.test/") in parse_qsl(refresh_request(login(resource="https://mcp.test/")).body)


def test_a_secret_without_a_registration_goes_as_basic() -> None:
    """The method that every server must know (RFC 6749 section 2.3.1)."""

    request = refresh_request(login(client_secret=Secret("s3cret")))

    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"the-client:s3cret").decode()
    assert "s3cret" not in request.body


@pytest.mark.parametrize("registration", ["", "{", "[]", '{"token_endpoint_auth_method":"private_key_jwt"}'])
def test_an_odd_registration_falls_back_to_basic(registration: str) -> None:
    """What is damaged or unknown to us changes nothing."""

    request = refresh_request(login(client_secret=Secret("s3cret"), registration=Secret(registration)))

    assert "Authorization" in request.headers


def test_basic_is_form_encoded_first() -> None:
    """RFC 6749 section 2.3.1: a colon or a per cent sign in a part survives."""

    request = refresh_request(login(client_secret=Secret("p:q%+ ü")))
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic "))

    assert b"the-client:p%3Aq%25%2B+%C3%BC" == pair


def test_one_clients_secret_does_not_reach_the_next() -> None:
    """authlib signs its module-wide default headers in place; ours are made anew each time."""

    exchange_request(code("client_secret_basic"))

    assert "Authorization" not in exchange_request(code()).headers
    assert "Authorization" not in authlib_client.DEFAULT_HEADERS


def test_nothing_shows_a_secret() -> None:
    """Neither the login, the code nor the request tells it in its repr."""

    shown = repr([login("client_secret_basic"), code("client_secret_post"), refresh_request(login())])

    for secret in (CANARY, "s3cret", "c0de", VERIFIER):
        assert secret not in shown


# --- exchange and revoke on a socket ----------------------------------------------------------------------------------


async def test_an_exchange_carries_code_and_verifier() -> None:
    """The raw answer comes back as with a refresh."""

    async with raw_server(respond_with(http_response("400 Bad Request", b'{"error":"invalid_grant"}'))) as server:
        one = CodeGrant(f"http://127.0.0.1:{server.port}/t", "c", Secret("c0de"), Secret(VERIFIER), REDIRECT)
        reply = await HttpTokens(bare_wire()).exchange(one)

    assert isinstance(reply, Answer)
    assert (400, b'{"error":"invalid_grant"}') == (reply.status, reply.body)
    assert f"code_verifier={VERIFIER}".encode() in server.received


async def test_a_code_is_sent_to_safe_addresses_only() -> None:
    """A code is as good as a token."""

    one = CodeGrant("http://auth.test/t", "c", Secret("c0de"), Secret(VERIFIER), REDIRECT)

    reply = await HttpTokens(bare_wire()).exchange(one)

    assert isinstance(reply, Fault)
    assert (False, "request") == (reply.sent, reply.kind)


@pytest.mark.parametrize(("status", "confirmed"), [("200 OK", True), ("503 Busy", False), ("400 Bad Request", False)])
async def test_revoking(status: str, confirmed: bool) -> None:
    """True only if the server confirmed it."""

    async with raw_server(respond_with(http_response(status))) as server:
        one = Login(
            1, "l", Secret(CANARY), 0, "https://a.test/", "c", revocation_endpoint=f"http://127.0.0.1:{server.port}/r"
        )
        assert confirmed is await HttpTokens(bare_wire()).revoke(one)

    assert b"token_type_hint=refresh_token" in server.received
    assert b"POST /r HTTP/1.1\r\n" in server.received


async def test_revoking_a_login_without_refresh_token() -> None:
    """The access token is what there is to revoke, and is called by its kind."""

    async with raw_server(respond_with(http_response("200 OK"))) as server:
        where = f"http://127.0.0.1:{server.port}/r"
        one = Login(
            1, "l", Secret(""), 0, "https://a.test/", "c", revocation_endpoint=where, access_token=Secret("at-canary")
        )
        assert await HttpTokens(bare_wire()).revoke(one)

    assert b"token=at-canary&" in server.received
    assert b"token_type_hint=access_token" in server.received


async def test_revoking_without_an_endpoint_or_an_answer() -> None:
    """Best effort: False, in time, and no exception."""

    async with raw_server(respond_and_hang(b"")) as server:
        for endpoint in ("", "http://far.test/", f"http://127.0.0.1:{server.port}/r"):
            one = Login(1, "l", Secret(CANARY), 0, "https://a.test/", "c", revocation_endpoint=endpoint)
            assert not await HttpTokens(bare_wire()).revoke(one, limit=0.1)
        odd = Login(1, "l", Secret("\ud800"), 0, "https://a.test/", "c", revocation_endpoint="https://a.test/")
        assert not await HttpTokens(bare_wire()).revoke(odd)
