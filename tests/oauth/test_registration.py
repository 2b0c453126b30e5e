"""Dynamic registration (RFC 7591): what is sent, what counts in the response, and when a registration is replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.oauth.fake_web import AS, Web, page
from trayapp.core.model import Problem, Secret
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.registration import (
    RegisteredClient,
    auth_method,
    from_fields,
    no_registration_problem,
    register,
    to_fields,
    unregister,
)
from trayapp.oauth.wire import Request

ENDPOINTS = Endpoints(f"{AS}/authorize", f"{AS}/token", issuer=AS, registration=f"{AS}/register")
CANARY = "client-secret-canary-41"


def echo(**changes: Any) -> Any:
    """A server that registers what it is asked for, with these changes; None takes a field away."""

    def answer(request: Request) -> Answer:
        document = {**json.loads(request.body), "client_id": "c-1", **changes}
        return page(201, {name: value for name, value in document.items() if value is not None})

    return answer


async def made(
    answer: Any = None, *, endpoints: Endpoints = ENDPOINTS, scopes: tuple[str, ...] = ()
) -> tuple[Any, Web]:
    web = Web({endpoints.registration: answer or echo()})
    return await register(endpoints, scopes, 4567, web), web


async def test_the_client_metadata_that_is_sent() -> None:
    """A public native client by our name, with one loopback address, that may refresh; scopes only if there are any."""

    client, web = await made(scopes=("a", "b"))

    request = web.requests[0]
    asked = json.loads(request.body)
    uri = asked["redirect_uris"][0]
    assert ("POST", "application/json") == (request.method, request.headers["Content-Type"])
    assert uri.startswith("http://127.0.0.1:4567/callback/")
    assert len(uri) >= len("http://127.0.0.1:4567/callback/") + 20
    assert {
        "client_name": "Amberlight",
        "redirect_uris": [uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "a b",
    } == asked
    assert "scope" not in json.loads((await made())[1].requests[0].body)
    assert isinstance(client, RegisteredClient)
    assert ("c-1", None, "none", AS, True, uri) == (
        client.id, client.secret, client.method, client.issuer, client.registered, client.redirect_uri,
    )  # fmt: skip
    assert 4567 == client.port()


async def test_two_registrations_share_no_path() -> None:
    """So no answer for one server can be taken for another's."""

    one, two = [(await made())[0].redirect_uri for _ in range(2)]

    assert one != two


@pytest.mark.parametrize(
    ("device", "grants", "expected"),
    [("", (), False), (f"{AS}/device", (), True), (f"{AS}/device", ("authorization_code",), False)],
)
async def test_the_device_grant(device: str, grants: tuple[str, ...], expected: bool) -> None:
    """Asked for where the server offers it."""

    _, web = await made(endpoints=replace(ENDPOINTS, device=device, grants=grants))

    grant = "urn:ietf:params:oauth:grant-type:device_code"
    assert expected is (grant in json.loads(web.requests[0].body)["grant_types"])


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ((), "none"),
        (("client_secret_basic", "none"), "none"),
        (("client_secret_post", "client_secret_basic"), "client_secret_basic"),
        (("client_secret_post",), "client_secret_post"),
        (("private_key_jwt",), "none"),
    ],
)
def test_the_authentication_method_that_is_chosen(offered: tuple[str, ...], expected: str) -> None:
    """Without a secret, unless the server knows nothing else."""

    assert expected == auth_method(replace(ENDPOINTS, auth_methods=offered))


@pytest.mark.parametrize(
    ("changes", "method", "secret"),
    [
        ({"client_secret": CANARY, "token_endpoint_auth_method": "client_secret_post"}, "client_secret_post", True),
        ({"client_secret": CANARY, "token_endpoint_auth_method": None}, "client_secret_basic", True),
        ({"client_secret": CANARY, "token_endpoint_auth_method": "none"}, "none", False),
        ({"client_secret": None, "token_endpoint_auth_method": None}, "none", False),
    ],
)
async def test_the_registered_values_count(changes: dict[str, Any], method: str, secret: bool) -> None:
    """Not what was asked for: a server may make a confidential client of it."""

    client, _ = await made(echo(**changes))

    assert isinstance(client, RegisteredClient)
    assert (method, secret) == (client.method, client.secret is not None)
    assert CANARY not in repr(client)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (echo(client_id=None), "didn't register a client"),
        (echo(client_id=""), "didn't register a client"),
        (echo(client_id=5), "didn't register a client"),
        (echo(client_id="c\n1"), "didn't register a client"),
        (page(201, b"<html>"), "didn't register a client"),
        (page(201, b"[]"), "didn't register a client"),
        (page(201, b"[" * 100_000), "didn't register a client"),
        (echo(client_secret="a\x00b"), "an unusable secret"),
        (echo(token_endpoint_auth_method="client_secret_basic"), "needs a secret, but didn't send one"),
        (echo(redirect_uris=["https://evil.example/cb"]), "a different redirect URL"),
        (page(400, {"error": "invalid_software_statement"}), "didn't register this app (HTTP 400, invalid_software"),
        (page(400, {"error": "<script>"}), "didn't register this app (HTTP 400)"),
        (page(401, {"error": "invalid_token"}), "doesn't register apps automatically (HTTP 401, invalid_token)"),
        (page(403, b""), "Create a client ID there"),
        (page(500, b"canary"), "didn't register this app (HTTP 500)"),
        (page(302, Location="https://evil.example/"), "didn't register this app (HTTP 302)"),
    ],
)
async def test_an_answer_that_is_no_client(answer: Any, words: str) -> None:
    """Said in a sentence that shows nothing of the server's."""

    problem, _ = await made(answer)

    assert isinstance(problem, Problem)
    assert "registration" == problem.kind
    assert words in problem.summary
    assert "canary" not in problem.summary


async def test_a_failed_registration_request_is_reported() -> None:
    """It is what it is."""

    problem, _ = await made(Fault(False, "refused", ""))

    assert isinstance(problem, Problem)
    assert "refused" == problem.kind


def demanding(wanted: Callable[[dict[str, Any]], bool], refusal: Answer, **changes: Any) -> Any:
    """A server that registers what it wants and refuses everything else in its own words."""

    def answer(request: Request) -> Answer:
        registered: Answer = echo(**changes)(request) if wanted(json.loads(request.body)) else refusal
        return registered

    return answer


def on_localhost(asked: dict[str, Any]) -> bool:
    return all(uri.startswith("http://localhost:") for uri in asked["redirect_uris"])


@pytest.mark.parametrize(
    "refusal",
    [
        page(400, {"error": "invalid_redirect_uri"}),
        page(400, {"code": "BAD_REQUEST", "message": "Redirect URI must use HTTPS unless it is localhost"}),
        page(400, {"error": "invalid_request", "error_description": "redirect_uris[0]: loopback literal"}),
        page(422, {"detail": [{"loc": ["body", "redirect_uris", 0], "msg": "invalid"}]}),
        page(403, {"message": "callback address not allowed"}),
        page(400, b"<p>Bad <b>callback URL</b></p>"),
    ],
)
async def test_a_server_that_refuses_127_0_0_1_gets_localhost(refusal: Answer) -> None:
    """In whatever words it refuses; what can be left out is left out first."""

    client, web = await made(demanding(on_localhost, refusal), scopes=("a",))

    assert isinstance(client, RegisteredClient)
    assert client.redirect_uri.startswith("http://localhost:4567/callback/")
    assert client.on_localhost()
    asked = [json.loads(request.body) for request in web.requests]
    assert [False, False, True] == [on_localhost(each) for each in asked]
    assert [True, False, True] == ["application_type" in each for each in asked]
    assert ("a",) == client.scopes


@pytest.mark.parametrize(
    ("member", "refusal"),
    [
        ("application_type", page(400, {"error": "invalid_client_metadata"})),
        ("application_type", page(422, {"message": "Unprocessable Entity"})),
        ("scope", page(400, {"error": "invalid_request", "error_description": "unknown field scope"})),
        ("response_types", page(400, {"statusCode": 400, "error": "Bad Request"})),
    ],
)
async def test_optional_members_are_left_out_for_a_server_that_refuses_them(member: str, refusal: Answer) -> None:
    """The address stays as it is, and what wasn't registered isn't taken for a limit."""

    client, web = await made(demanding(lambda asked: member not in asked, refusal), scopes=("a",))

    assert isinstance(client, RegisteredClient)
    assert client.redirect_uri.startswith("http://127.0.0.1:4567/callback/")
    assert () == client.scopes
    assert 2 == len(web.asked)
    assert ["authorization_code", "refresh_token"] == json.loads(web.requests[1].body)["grant_types"]


async def test_a_server_that_wants_neither_gets_both_changes() -> None:
    """The fourth request is the last one."""

    refusal = page(400, {"message": "redirect_uris and application_type are not accepted"})
    wanted = demanding(lambda asked: on_localhost(asked) and "application_type" not in asked, refusal)
    client, web = await made(wanted)
    assert isinstance(client, RegisteredClient)
    assert client.on_localhost()
    assert 4 == len(web.asked)

    problem, web = await made(page(400, {"message": "redirect canary"}))
    assert isinstance(problem, Problem)
    assert "doesn't register apps that redirect to this computer (HTTP 400)" in problem.summary
    assert "canary" not in problem.summary
    assert 4 == len(web.asked)


async def test_a_refusal_of_something_else_leaves_the_address_alone() -> None:
    """`localhost` is weaker than 127.0.0.1, so it isn't tried for nothing; nor where another program listens there."""

    problem, web = await made(page(400, {"error": "invalid_client_metadata", "error_description": "client_name"}))
    assert isinstance(problem, Problem)
    assert 2 == len(web.asked)

    web = Web({ENDPOINTS.registration: page(400, {"error": "invalid_redirect_uri"})})
    assert isinstance(await register(ENDPOINTS, (), 4567, web, localhost=False), Problem)
    assert 2 == len(web.asked)
    assert not any("localhost" in request.body for request in web.requests)


@pytest.mark.parametrize(
    "refusal",
    [
        page(401, {"error": "invalid_token"}),
        page(403, b"no"),
        page(404, b"redirect"),
        page(429, {"message": "redirect"}),
        page(500, b"redirect"),
        page(400, {"error": "unapproved_software_statement"}),
    ],
)
async def test_a_refusal_that_nothing_would_change_is_final(refusal: Answer) -> None:
    """It isn't asked again."""

    problem, web = await made(refusal)

    assert isinstance(problem, Problem)
    assert 1 == len(web.asked)


async def test_a_server_that_knows_no_public_clients() -> None:
    """It doesn't say so in its metadata, but when it refuses: then it chooses, and its secret is used."""

    refusal = page(400, {"error": "invalid_client_metadata", "error_description": "token_endpoint_auth_method"})
    wanted = demanding(lambda asked: "token_endpoint_auth_method" not in asked, refusal, client_secret=CANARY)
    client, _ = await made(wanted)

    assert isinstance(client, RegisteredClient)
    assert ("client_secret_basic", Secret(CANARY)) == (client.method, client.secret)


async def test_a_server_without_registration() -> None:
    """The words say where to get a client id."""

    endpoints = replace(ENDPOINTS, registration="")

    problem = await register(endpoints, (), 1, Web({}))
    assert problem == no_registration_problem(endpoints)
    assert "login.example.com doesn't register apps automatically. Create" in no_registration_problem(endpoints).summary


@pytest.mark.parametrize(
    ("changes", "scopes", "wall", "fits"),
    [
        ({}, ("a",), 0.0, True),
        ({}, (), 0.0, True),
        ({}, ("a", "more"), 0.0, False),
        ({"scopes": ()}, ("a", "more"), 0.0, True),
        ({"issuer": "https://other.example"}, ("a",), 0.0, False),
        ({"secret_ends": 1_000_000.0}, ("a",), 1_000_000.0 - 7 * 86400 - 1, True),
        ({"secret_ends": 1_000_000.0}, ("a",), 1_000_000.0 - 7 * 86400 + 1, False),
    ],
)
def test_a_registration_that_fits(changes: dict[str, Any], scopes: tuple[str, ...], wall: float, fits: bool) -> None:
    """The same server, no more scopes than it was made for, and a secret that does not end within a week."""

    client = replace(RegisteredClient("c", issuer=AS, registered=True, scopes=("a", "b")), **changes)

    assert fits is client.fits(ENDPOINTS, scopes, wall)


@pytest.mark.parametrize(
    ("uri", "port"),
    [
        ("http://127.0.0.1:4567/callback/x", 4567),
        ("http://localhost:4567/callback/x", 4567),
        ("http://127.0.0.1/callback/x", 0),
        ("", 0),
    ],
)
def test_the_port_of_a_registration(uri: str, port: int) -> None:
    """0, which is any port, for a client that is configured and for a redirect address that names none."""

    assert port == RegisteredClient("c", redirect_uri=uri).port()


async def test_a_registration_is_deleted() -> None:
    """RFC 7592: with the token that was given for it, where it was said; without one nothing is asked."""

    uri = f"{AS}/register/c-1"
    client, _ = await made(echo(registration_client_uri=uri, registration_access_token=CANARY))
    assert isinstance(client, RegisteredClient)
    web = Web({uri: page(204)})
    assert await unregister(client, web)
    assert [f"DELETE {uri}"] == web.asked
    assert f"Bearer {CANARY}" == web.requests[0].headers["Authorization"]
    assert CANARY not in repr(client) + repr(web.requests)

    client, _ = await made(echo(registration_client_uri="http://10.0.0.1/", registration_access_token=CANARY))
    assert isinstance(client, RegisteredClient)
    assert not await unregister(client, web)
    assert 1 == len(web.asked)


def test_a_registered_client_round_trips() -> None:
    """All of it; and what is none is none."""

    client = RegisteredClient(
        "c", Secret("s"), "client_secret_post", AS, True, "http://127.0.0.1:1/callback/x", ("a", "b"), 5.0,
        f"{AS}/r", Secret("t"),
    )  # fmt: skip

    assert client == from_fields(json.loads(json.dumps(to_fields(client))))
    public = RegisteredClient(
        "c", method="none", issuer=AS, registered=True, redirect_uri="http://127.0.0.1:1/callback/x"
    )
    assert public == from_fields(to_fields(public))
    bads: list[object] = [
        None,
        [],
        {},
        {"client_id": 5},
        {"client_id": "c", "redirect_uri": "https://x"},
        {"client_id": "c"},
    ]
    for bad in bads:
        assert from_fields(bad) is None


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        (f"{AS}/register/c-1", True),
        ("http://127.0.0.1:8765/api/v1beta/workloads/x", False),
        ("https://router.lan/x", False),
        ("https://10.0.0.1/x", False),
        (f"{AS}/#x", False),
    ],
)
async def test_a_management_address_nearer_than_the_server_is_dropped(uri: str, kept: bool) -> None:
    """A far server cannot have a request with a token of its choice sent into this machine or a private network."""

    far = replace(ENDPOINTS, nearest_allowed=AddressClass.PUBLIC)
    client, _ = await made(echo(registration_client_uri=uri, registration_access_token="t"), endpoints=far)

    assert (uri if kept else "") == client.manage_uri
    assert kept is (client.manage_token is not None)
