"""Pushed authorization requests (RFC 9126): what is sent, what the browser gets, how a reference that ends is replaced."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from tests.oauth.attempts import Attempt, browse, issuer_of
from tests.oauth.authserver import auth_server
from tests.oauth.tls import bare
from trayapp.core.classify import classify
from trayapp.core.model import Problem, Secret, Spec
from trayapp.core.outcomes import Answer, Fault, Refreshed, Reply
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.flow import Flow, begin
from trayapp.oauth.grants import push_grant
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.pushed import LIFE_MAX, LIFE_UNKNOWN, SPACING, PushedRequest, pushes, read_reference
from trayapp.oauth.registration import RegisteredClient, from_fields, to_fields
from trayapp.oauth.tokens import HttpTokens, push_request
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer
from trayapp.oauthtest import browse as visit

RESOURCE = "https://mcp.test/"
SECRET = "pushed-" + "secret-0042"
URI = "urn:ietf:params:oauth:request_uri:one"


def spec_of(server: OAuthServer, **more: Any) -> Spec:
    return Spec("mail", RESOURCE, client_id=server.client_id, issuer=server.issuer, resource=RESOURCE, **more)


def created(body: object, status: int = 201) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode(), True)


def flow_of(authorization: str = "https://login.test/authorize", **more: Any) -> Flow:
    endpoints = Endpoints(authorization, "https://login.test/token", pushed="https://login.test/par", **more)
    spec = Spec("mail", RESOURCE, client_id="the-client", scopes=("a", "b"), resource=RESOURCE)
    return begin(spec, endpoints, "http://127.0.0.1:9/callback/x", {"prompt": "consent"})


# --- the whole sign-in -----------------------------------------------------------------------------------------------


async def test_a_server_that_demands_it_gets_the_request_pushed() -> None:
    """Section 4: the browser carries the client and a reference, and nothing else. Refreshing knows nothing of it."""

    with OAuthServer(pushed="required", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            url = await attempt.url()
            assert {"client_id", "request_uri"} == parse_qs(urlsplit(url).query).keys()
            tab = asyncio.create_task(asyncio.to_thread(visit, url))
            new = await attempt.login()
            assert 200 == await tab
        outcome = classify(await HttpTokens(Wire("0", bare)).refresh(new.login, limit=5, connect=2))
        assert isinstance(outcome, Refreshed)
        (push,) = (each for each in server.requests if each.kind == "pushed")

    assert "POST" == push.method
    assert {"response_type", "code_challenge", "code_challenge_method", "state", "redirect_uri", "resource"} < set(
        push.form
    )
    assert "request_uri" not in push.form


async def test_a_server_that_only_offers_it_is_asked_as_ever() -> None:
    """Section 5: that the endpoint exists is no demand."""

    with OAuthServer(pushed="offered", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            await attempt.login()
            await tab
        assert 0 == server.count("pushed")


async def test_the_client_authenticates_as_at_the_token_endpoint() -> None:
    """Section 2: with its secret, if it has one; the server refuses the push otherwise."""

    with OAuthServer(pushed="required", client_secret=SECRET) as server:
        records = ClientRecords()
        await records.set_secret("mail", Secret(SECRET))
        async with Attempt(replace(spec_of(server), resource=""), clients=records) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            await attempt.login()
            await tab
        async with Attempt(replace(spec_of(server), resource="")) as attempt:
            problem = await attempt.problem()

    assert ("pushed", "invalid_client", 401) == (problem.kind, problem.code, problem.http_status)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("invalid_scope", "doesn't know these scopes"),
        ("invalid_target", "doesn't know this resource"),
        ("invalid_request", "rejected the request as invalid"),
        ("temporarily_unavailable", "overloaded or down"),
        ("something_else", "something_else"),
    ],
)
async def test_a_refused_push_says_why_before_any_browser_opens(code: str, words: str) -> None:
    """Section 2.3; the page would have shown it to nobody but the person."""

    with OAuthServer(pushed="required", pushed_error=code, resource=RESOURCE) as server:
        async with Attempt(spec_of(server), browser=True) as attempt:
            problem = await attempt.problem()

    assert words in problem.summary
    assert code == problem.code
    assert [] == attempt.opened


async def test_a_page_that_is_opened_again_has_a_new_reference() -> None:
    """A reference works once; state and PKCE pair stay, so whichever page is used brings the login."""

    with OAuthServer(pushed="required", resource=RESOURCE, consent="page") as server:
        opened: Queue[str] = Queue()
        async with Attempt(spec_of(server), open_url=noting(opened)) as attempt:
            first = await attempt.url()
            await browse(first)
            assert attempt.signin.reopen("mail")
            second = await asyncio.to_thread(opened.get, timeout=5)
            server.consent = "auto"
            tab = asyncio.create_task(browse(second))
            await attempt.login()
            await tab

    assert first != second
    assert 2 == server.count("pushed")


async def test_a_page_opens_although_the_server_takes_no_second_push(caplog: pytest.LogCaptureFixture) -> None:
    """The old address may still work, and the log says that it may not."""

    with OAuthServer(pushed="required", resource=RESOURCE) as server:
        opened: Queue[str] = Queue()
        async with Attempt(spec_of(server), open_url=noting(opened)) as attempt:
            first = await attempt.url()
            server.pushed_error = "server_error"
            assert attempt.signin.reopen("mail")
            assert first == await asyncio.to_thread(opened.get, timeout=5)
            assert "its sign-in page may not open again" in caplog.text


async def test_a_short_life_is_said() -> None:
    """Whoever opens the page by hand has to know; a life as long as the sign-in needs no word."""

    for life, said in ((60.0, True), (600.0, False)):
        with OAuthServer(pushed="required", resource=RESOURCE, pushed_lifetime=life) as server:
            async with Attempt(spec_of(server), limit=300.0) as attempt:
                await attempt.url()
                assert said is any("valid for 60 seconds" in step for step in attempt.signin.steps("mail"))


async def test_a_demand_without_an_endpoint_is_a_problem() -> None:
    """Nothing is opened: such a server would refuse the request."""

    demanding = {"require_pushed_authorization_requests": True}
    async with auth_server(metadata=demanding) as server, Attempt(issuer_of(server)) as attempt:
        problem = await attempt.problem()

    assert "metadata" == problem.kind
    assert "RFC 9126" in problem.summary
    assert [] == server.authorized


@pytest.mark.parametrize("address", ["http://login.test/par", "https://user@login.test/par"])
async def test_an_address_that_is_not_safe_is_not_used(address: str) -> None:
    """Section 5 demands https, as for every endpoint."""

    named = {"pushed_authorization_request_endpoint": address, "require_pushed_authorization_requests": True}
    async with auth_server(metadata=named) as server, Attempt(issuer_of(server)) as attempt:
        problem = await attempt.problem()

    assert "metadata" == problem.kind


async def test_a_registration_that_the_server_forgot_is_noticed_by_a_push() -> None:
    """M16: the made-up request is pushed, as a page that isn't pushed would be refused for that."""

    async with auth_server(registers=True, pushes=True) as server:
        clients = ClientRecords()
        for _ in range(2):
            await sign_in_bare(server.base, clients)
        server.forgotten = (400, {"error": "invalid_grant"})  # only the pushed request tells
        server.clients = {"other": {}}
        await sign_in_bare(server.base, clients)

    assert [] == server.probed
    assert ["c-1", "c-1", "c-1", "c-1", "c-2"] == [form["client_id"] for form in server.pushed]


async def sign_in_bare(base: str, clients: ClientRecords) -> None:
    async with Attempt(Spec("mail", f"{base}/mcp"), clients=clients) as attempt:
        tab = asyncio.create_task(browse(await attempt.url()))
        await attempt.login()
        await tab


def noting(opened: Queue[str]) -> Callable[[str], bool]:
    """A browser that only notes what it is asked to open."""

    def open_url(url: str) -> bool:
        opened.put(url)
        return True

    return open_url


# --- one request -----------------------------------------------------------------------------------------------------


async def test_the_endpoints_own_query_stays_in_the_address() -> None:
    """RFC 6749 section 3.1: it is retained, and it isn't part of the request."""

    flow = flow_of("https://login.test/authorize?tenant=one")
    pushed: list[Any] = []

    async def push(grant: Any) -> Reply:
        pushed.append(grant)
        return created({"request_uri": URI, "expires_in": 90})

    assert await PushedRequest(flow, RegisteredClient("the-client"), push).push() is None
    assert [("tenant", "one"), ("client_id", "the-client"), ("request_uri", URI)] == parse_qsl(urlsplit(flow.url).query)
    sent = dict(parse_qsl(pushed[0].parameters))
    assert "tenant" not in sent
    assert ("a b", "consent", RESOURCE) == (sent["scope"], sent["prompt"], sent["resource"])


@pytest.mark.parametrize("method", ["", "client_secret_basic", "client_secret_post", "none"])
async def test_the_client_id_is_in_the_form_once(method: str) -> None:
    """Section 2.1: it is part of the request, whatever authenticates the client."""

    secret = Secret(SECRET) if method.startswith("client") else None
    request = push_request(push_grant(RegisteredClient("the-client", secret, method), flow_of()))
    assert 1 == [name for name, _ in parse_qsl(request.body)].count("client_id")
    assert ("Authorization" in request.headers) is (method == "client_secret_basic")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (created({"expires_in": 60}), "pushed"),
        (created({"request_uri": "", "expires_in": 60}), "pushed"),
        (created({"request_uri": "a b", "expires_in": 60}), "pushed"),
        (created({"request_uri": "x" * 4000}), "pushed"),
        (created({"access_token": "not-asked-for"}, 200), "pushed"),
        (created([], 200), "pushed"),
        (created({}, 429), "pushed"),
        (created({}, 405), "pushed"),
        (created({"error": "unsupported_grant_type"}, 400), "pushed"),
        (Fault(False, "dns", "x"), "pushed"),
        (Fault(True, "timeout", "x"), "pushed"),
    ],
)
def test_what_is_no_reference_is_a_problem(reply: Reply, kind: str) -> None:
    """In a short sentence, without the server's own words."""

    problem = read_reference(reply)
    assert isinstance(problem, Problem)
    assert kind == problem.kind
    assert 0 < len(problem.summary) <= 200


@pytest.mark.parametrize("life", [None, "60", True, -1, 0, float("nan"), []])
def test_a_life_that_makes_no_sense_is_taken_for_a_short_one(life: object) -> None:
    """Section 2.2 wants a positive number."""

    assert (URI, LIFE_UNKNOWN) == read_reference(created({"request_uri": URI, "expires_in": life}))


@pytest.mark.parametrize("life", [86_401, 1e308, 10**400], ids=["day", "float", "beyond floats"])
def test_a_life_without_end_is_a_day(life: float) -> None:
    """Whoever waits, and whoever reads how long, needs a number that makes sense."""

    assert (URI, LIFE_MAX) == read_reference(created({"request_uri": URI, "expires_in": life}))


async def test_the_reference_is_replaced_before_it_ends() -> None:
    """As long as nobody has answered; a push that fails leaves the address and is repeated."""

    flow = flow_of()
    lives, waited, shown = iter([90, 3, None, 600]), list[float](), list[str]()

    async def push(_: object) -> Reply:
        life = next(lives)
        if life is None:
            return Fault(False, "dns", "x")
        return created({"request_uri": f"urn:{life}", "expires_in": life})

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            flow.answer.set_result(Secret("code"))

    request = PushedRequest(flow, RegisteredClient("the-client"), push, sleep)
    assert await request.push() is None
    await request.keep(shown.append)

    assert [72.0, SPACING, SPACING, 480.0] == waited
    assert ["urn:3", "urn:600"] == [parse_qs(urlsplit(url).query)["request_uri"][0] for url in shown]


async def test_an_address_that_no_browser_takes_is_not_shown() -> None:
    """A reference may be long, and the endpoint's address, too."""

    flow = flow_of("https://login.test/authorize?" + "x" * 7000)

    async def push(_: object) -> Reply:
        return created({"request_uri": "u" * 2000})

    problem = await PushedRequest(flow, RegisteredClient("the-client"), push).push()
    assert problem is not None
    assert "pushed" == problem.kind


def test_a_registration_may_demand_it() -> None:
    """Section 6: the client's own metadata says so, and it is remembered with the registration."""

    client = RegisteredClient("c", redirect_uri="http://127.0.0.1:9/callback", registered=True, pushed_only=True)
    assert pushes(Endpoints("a", "t"), client)
    assert not pushes(Endpoints("a", "t"), replace(client, pushed_only=False))
    assert client == from_fields(to_fields(client))


async def test_nothing_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the state nor the reference."""

    caplog.set_level(logging.DEBUG, "trayapp")
    with OAuthServer(pushed="required", resource=RESOURCE) as server:
        async with Attempt(spec_of(server)) as attempt:
            url = await attempt.url()
            reference = parse_qs(urlsplit(url).query)["request_uri"][0]
            tab = asyncio.create_task(asyncio.to_thread(visit, url))
            await attempt.login()
            await tab
    assert reference not in caplog.text
