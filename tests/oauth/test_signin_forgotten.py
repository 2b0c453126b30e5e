"""Servers that have forgotten a registration, each in its own way (M16): no sign-in ends at the same error page twice."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from tests.oauth.attempts import Attempt, get, quiet_log
from tests.oauth.authserver import AuthServer, auth_server
from tests.oauth.test_client_store import Store
from tests.oauth.test_signin_registered import bare, refused, sign_in, signed_in
from tests.raw_server import http_response, raw_server, respond_with
from trayapp.core.model import Problem
from trayapp.engine.ports import NewLogin
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.tokens import refresh_request

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")

GRANT_REFUSED = (400, {"error": "invalid_grant"})  # what they say of an unknown client as well as of a made-up code


def names_it(server: AuthServer) -> None:
    """Its page names the client that it doesn't know; its token endpoint never does."""

    def page(request: web.Request) -> web.Response | None:
        known = request.query["client_id"] in server.clients
        return None if known else web.json_response({"message": "Unrecognized client_id"}, status=422)

    server.page, server.forgotten = page, GRANT_REFUSED


def hides_it(server: AuthServer) -> None:
    """Its page says nothing that a program understands, and says it with 200."""

    def page(request: web.Request) -> web.Response | None:
        known = request.query["client_id"] in server.clients
        return None if known else web.Response(text="<h1>Something went wrong</h1>", content_type="text/html")

    server.page, server.forgotten = page, GRANT_REFUSED


def forget(server: AuthServer) -> None:
    server.clients = {"somebody-else": {}}


async def unanswered(server: AuthServer, clients: ClientRecords, *, how: str = "timeout") -> Problem | None:
    """A person looks at the page, from which nothing comes back; its problem, if it ends with one."""
    async with Attempt(bare(server), clients=clients, limit=0.2 if how == "timeout" else 5.0) as attempt:
        await get(await attempt.url())
        if how == "timeout":
            return await attempt.problem()
        attempt.task.cancel()
        await asyncio.gather(attempt.task, return_exceptions=True)
        return None


async def test_a_page_that_names_the_client_is_asked_before_the_browser_opens() -> None:
    """With a state and a challenge of which nothing is kept; the person sees only the page that works."""

    async with auth_server(registers=True) as server:
        names_it(server)
        clients = ClientRecords()
        await signed_in(server, clients)
        assert [] == server.probed
        forget(server)
        result, steps = await sign_in(server, clients)

    assert isinstance(result, NewLogin)
    assert ["c-1", "c-2"] == [asked["client_id"] for asked in server.authorized]
    assert "no longer knows Amberlight's registration" in steps[1]
    probe, real = server.probed[0], server.authorized[1]
    assert probe["state"] != real["state"]
    assert probe["code_challenge"] != real["code_challenge"]
    assert "S256" == probe["code_challenge_method"]


async def test_a_known_client_is_used_after_the_question() -> None:
    """The answer to the question is read as far as it may name the client, and is not followed."""

    async with auth_server(registers=True) as server:
        names_it(server)
        clients = ClientRecords()
        for _ in range(3):
            await signed_in(server, clients)

    assert ["c-1"] == list(server.clients)
    assert 2 == len(server.probed)


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_sign_in_without_an_answer_makes_the_next_one_register(how: str) -> None:
    """Whether the person waited or cancelled; also in another run of the program."""

    store = Store()
    async with auth_server(registers=True) as server:
        hides_it(server)
        await signed_in(server, ClientRecords(store))
        forget(server)
        problem = await unanswered(server, ClientRecords(store), how=how)
        result, steps = await sign_in(server, ClientRecords(store))

    assert isinstance(result, NewLogin)
    assert "c-2" == result.login.client_id
    assert "The last sign-in got no answer. Registering again." in steps
    assert problem is None or "If the page showed an error, sign in again" in problem.summary


async def test_a_new_registration_is_given_a_second_chance() -> None:
    """A person who closes the tab of the first sign-in doesn't leave a registration behind each time."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        server.page = lambda _: web.Response(text="closed")
        problem = await unanswered(server, clients)
        assert problem is not None
        assert "error" not in problem.summary
        server.page = lambda _: None
        await signed_in(server, clients)
        await signed_in(server, clients)

    assert ["c-1"] == list(server.clients)


async def test_a_person_has_a_new_client_registered() -> None:
    """They saw the error page, also of a registration that has just been made."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        async with Attempt(bare(server), clients=clients) as attempt:
            await attempt.url()
            assert attempt.signin.registered("github")
            attempt.signin.register_again("github")
        await signed_in(server, clients)
        await signed_in(server, clients)

    assert ["c-1", "c-2"] == list(server.clients)


@pytest.mark.parametrize(
    ("status", "body", "anew"),
    [
        (422, {"message": "Unprocessable"}, True),
        (404, {"detail": "Not Found"}, True),
        (400, {"error": "invalid_grant"}, True),
        (400, {"error": "invalid_scope"}, False),
        (429, {}, False),
        (503, {}, False),
    ],
)
async def test_a_code_that_the_token_endpoint_refuses(status: int, body: dict[str, Any], anew: bool) -> None:
    """The code has just been issued, so it may be the client; not if the answer blames something else or is "not now"."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        server.token_status, grant = status, server.grant
        server.grant = dict.fromkeys(("access_token", "refresh_token", "token_type", "expires_in")) | body
        assert "exchange" == (await refused(server, clients)).kind
        server.token_status, server.grant = 200, grant
        await signed_in(server, clients)

    assert (["c-1", "c-2"] if anew else ["c-1"]) == list(server.clients)


async def test_a_refusal_by_the_person_says_nothing_about_the_client() -> None:
    """An error that comes back with our state proves that the server knows the client."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        server.error = "access_denied"
        assert "denied" == (await refused(server, clients)).kind
        server.error = ""
        await signed_in(server, clients)

    assert ["c-1"] == list(server.clients)


async def test_a_doubted_client_is_used_where_no_other_can_be_registered() -> None:
    """Perhaps the person only closed the tab: a server that registers nobody any more must not lock them out."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        await unanswered(server, clients, how="cancel")
        assert (await clients.load("github")).doubted
        server.metadata = {"registration_endpoint": None}
        await signed_in(server, clients)
        assert not (await clients.load("github")).doubted

    assert ["c-1"] == list(server.clients)


async def test_the_current_login_keeps_the_client_it_was_made_with() -> None:
    """Its refresh token is bound to it. What is registered meanwhile changes nothing of it, and at the end both
    registrations are deleted."""

    async with (
        auth_server(registers=True) as server,
        raw_server(respond_with(http_response("204 No Content"))) as manager,
    ):
        server.registration = {
            "registration_client_uri": f"http://127.0.0.1:{manager.port}/clients",
            "registration_access_token": "management-canary",
        }
        clients = ClientRecords()
        login = (await signed_in(server, clients)).login
        for _ in range(2):
            await unanswered(server, clients, how="cancel")
        assert ["c-1", "c-2"] == list(server.clients)
        assert ["c-1"] == parse_qs(refresh_request(login).body)["client_id"]
        assert b"" == manager.received

        async with Attempt(bare(server), clients=clients) as attempt:
            await attempt.signin.forget("github")
    assert 2 == manager.received.count(b"DELETE /clients ")
    assert 2 == manager.received.count(b"Bearer management-canary")


async def test_a_forgotten_registration_no_longer_keeps_its_port() -> None:
    """The new one has an address of its own, so a late answer to the old page belongs to nobody."""

    async with auth_server(registers=True) as server:
        hides_it(server)
        clients = ClientRecords()
        await signed_in(server, clients)
        forget(server)
        await unanswered(server, clients)
        await signed_in(server, clients)

    paths = [urlsplit(asked["redirect_uri"]).path for asked in server.authorized]
    assert (1, 2) == (len(set(paths[:2])), len(set(paths)))
