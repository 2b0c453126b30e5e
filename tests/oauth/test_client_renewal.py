"""Renewal of a client whose secret ends soon (RFC 7592): what is asked, what counts, and that it is stored first."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.oauth.fake_web import AS, Web, page
from tests.oauth.test_client_store import Store
from tests.oauth.tls import bare_wire
from tests.raw_server import http_response, raw_server, respond_with
from trayapp.core.model import Secret
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.client_renewal import RENEW_AHEAD, ends_soon, renew
from trayapp.oauth.client_store import ClientRecord, ClientRecords
from trayapp.oauth.registration import RegisteredClient
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Request

DAY = 86400.0
WALL = 1_700_000_000.0
MANAGE = f"{AS}/clients/c-1"
OLD, NEW, TOKEN = "secret-canary-old", "secret-canary-new", "token-canary-1"
CLIENT = RegisteredClient(
    "c-1", Secret(OLD), "client_secret_basic", AS, True, "http://127.0.0.1:1/callback/x", ("a",), WALL + 3 * DAY,
    MANAGE, Secret(TOKEN),
)  # fmt: skip
STATED = {
    "client_id": "c-1",
    "client_secret": OLD,
    "client_secret_expires_at": WALL + 3 * DAY,
    "client_id_issued_at": 5,
    "registration_client_uri": MANAGE,
    "registration_access_token": TOKEN,
    "redirect_uris": ["http://127.0.0.1:1/callback/x"],
    "tenant": "theirs",
}


class Server(Web):
    """A registration that is read by GET and written by PUT; each answer is an `Answer` or what it changes."""

    def __init__(self, read: Any, written: Any = None) -> None:
        super().__init__({MANAGE: self.answer})
        self.read, self.written = read, written
        self.saved: list[RegisteredClient] = []

    def answer(self, request: Request) -> Any:
        reply = self.read if request.method == "GET" else self.written
        return page(200, {**STATED, **reply}) if isinstance(reply, dict) else reply

    async def save(self, client: RegisteredClient) -> None:
        self.saved.append(client)

    async def renewed(self, client: RegisteredClient = CLIENT) -> RegisteredClient:
        return await renew(client, WALL, self, self.save)


@pytest.mark.parametrize(
    ("client", "soon"),
    [
        (CLIENT, True),
        (replace(CLIENT, secret_ends=WALL - 1), True),
        (replace(CLIENT, secret_ends=WALL + RENEW_AHEAD + 1), False),
        (replace(CLIENT, secret_ends=0.0), False),
        (replace(CLIENT, secret=None), False),
    ],
)
def test_when_a_secret_ends_soon(client: RegisteredClient, soon: bool) -> None:
    """Within a week; never without an end or without a secret."""

    assert soon is ends_soon(client, WALL)


async def test_the_registration_is_read_and_written_back() -> None:
    """All of it but what is the server's alone, with the token of the registration."""

    server = Server({}, {"client_secret": NEW, "client_secret_expires_at": WALL + 90 * DAY})
    client = await server.renewed()

    assert [f"GET {MANAGE}", f"PUT {MANAGE}"] == server.asked
    assert {"client_id", "client_secret", "redirect_uris", "tenant"} == set(json.loads(server.requests[1].body))
    assert {f"Bearer {TOKEN}"} == {request.headers["Authorization"] for request in server.requests}
    assert (Secret(NEW), WALL + 90 * DAY) == (client.secret, client.secret_ends)
    assert [client] == server.saved
    assert replace(CLIENT, secret=client.secret, secret_ends=client.secret_ends) == client
    assert "canary" not in repr(client)


async def test_reading_alone_may_renew() -> None:
    """A server may hand out new values whenever it is asked; then nothing is written."""

    server = Server({"client_secret": NEW, "client_secret_expires_at": 0})
    client = await server.renewed()

    assert [f"GET {MANAGE}"] == server.asked
    assert (Secret(NEW), 0.0) == (client.secret, client.secret_ends)


async def test_each_answers_values_are_stored_before_they_are_used() -> None:
    """A management token of the first answer proves the second request, and is safe by then."""

    moved = f"{AS}/clients/c-1/v2"
    server = Server({"registration_access_token": "token-canary-2", "registration_client_uri": moved})
    server.served[moved] = lambda request: page(
        200, {**STATED, "registration_client_uri": moved, "registration_access_token": "token-canary-3"}
    )
    client = await server.renewed()

    assert [f"GET {MANAGE}", f"PUT {moved}"] == server.asked
    assert "Bearer token-canary-2" == server.requests[1].headers["Authorization"]
    tokens = [each.manage_token.reveal() for each in (*server.saved, client) if each.manage_token is not None]
    assert ["token-canary-2", "token-canary-3", "token-canary-3"] == tokens


@pytest.mark.parametrize("read", [page(404), page(405), page(501), page(200, b"<html>"), page(200, b"[]")])
async def test_a_server_that_only_writes(read: Answer) -> None:
    """It is told what was registered."""

    server = Server(read, {"client_secret": NEW, "client_secret_expires_at": WALL + 90 * DAY})
    client = await server.renewed()

    assert Secret(NEW) == client.secret
    body = json.loads(server.requests[1].body)
    assert ("c-1", OLD, "a", ["http://127.0.0.1:1/callback/x"]) == (
        body["client_id"], body["client_secret"], body["scope"], body["redirect_uris"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (page(401), {"client_secret": NEW}),
        (page(403), {"client_secret": NEW}),
        (Fault(False, "dns", ""), {"client_secret": NEW}),
        ({}, page(401)),
        ({}, page(400, {"error": "invalid_client_metadata", "client_secret": NEW})),
        ({}, Fault(True, "timeout", "")),
        ({}, {}),
        ({"client_id": "another", "client_secret": NEW}, {"client_id": "another", "client_secret": NEW}),
        ({"client_secret": "a\x00b"}, {"client_secret": 5, "client_secret_expires_at": "soon"}),
        (
            {"registration_client_uri": "https://evil.example/c"},
            {"registration_client_uri": "http://login.example.com/c"},
        ),
    ],
)
async def test_what_brings_nothing_changes_nothing(read: Any, written: Any) -> None:
    """The client stays as it is, and nothing is stored."""

    server = Server(read, written)

    assert CLIENT == await server.renewed()
    assert [] == server.saved


@pytest.mark.parametrize("changes", [{"manage_uri": ""}, {"manage_token": None}])
async def test_a_server_without_management_is_not_asked(changes: dict[str, Any]) -> None:
    """There is nothing to renew it with."""

    server = Server({}, {})
    client = replace(CLIENT, **changes)

    assert client == await server.renewed(client)
    assert [] == server.asked


async def test_a_write_leaves_over_a_real_connection() -> None:
    """With its method, its body and its proof."""

    answer = http_response("200 OK", json.dumps({**STATED, "client_secret": NEW}).encode())
    async with raw_server(respond_with(answer)) as server:
        client = replace(CLIENT, manage_uri=f"http://127.0.0.1:{server.port}/c")
        sink: list[RegisteredClient] = []

        async def save(each: RegisteredClient) -> None:
            sink.append(each)

        assert Secret(NEW) == (await renew(client, WALL, bare_wire(), save)).secret
    assert b"PUT /c HTTP/1.1" in server.received
    assert b'"client_secret": "' + NEW.encode() + b'"' in server.received


# --- from the record to the login ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["client", "replaced"])
async def test_the_secret_of_the_client_that_a_login_uses(place: str) -> None:
    """Also if a later sign-in registered another one; the new values are in the keyring when they are returned."""

    store, web = Store(), Server({}, {"client_secret": NEW, "client_secret_expires_at": WALL + 90 * DAY})
    other = replace(CLIENT, id="c-2")
    record = ClientRecord(CLIENT) if place == "client" else ClientRecord(other, replaced=(CLIENT,))
    await ClientRecords(store).save("github", record)
    signin = BrowserSignIn(web, HttpTokens(web), clients=ClientRecords(store))

    assert (Secret(NEW), WALL + 90 * DAY) == await signin.client_secret("github", "c-1", WALL)
    kept = await ClientRecords(store).load("github")
    mine = kept.client if place == "client" else kept.replaced[0]
    assert mine is not None
    assert Secret(NEW) == mine.secret
    assert place == "client" or kept.client == other
    assert (Secret(NEW), WALL + 90 * DAY) == await signin.client_secret("github", "c-1", WALL + DAY)
    assert 2 == len(web.asked)


@pytest.mark.parametrize(
    "record", [ClientRecord(), ClientRecord(replace(CLIENT, secret=None)), ClientRecord(replace(CLIENT, id="c-2"))]
)
async def test_a_client_without_a_secret_or_of_another_id_is_none(record: ClientRecord) -> None:
    """A person's own client is never renewed."""

    web, clients = Server({}, {}), ClientRecords()
    await clients.save("github", record)

    assert await BrowserSignIn(web, HttpTokens(web), clients=clients).client_secret("github", "c-1", WALL) is None
    assert [] == web.asked
