"""Client ID Metadata Documents: what is hosted, what servers would refuse, and when it is the client of a sign-in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.oauth.attempts import Attempt, browse
from tests.oauth.authserver import AuthServer, auth_server
from tests.oauth.fake_web import Web, page
from tests.oauth.tls import bare
from trayapp.core.classify import classify
from trayapp.core.model import Problem, Spec
from trayapp.core.outcomes import Fault, Refreshed
from trayapp.engine.ports import NewLogin
from trayapp.oauth import client_document
from trayapp.oauth.client_document import SIZE_MAX, as_text, document, fault_in, look, redirect_uri
from trayapp.oauth.preview import ServerLook
from trayapp.oauth.preview import look as preview
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer
from trayapp.oauthtest import browse as visit

URL = "https://ada.example/amberlight.json"
SUPPORTED: dict[str, object] = {"client_id_metadata_document_supported": True}


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault | str], list[str]]:
    """Say what looking at the document comes to; returns the addresses that were looked at."""

    def set_result(result: Fault | str) -> list[str]:
        looked: list[str] = []

        async def looking(
            url: str, port: int, wire: Wire, limit: float = 1.0, *, keyed: bool | None = None
        ) -> Fault | str:
            looked.append(url)
            return result

        monkeypatch.setattr(client_document, "look", looking)
        return looked

    return set_result


def spec_of(server: AuthServer, **more: Any) -> Spec:
    return Spec("mail", "https://mcp.test/", issuer=server.issuer, client_metadata_url=URL, **more)


async def sign_in(spec: Spec) -> tuple[NewLogin | Problem, tuple[str, ...]]:
    async with Attempt(spec) as attempt:
        tab = asyncio.create_task(browse(await attempt.url()))
        result = await attempt.result()
        await tab
        return result, attempt.signin.steps(spec.name)


# --- which client a sign-in uses --------------------------------------------------------------------------------------


async def test_the_document_is_the_client_where_the_server_takes_such(hosted: Callable[[str], list[str]]) -> None:
    """Nothing is registered; the redirect is the one of the document, at a port of its own (RFC 8252 section 7.3)."""

    hosted("")
    async with auth_server(registers=True, metadata=SUPPORTED) as server:
        server.clients = {URL: {}}
        result, steps = await sign_in(spec_of(server))

    assert isinstance(result, NewLogin)
    assert URL == result.login.client_id
    assert result.login.client_secret is None
    assert [URL] == list(server.clients)
    redirect = urlsplit(server.authorized[0]["redirect_uri"])
    assert ("127.0.0.1", "/callback") == (redirect.hostname, redirect.path)
    assert any("ada.example" in step for step in steps)


async def test_a_configured_id_comes_first(hosted: Callable[[str], list[str]]) -> None:
    """Order: client_id, document, registration. The document isn't even looked at."""

    looked = hosted("")
    async with auth_server(metadata=SUPPORTED) as server:
        result, _ = await sign_in(spec_of(server, client_id="the-client"))

    assert isinstance(result, NewLogin)
    assert "the-client" == result.login.client_id
    assert [] == looked


async def test_a_server_that_takes_none_registers_the_client(hosted: Callable[[str], list[str]]) -> None:
    """Without the metadata's word, the address would be an unknown client."""

    looked = hosted("")
    async with auth_server(registers=True) as server:
        result, _ = await sign_in(spec_of(server))

    assert isinstance(result, NewLogin)
    assert "c-1" == result.login.client_id
    assert [] == looked


async def test_a_document_that_is_wrong_gives_way_to_a_registration(hosted: Callable[[str], list[str]]) -> None:
    """The person is told; without registration, that is the end of the sign-in, before any browser opens."""

    hosted("has a client_id other than its own address")
    async with auth_server(registers=True, metadata=SUPPORTED) as server:
        result, steps = await sign_in(spec_of(server))
    async with auth_server(metadata=SUPPORTED) as other, Attempt(spec_of(other), browser=True) as attempt:
        problem = await attempt.problem()

    assert isinstance(result, NewLogin)
    assert "c-1" == result.login.client_id
    assert any("has a client_id other than" in step for step in steps)
    assert "client_document" == problem.kind
    assert "amberlight doctor" in problem.summary
    assert [] == attempt.opened


async def test_a_document_that_only_the_server_can_reach_is_used(hosted: Callable[[Fault], list[str]]) -> None:
    """A firewall between here and there proves nothing."""

    hosted(Fault(False, "dns", "x"))
    async with auth_server(metadata=SUPPORTED) as server:
        result, _ = await sign_in(spec_of(server))

    assert isinstance(result, NewLogin)
    assert URL == result.login.client_id


async def test_a_fixed_port_is_in_the_redirect(hosted: Callable[[str], list[str]], unused_tcp_port: int) -> None:
    """For servers that compare the whole address; the printed document then lists it."""

    hosted("")
    async with auth_server(metadata=SUPPORTED) as server:
        await sign_in(spec_of(server, redirect_port=unused_tcp_port))

    assert redirect_uri(unused_tcp_port) == server.authorized[0]["redirect_uri"]
    assert redirect_uri(unused_tcp_port) in document(URL, [0, unused_tcp_port])["redirect_uris"]


async def test_a_server_that_does_not_accept_it_says_so_in_our_words(hosted: Callable[[str], list[str]]) -> None:
    """`check client_id and its secret` would lead nowhere."""

    hosted("")
    async with auth_server(registers=True, metadata=SUPPORTED) as server:
        result, _ = await sign_in(spec_of(server))

    assert isinstance(result, Problem)
    assert "invalid_client" == result.code
    assert "client metadata document" in result.summary


async def test_a_whole_life_with_a_server_that_wants_requests_pushed(hosted: Callable[[str], list[str]]) -> None:
    """The address is the client's id in every request; it has no secret."""

    hosted("")
    with OAuthServer(client_id=URL, pushed="required", metadata_changes=SUPPORTED) as server:
        spec = Spec("mail", "https://mcp.test/", issuer=server.issuer, client_metadata_url=URL)
        async with Attempt(spec) as attempt:
            url = await attempt.url()
            assert [URL] == parse_qs(urlsplit(url).query)["client_id"]
            tab = asyncio.create_task(asyncio.to_thread(visit, url))
            new = await attempt.login()
            await tab
        outcome = classify(await HttpTokens(Wire("0", bare)).refresh(new.login, limit=5, connect=2))
        assert isinstance(outcome, Refreshed)


async def test_a_device_code_with_a_document(hosted: Callable[[str], list[str]]) -> None:
    """There is no redirect then, and the client is the same."""

    hosted("")
    with OAuthServer(client_id=URL, device=True, device_interval=0.01, metadata_changes=SUPPORTED) as server:
        spec = Spec("mail", "https://mcp.test/", issuer=server.issuer, client_metadata_url=URL, flow="device")
        async with Attempt(spec) as attempt:
            assert 200 == await asyncio.to_thread(visit, await attempt.url())
            new = await attempt.login()

    assert URL == new.login.client_id


async def test_adding_needs_no_client_id_then() -> None:
    """A server without registration is no reason to ask a person for a client."""

    async with auth_server(metadata=SUPPORTED) as server:
        wire = Wire("0", bare)
        looks = [await preview(spec, wire, HttpTokens(wire)) for spec in (spec_of(server), without(spec_of(server)))]

    assert [True, False] == [isinstance(each, ServerLook) and each.registers for each in looks]


def without(spec: Spec) -> Spec:
    return replace(spec, client_metadata_url="")


# --- the document ------------------------------------------------------------------------------------------------------


def served(content: object, status: int = 200, kind: str = "application/json") -> Web:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Web({URL: page(status, body, Content_Type=kind)})


def test_what_is_printed_is_accepted() -> None:
    """Public, native, with the names that MCP demands, and nothing secret."""

    made = document(URL)
    assert {"client_id", "client_name", "redirect_uris"} <= made.keys()
    assert ("none", "native") == (made["token_endpoint_auth_method"], made["application_type"])
    assert json.loads(as_text(made)) == made
    assert "" == fault_in(made, URL, 0)
    assert len(as_text(made)) < SIZE_MAX


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_id": f"{URL}/"}, "a client_id other than"),
        ({"client_id": None}, "a client_id other than"),
        ({"client_secret": "x"}, "contains a client secret"),
        ({"client_secret_expires_at": 0}, "contains a client secret"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": ...}, "token_endpoint_auth_method"),
        ({"redirect_uris": ["http://localhost/callback"]}, "redirect address"),
        ({"redirect_uris": ...}, "redirect address"),
        ({"grant_types": ...}, "grant types"),
        ({"grant_types": ["authorization_code"]}, "grant types"),
        ({"grant_types": 7}, "grant types"),
        ({"client_name": ...}, "client_name"),
    ],
)
def test_what_servers_refuse_is_found(change: dict[str, Any], words: str) -> None:
    """Each MUST of the draft and of MCP that concerns its content."""

    made = {name: value for name, value in (document(URL) | change).items() if value is not ...}
    assert words in fault_in(made, URL, 0)


async def test_a_good_document() -> None:
    """Also as another kind of JSON."""

    for kind in ("application/json", "application/json; charset=utf-8", "application/cimd+json"):
        assert "" == await look(URL, 0, served(document(URL), kind=kind))


@pytest.mark.parametrize(
    ("web", "words"),
    [
        (served(document(URL), status=404), "HTTP 404"),
        (Web({URL: page(302, b"", Location=f"{URL}.new"), f"{URL}.new": page(200, document(URL))}), "HTTP 302"),
        (served(document(URL), kind="text/html"), "isn't JSON"),
        (served(b"{"), "isn't JSON"),
        (served([1]), "isn't JSON"),
        (served(document(URL) | {"note": "x" * SIZE_MAX}), "longer"),
        (served(document(URL, [8080])), "redirect address http://127.0.0.1/callback"),
    ],
)
async def test_what_a_server_would_not_take(web: Web, words: str) -> None:
    """It fetches the document without following redirects."""

    fault = await look(URL, 0, web)
    assert isinstance(fault, str)
    assert words in fault
