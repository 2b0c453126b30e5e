"""Attacks on a sign-in that involve several parties: each is refused, and the real answer still counts."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.oauth.attempts import Attempt, browse, get, issuer_of, quiet_log
from tests.oauth.authserver import CODE, auth_server
from tests.oauth.fake_web import AS, MCP, internet, page, server
from tests.oauth.test_discovery import HOSTILE
from tests.raw_server import http_response, raw_server, respond_and_hang, respond_with
from trayapp.core.model import Problem, Spec
from trayapp.oauth import authorization_plan
from trayapp.oauth.authorization_plan import AuthorizationPlan, Planner
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")

FIELDS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint", "jwks_uri")


async def prepared(web: Wire, url: str = MCP, limit: float = 1.0) -> AuthorizationPlan | Problem:
    """As far as a sign-in gets before anybody is sent anywhere."""
    return await Planner(web, HttpTokens(web), ClientRecords(), limit=limit).prepare_server(
        Spec("github", url), lambda line: None
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("address", "words"), HOSTILE)
async def test_hostile_endpoints(field: str, address: str, words: str) -> None:
    """No endpoint of a far server may be something else than a plain https address of the outside world."""

    found = await prepared(internet(login=page(200, server(**{field: address}))))

    assert isinstance(found, Problem), found
    assert f"The {field} " in found.summary
    assert words in found.summary
    assert "evil" not in found.summary.lower()


@pytest.mark.parametrize(
    "issuer", ["https://evil.example", f"{AS}/tenant", f"{AS}.", "https://LOGIN.example.com", f"{AS}:443", "", None, 5]
)
async def test_metadata_of_another_issuer_is_refused(issuer: object) -> None:
    """The document has to be that of the server that was named, letter by letter."""

    found = await prepared(internet(login=page(200, server(issuer=issuer))))

    assert isinstance(found, Problem), found
    assert "a different issuer than expected" in found.summary


async def test_a_good_server_is_found() -> None:
    """The measure for the tests above: with nothing wrong there is a plan."""

    found = await prepared(internet())

    assert isinstance(found, AuthorizationPlan), found
    assert (AS, MCP) == (found.endpoints.issuer, found.spec.resource)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (respond_with(http_response("200 OK", b'{"a": "' + b"x" * (1 << 20) + b'"}')), "cut off"),
        (respond_and_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "in time"),
        (respond_and_hang(b""), "in time"),
        (
            respond_with(http_response("302 Found", b"", "Location: http://169.254.169.254/latest/meta-data")),
            "no metadata (HTTP 302",
        ),
        (
            respond_with(http_response("302 Found", b"", "Location: http://127.0.0.1:1/")),
            "redirected to 127.0.0.1",
        ),
        (
            respond_with(http_response("200 OK", b"<html>", kind="text/html")),
            "no metadata (HTTP 200, a web page",
        ),
        (respond_with(http_response("200 OK", b"[" * 100_000)), "no metadata (HTTP 200)"),
    ],
)
async def test_hostile_documents(behaviour: Any, words: str) -> None:
    """Huge, slow, silent, redirecting, deep: given up with a sentence, in time and memory that are bounded."""

    async with raw_server(behaviour) as hostile, auth_server() as site:
        site.protected = {"authorization_servers": [f"http://127.0.0.1:{hostile.port}"]}
        wire = Wire("0", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        found = await prepared(wire, f"{site.base}/mcp", limit=0.3)

    assert isinstance(found, Problem), found
    assert words in found.summary
    assert b"latest" not in hostile.received


async def test_slow_documents_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each just within its limit: together they have one of their own."""

    monkeypatch.setattr(authorization_plan, "DISCOVERY_LIMIT", 0.3)
    async with raw_server(respond_and_hang(b"")) as hostile:
        wire = Wire("0", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        found = await prepared(wire, f"http://127.0.0.1:{hostile.port}/mcp", limit=9.0)

    assert isinstance(found, Problem), found
    assert "timed_out" == found.kind
    assert "took too long" in found.summary


async def test_codes_swapped_between_two_sign_ins_are_refused() -> None:
    """Codes swapped between two sign-ins, at each other's listeners: neither takes the other's, both end well."""

    async with (
        auth_server() as server,
        Attempt(issuer_of(server)) as one,
        Attempt(issuer_of(server)) as two,
    ):
        for mine, other in ((one, two), (two, one)):
            query = urlencode({"code": "stolen", "state": await other.state()})
            assert 400 == (await get(f"{await mine.redirect_uri()}?{query}")).status_code
            path = urlsplit(await other.redirect_uri()).path
            at = (await mine.redirect_uri()).replace(urlsplit(await mine.redirect_uri()).path, path)
            assert 404 == (await get(f"{at}?{query}")).status_code
        assert await one.waits()
        assert await two.waits()
        assert [] == server.exchanged
        for attempt in (one, two):
            await browse(await attempt.url())
            await attempt.login()

    assert [CODE, CODE] == [form["code"] for form in server.exchanged]


async def test_the_state_of_a_finished_sign_in_is_refused() -> None:
    """An answer that was good for the sign-in before is worth nothing for this one."""

    async with auth_server() as server:
        async with Attempt(issuer_of(server)) as first:
            state = await first.state()
            await browse(await first.url())
            await first.login()
        async with Attempt(issuer_of(server)) as second:
            query = urlencode({"code": CODE, "state": state})
            assert 400 == (await get(f"{await second.redirect_uri()}?{query}")).status_code
            assert await second.waits()
            await browse(await second.url())
            await second.login()
            used = urlencode({"code": CODE, "state": await second.state()})
            assert second.signin.paste("github", f"{await second.redirect_uri()}?{used}") is not None

    assert 2 == len(server.exchanged)


async def test_a_browser_sent_elsewhere_brings_no_code() -> None:
    """A server that sends the browser elsewhere gets no code from us, and its own is bound to our address (PKCE)."""

    async with auth_server() as server, Attempt(issuer_of(server), limit=0.3) as attempt:
        asked = parse_qs(urlsplit(await attempt.url()).query)
        assert asked["redirect_uri"][0].startswith("http://127.0.0.1:")
        assert ["S256"] == asked["code_challenge_method"]
        evil = f"http://127.0.0.1:1/callback?{urlencode({'code': CODE, 'state': asked['state'][0]})}"
        problem = attempt.signin.paste("github", evil)
        assert problem is not None
        assert "doesn't belong to the current sign-in" in problem.summary
        assert "timed_out" == (await attempt.problem()).kind

    assert [] == server.exchanged


async def test_a_storm_of_favicons() -> None:
    """Browsers ask for icons, extensions ask for everything: 300 of it, and the one answer in between counts."""

    paths = (
        "/favicon.ico",
        "/apple-touch-icon.png",
        "/",
        "/robots.txt",
        "/.well-known/x",
        "/callback",
        "/json/version",
    )

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri, page_url = await attempt.redirect_uri(), await attempt.url()
        origin = uri[: uri.index("/callback")]

        async def storm(number: int) -> int:
            try:
                return (await get(f"{origin}{paths[number % len(paths)]}?n={number}")).status_code
            except httpx2.TransportError:  # the sign-in is over, and its listener gone
                return 404

        before = [asyncio.create_task(storm(number)) for number in range(25)]
        seen = [await task for task in before]
        for begin in range(0, 250, 25):
            tasks = [asyncio.create_task(storm(number)) for number in range(begin, begin + 25)]
            seen += [await task for task in tasks]
        assert await attempt.waits()
        after = [asyncio.create_task(storm(number)) for number in range(25)]
        assert "Signed in" in (await browse(page_url)).text
        seen += [await task for task in after]
        await attempt.login()

    assert {404} == set(seen)
    assert 1 == len(server.exchanged)
