"""Redirects of token and registration endpoints, on real sockets: one hop within origin and tenant, and nothing else."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import trustme

from tests.oauth.tls import bare_wire, trusting
from tests.oauth.token_requests import AMPLE, CANARY, NAME, environment, login, server_side
from tests.raw_server import Behaviour, Received, http_response, raw_server
from trayapp.core.classify import classify
from trayapp.core.model import Problem, Secret
from trayapp.core.outcomes import Answer, Fault, Refreshed, Reply, ServerBusy
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.redirects import redirect_target
from trayapp.oauth.registration import RegisteredClient, register
from trayapp.oauth.tokens import CodeGrant, HttpTokens

__all__ = ["environment"]

TOKEN = b'{"access_token":"at","token_type":"Bearer","expires_in":3600}'
URL = "https://as.test/t/acme/oauth/token"


def path_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode()


def routes(answers: dict[str, bytes], seen: list[bytes]) -> Behaviour:
    """Answers by path; `seen` gets every request. Any other path is a 404."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: Received) -> None:
        request = await received.request(reader)
        seen.append(request)
        writer.write(answers.get(path_of(request), http_response("404 Not Found")))
        await writer.drain()

    return behaviour


def moved(status: int, location: str | None) -> bytes:
    headers = () if location is None else (f"Location: {location}",)
    return http_response(f"{status} Moved", b"", *headers)


async def refreshed(
    authority: trustme.CA, answers: dict[str, bytes], path: str = "/t/acme/token", *, in_doubt: bool = False
) -> tuple[Reply, list[bytes]]:
    """One refresh at `path` over verified TLS, and all requests that came of it."""
    seen: list[bytes] = []
    async with raw_server(routes(answers, seen), server_side(authority)) as server:
        answers |= {p: a.replace(b"{port}", str(server.port).encode()) for p, a in answers.items()}
        tokens = HttpTokens(trusting(authority))
        one = login(f"https://{NAME}:{server.port}{path}")
        reply = await tokens.refresh(one, limit=AMPLE, connect=AMPLE, in_doubt=in_doubt)
    return reply, seen


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "location",
    ["/t/acme/token/", "token/", "./token/", "/t/acme/v2/token", f"https://{NAME}:{{port}}/t/acme/token/", "v2/token"],
)
async def test_a_move_within_the_tenant_is_followed_once(status: int, location: str, authority: trustme.CA) -> None:
    """Method, body and headers stay; the answer says where it came from; the login keeps its endpoint."""

    answers = {
        "/t/acme/token": moved(status, location),
        "/t/acme/token/": http_response("200 OK", TOKEN),
        "/t/acme/v2/token": http_response("200 OK", TOKEN),
    }
    reply, seen = await refreshed(authority, answers)

    assert isinstance(reply, Answer)
    outcome = classify(reply)
    assert isinstance(outcome, Refreshed)
    assert reply.redirected_to.endswith(path_of(seen[1]))
    assert outcome.redirected_to == reply.redirected_to
    assert 2 == len(seen)
    (first, body), (second, again) = (request.split(b"\r\n\r\n") for request in seen)
    assert (body, True) == (again, f"refresh_token={CANARY}".encode() in again)
    assert first.split(b"\r\n")[1:] == second.split(b"\r\n")[1:]
    assert second.startswith(b"POST ")


STAYS = {
    "no Location": (307, None),
    "empty Location": (307, ""),
    "itself": (308, "/t/acme/token"),
    "another tenant": (307, "/t/other/token"),
    "above the tenant": (307, "/token"),
    "up and across": (307, "../other/token"),
    "hidden dots": (307, "/t/acme/%2e%2e/other/token"),
    "dots hidden twice": (307, "/t/acme/%252e%252e/other/token"),
    "dots in bytes too many": (307, "/t/acme/%c0%ae%c0%ae/other/token"),
    "dots with a parameter": (308, "/t/acme/..;/other/token"),
    "dots with a tab": (307, "/t/acme/..%09/other/token"),
    "port 0": (307, f"https://{NAME}:0/t/acme/token/"),
    "hidden slash": (307, "/t/acme/..%2fother/token"),
    "dots in an address": (307, f"https://{NAME}:{{port}}/t/acme/../other/token"),
    "another host": (307, "https://other.test:{port}/t/acme/token/"),
    "another port": (307, f"https://{NAME}:1/t/acme/token/"),
    "a name before the host": (307, f"https://{NAME}@other.test:{{port}}/t/acme/token/"),
    "a user name": (307, f"https://me@{NAME}:{{port}}/t/acme/token/"),
    "no host, two slashes": (307, "//other.test/t/acme/token/"),
    "plain http": (307, f"http://{NAME}:{{port}}/t/acme/token/"),
    "a query more": (307, "/t/acme/token/?tenant=other"),
    "a fragment": (307, "/t/acme/token/#x"),
    "a backslash": (307, "/t/acme\\token/"),
    "a broken address": (307, "https://[oops/t/acme/token/"),
    "301": (301, "/t/acme/token/"),
    "302": (302, "/t/acme/token/"),
    "303": (303, "/t/acme/token/"),
    "300": (300, "/t/acme/token/"),
}


@pytest.mark.parametrize("case", STAYS)
async def test_every_other_redirect_gets_no_second_request(case: str, authority: trustme.CA) -> None:
    """The token went to its own endpoint and nowhere else; the outcome is later, not the end."""

    answers = {"/t/acme/token": moved(*STAYS[case]), "/t/acme/token/": http_response("200 OK", TOKEN)}
    reply, seen = await refreshed(authority, answers)

    assert ["/t/acme/token"] == [path_of(request) for request in seen]
    assert isinstance(reply, Answer)
    assert "" == reply.redirected_to
    outcome = classify(reply)
    assert isinstance(outcome, ServerBusy)
    assert "Its endpoint may have moved." in outcome.problem.summary
    assert not outcome.maybe_spent


@pytest.mark.parametrize("second", ["/t/acme/c/token", "/t/acme/token", "/t/acme/b/token"])
async def test_a_second_hop_and_a_loop_are_not_followed(second: str, authority: trustme.CA) -> None:
    """Two requests at most, whatever the second one is told."""

    answers = {
        "/t/acme/token": moved(307, "/t/acme/b/token"),
        "/t/acme/b/token": moved(308, second),
        "/t/acme/c/token": http_response("200 OK", TOKEN),
    }
    reply, seen = await refreshed(authority, answers)

    assert ["/t/acme/token", "/t/acme/b/token"] == [path_of(request) for request in seen]
    assert isinstance(classify(reply), ServerBusy)


async def test_a_token_in_doubt_follows_nothing_new(authority: trustme.CA) -> None:
    """With the mark set (M9) it goes to its own endpoint only, unless a redirect was followed there before."""

    answers = {"/t/acme/token": moved(307, "/t/acme/token/"), "/t/acme/token/": http_response("200 OK", TOKEN)}
    reply, seen = await refreshed(authority, answers, in_doubt=True)

    assert 1 == len(seen)
    assert isinstance(reply, Answer)
    assert 307 == reply.status


async def test_a_refusal_behind_the_redirect_is_the_servers_own(authority: trustme.CA) -> None:
    """What the second request is told counts like an answer of the endpoint itself."""

    refusal = http_response("400 Bad Request", b'{"error":"invalid_grant"}')
    reply, _ = await refreshed(authority, {"/t/acme/token": moved(308, "token/"), "/t/acme/token/": refusal})

    assert isinstance(reply, Answer)
    assert 400 == reply.status


async def test_no_answer_behind_the_redirect_leaves_the_token_in_doubt(authority: trustme.CA) -> None:
    """The second request may have been acted on, and both share one limit."""

    seen: list[bytes] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: Received) -> None:
        request = await received.request(reader)
        seen.append(request)
        if path_of(request) == "/token":
            writer.write(moved(307, "/token/"))
            await writer.drain()
        else:
            await received.read(reader)  # until the client gives up

    async with raw_server(slow, server_side(authority)) as server:
        tokens = HttpTokens(trusting(authority))
        reply = await tokens.refresh(login(f"https://{NAME}:{server.port}/token"), limit=0.6, connect=0.6)

    assert isinstance(reply, Fault)
    assert (True, "timeout") == (reply.sent, reply.kind)
    assert 2 == len(seen)


async def test_this_machine_counts_as_verified() -> None:
    """On loopback nobody stands in between, so plain http follows as well."""

    seen: list[bytes] = []
    answers = {"/token": moved(307, "/token/"), "/token/": http_response("200 OK", TOKEN)}
    async with raw_server(routes(answers, seen)) as server:
        tokens = HttpTokens(bare_wire())
        reply = await tokens.refresh(login(f"http://127.0.0.1:{server.port}/token"), limit=AMPLE, connect=AMPLE)

    assert isinstance(reply, Answer)
    assert (200, 2) == (reply.status, len(seen))


async def test_a_code_is_redeemed_behind_a_redirect(authority: trustme.CA) -> None:
    """A sign-in works at such a server, and not only the refreshes after it."""

    seen: list[bytes] = []
    answers = {"/token": moved(308, "/token/"), "/token/": http_response("200 OK", TOKEN)}
    async with raw_server(routes(answers, seen), server_side(authority)) as server:
        code = CodeGrant(
            f"https://{NAME}:{server.port}/token", "c", Secret("c0de"), Secret("v" * 64), "http://127.0.0.1:1/x"
        )
        reply = await HttpTokens(trusting(authority)).exchange(code, limit=AMPLE, connect=AMPLE)

    assert isinstance(reply, Answer)
    assert 200 == reply.status
    assert all(b"code=c0de" in request for request in seen)


async def test_a_revocation_follows_nothing(authority: trustme.CA) -> None:
    """It is best effort, and the token is deleted here already."""

    seen: list[bytes] = []
    answers = {"/revoke": moved(307, "/revoke/"), "/revoke/": http_response("200 OK")}
    async with raw_server(routes(answers, seen), server_side(authority)) as server:
        base = f"https://{NAME}:{server.port}"
        confirmed = await HttpTokens(trusting(authority)).revoke(
            login(f"{base}/token", revocation_endpoint=f"{base}/revoke")
        )

    assert not confirmed
    assert 1 == len(seen)


@pytest.mark.parametrize(("location", "registered"), [("/register/", True), ("https://other.test/register/", False)])
async def test_a_registration_follows_the_same_rule(location: str, registered: bool) -> None:
    """Its body reaches the new address within the origin, and no other."""

    seen: list[bytes] = []
    body = json.dumps({"client_id": "c-1", "token_endpoint_auth_method": "none"}).encode()
    answers = {"/register": moved(307, location), "/register/": http_response("201 Created", body)}
    async with raw_server(routes(answers, seen)) as server:
        base = f"http://127.0.0.1:{server.port}"
        endpoints = Endpoints(base, f"{base}/authorize", f"{base}/token")
        endpoints = replace(endpoints, registration=f"{base}/register")
        client = await register(endpoints, ("a",), 8123, bare_wire())

    if registered:
        assert isinstance(client, RegisteredClient)
        assert "c-1" == client.id
        assert ["/register", "/register/"] == [path_of(request) for request in seen]
    else:
        assert isinstance(client, Problem)
        assert {"/register"} == {path_of(request) for request in seen}


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        (URL, "token/", f"{URL}/"),
        (f"{URL}/", "/t/acme/oauth/token", URL),
        (f"{URL}?p=b2c", "/t/acme/oauth/token/?p=b2c", f"{URL}/?p=b2c"),  # the query may hold the tenant, so it stays
        (f"{URL}?p=b2c", "/t/acme/oauth/token/", ""),
        ("https://as.test/a%20c;v=1/token", "token/", "https://as.test/a%20c;v=1/token/"),  # its own folder
        ("https://as.test/token", "https://as.test:0/token/", ""),
        ("https://AS.test:443/token", "https://as.test/token/", "https://as.test/token/"),  # the same origin
        ("https://as.test/token", "https://as.test:444/token/", ""),
        ("https://as.test/token", "/oauth/token", "https://as.test/oauth/token"),  # no tenant in the path
    ],
)
def test_what_counts_as_the_same_place(url: str, location: str, target: str) -> None:
    """Origin, query and folder; a redirect that nobody vouches for leads nowhere."""

    answer = Answer(307, {"location": location}, b"", verified=True)

    assert target == redirect_target(url, answer)
    assert "" == redirect_target(url, replace(answer, verified=False))
    assert "" == redirect_target(url, Fault(True, "timeout", ""))
