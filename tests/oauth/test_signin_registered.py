"""Sign-ins with nothing but a URL: the client registers itself. Also secrets entered by a person."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.oauth.attempts import NOW, Attempt, browse, get, quiet_log
from tests.oauth.authserver import AuthServer, auth_server
from tests.oauth.fake_web import AS, MCP, Web, internet
from tests.oauth.tls import bare_wire
from tests.taken_ports import take
from trayapp.core.model import Moment, Problem, Secret, Spec
from trayapp.core.outcomes import Reply
from trayapp.engine.ports import NewLogin
from trayapp.oauth.authorization_plan import AuthorizationPlan, Planner
from trayapp.oauth.client_store import ClientRecord, ClientRecords
from trayapp.oauth.loopback import bind
from trayapp.oauth.tokens import HttpTokens, refresh_request
from trayapp.oauth.wire import Request

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")

SECRET = "client-secret-canary-51"


def bare(server: AuthServer, **more: Any) -> Spec:
    """Configured by its address alone."""
    return Spec("github", f"{server.base}/mcp", **more)


async def sign_in(
    server: AuthServer, clients: ClientRecords, spec: Spec | None = None, now: Moment = NOW
) -> tuple[NewLogin | Problem, tuple[str, ...]]:
    """The whole flow, and what it told on its way."""
    async with Attempt(spec or bare(server), clients=clients, now=now) as attempt:
        waiting = asyncio.ensure_future(attempt.url())
        await asyncio.wait((waiting, attempt.task), return_when=asyncio.FIRST_COMPLETED)
        if attempt.task.done():
            waiting.cancel()
        else:
            await browse(await waiting)
        return await attempt.result(), attempt.signin.steps("github")


async def signed_in(
    server: AuthServer, clients: ClientRecords, spec: Spec | None = None, now: Moment = NOW
) -> NewLogin:
    result, _ = await sign_in(server, clients, spec, now)
    assert isinstance(result, NewLogin), result
    assert SECRET not in repr(result)
    return result


async def refused(server: AuthServer, clients: ClientRecords, spec: Spec | None = None) -> Problem:
    result, _ = await sign_in(server, clients, spec)
    assert isinstance(result, Problem), result
    return result


async def test_a_url_alone_is_enough_to_sign_in() -> None:
    """Server, resource and scopes are found, a client is registered, and the login knows all that a refresh needs."""

    async with auth_server(registers=True, protected={"scopes_supported": ["mcp"]}) as server:
        result, steps = await sign_in(server, ClientRecords())
        asked, exchanged = server.authorized[0], server.exchanged[0]

    assert isinstance(result, NewLogin)
    login, host = result.login, server.base.removeprefix("http://")
    assert (f"Found the sign-in server: {host}.", f"Registered Amberlight at {host}.") == steps
    assert ("c-1", "mcp", f"{server.base}/mcp") == (asked["client_id"], asked["scope"], asked["resource"])
    assert f"{server.base}/mcp" == exchanged["resource"]
    assert server.clients["c-1"]["redirect_uris"] == [asked["redirect_uri"]]
    assert ("c-1", server.issuer, f"{server.base}/token") == (login.client_id, login.issuer, login.token_endpoint)
    assert (f"{server.base}/mcp", f"{server.base}/revoke") == (login.resource, login.revocation_endpoint)
    assert login.registration is not None
    assert {"token_endpoint_auth_method": "none", "registered": True} == json.loads(login.registration.reveal())
    refresh = parse_qs(refresh_request(login).body)
    assert (["c-1"], [f"{server.base}/mcp"]) == (refresh["client_id"], refresh["resource"])


async def test_a_server_without_resource_metadata_is_signed_in_to() -> None:
    """One that speaks no RFC 9728 signs people in at its origin; no resource is named to it."""

    async with auth_server(registers=True, legacy=True) as server:
        new = await signed_in(server, ClientRecords())

    assert "resource" not in server.authorized[0] | server.exchanged[0]
    assert (server.issuer, "") == (new.login.issuer, new.login.resource)


async def test_a_registration_is_used_again() -> None:
    """With the same address, port and path: one client for all sign-ins, also after a failed one and in another run."""

    async with auth_server(registers=True, error="access_denied") as server:
        clients = ClientRecords()
        assert "denied" == (await refused(server, clients)).kind
        server.error = ""
        await signed_in(server, clients)
        await signed_in(server, clients)

    assert ["c-1"] == list(server.clients)
    assert 1 == len({asked["redirect_uri"] for asked in server.authorized})


async def test_a_registration_unknown_to_the_server_is_made_anew() -> None:
    """It is asked before a person is sent there, and made anew without a question."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        server.clients = {"somebody-else": {}}
        result, steps = await sign_in(server, clients)

    assert isinstance(result, NewLogin)
    assert "c-2" == result.login.client_id
    assert "no longer knows Amberlight's registration" in steps[1]
    assert [1, 1] == [sum(a["client_id"] == c for a in server.authorized) for c in ("c-1", "c-2")]


@pytest.mark.parametrize("where", ["redirect", "exchange"])
async def test_a_registration_lost_during_the_sign_in_is_made_anew_next_time(where: str) -> None:
    """The sign-in ends with a sentence, and the next one registers again."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        async with Attempt(bare(server), clients=clients) as attempt:
            page = await attempt.url()
            if where == "redirect":
                server.error = "unauthorized_client"
            else:
                server.clients = {}
            await browse(page)
            assert (await attempt.problem()).code in ("unauthorized_client", "invalid_client")
        server.error = ""
        server.clients = {"somebody-else": {}}
        await signed_in(server, clients)

    assert "c-2" == server.authorized[-1]["client_id"]


async def test_a_registration_whose_port_is_taken_is_made_anew() -> None:
    """A server may compare the whole address, so another port is another registration."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        port = urlsplit(server.authorized[0]["redirect_uri"]).port
        assert port is not None
        with take(port):
            await signed_in(server, clients)

    assert ["c-1", "c-2"] == list(server.clients)
    assert port != urlsplit(server.authorized[1]["redirect_uri"]).port


async def test_a_fixed_redirect_port_wants_a_registration_for_it() -> None:
    """One for any port is not used for a fixed one; one for this port is, also once no port is fixed any more."""

    with bind(0) as free:
        fixed = free.getsockname()[1]
    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        for port in (0, 0, fixed, fixed, 0):
            await signed_in(server, clients, bare(server, redirect_port=port))

    used = [(asked["client_id"], urlsplit(asked["redirect_uri"]).port) for asked in server.authorized]
    first = used[0][1]
    assert first not in (None, 0, fixed)
    assert [("c-1", first)] * 2 + [("c-2", fixed)] * 3 == used


@pytest.mark.parametrize("fixed", [True, False])
async def test_a_redirect_port_that_is_taken(fixed: bool) -> None:
    """The registration for a fixed port cannot move: the person is told which port. Without one it is made anew."""

    with bind(0) as free:
        port = free.getsockname()[1]
    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients, bare(server, redirect_port=port))
        with take(port):
            if fixed:
                problem = await refused(server, clients, bare(server, redirect_port=port))
                assert f"Port {port} (redirect_port of github) is used by another program" in problem.summary
            else:
                await signed_in(server, clients)

    assert (["c-1"] if fixed else ["c-1", "c-2"]) == list(server.clients)


async def test_a_registration_with_fewer_scopes_is_made_anew() -> None:
    """Many servers let a client ask only for what it registered."""

    async with auth_server(registers=True, protected={"scopes_supported": ["a"]}) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        server.protected = {"scopes_supported": ["a", "b"]}
        await signed_in(server, clients)
        server.protected = {"scopes_supported": ["b"]}
        await signed_in(server, clients)

    assert ["a", "a b"] == [client["scope"] for client in server.clients.values()]


async def test_a_confidential_registration() -> None:
    """The issued secret is kept, used at the exchange and at every refresh, and renewed before it ends."""

    issued = {"client_secret": SECRET, "client_secret_expires_at": NOW.wall + 10 * 86400}
    ways = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    async with auth_server(registers=True, registration=issued, metadata=ways) as server:
        clients = ClientRecords()
        new = await signed_in(server, clients)
        await signed_in(server, clients, now=replace(NOW, wall=NOW.wall + 2 * 86400))
        assert ["c-1"] == list(server.clients)
        await signed_in(server, clients, now=replace(NOW, wall=NOW.wall + 4 * 86400))
        assert ["c-1", "c-2"] == list(server.clients)

    assert "client_secret_basic" == server.clients["c-1"]["token_endpoint_auth_method"]
    proof = "Basic " + base64.b64encode(f"c-1:{SECRET}".encode()).decode()
    assert proof == server.proofs[0]
    assert proof == refresh_request(new.login).headers["Authorization"]
    assert "client_secret" not in server.exchanged[0]


@pytest.mark.parametrize(
    ("ways", "basic"), [(None, True), (["client_secret_post"], False), (["client_secret_basic", "none"], True)]
)
async def test_a_secret_that_a_person_gave(ways: object, basic: bool) -> None:
    """It proves the configured client as the server prefers, at the exchange and at every refresh."""

    async with auth_server(metadata={"token_endpoint_auth_methods_supported": ways}) as server:
        clients = ClientRecords()
        await clients.set_secret("github", Secret(SECRET))
        new = await signed_in(server, clients, bare(server, client_id="mine"))
        form = server.exchanged[0]

    proof = "Basic " + base64.b64encode(f"mine:{SECRET}".encode()).decode()
    refresh = refresh_request(new.login)
    assert (basic, not basic) == (server.proofs == [proof], form.get("client_secret") == SECRET)
    assert (basic, not basic) == (refresh.headers.get("Authorization") == proof, SECRET in refresh.body)
    assert server.issuer == (await clients.load("github")).secret_for


async def test_a_secret_is_never_shown_to_another_server() -> None:
    """The address now names another authorization server than the one that the secret was used with."""

    async with auth_server() as one, auth_server() as two:
        clients = ClientRecords()
        await clients.set_secret("github", Secret(SECRET))
        await signed_in(one, clients, bare(one, client_id="mine"))
        one.protected = {"authorization_servers": [two.issuer]}
        problem = await refused(one, clients, bare(one, client_id="mine"))
        assert "other_server" == problem.kind
        assert "amberlight secret set github" in problem.summary
        assert [] == two.exchanged + two.authorized

        await clients.set_secret("github", Secret(SECRET))  # the person agrees
        await signed_in(one, clients, bare(one, client_id="mine"))
    assert 1 == len(two.exchanged)


async def test_a_server_without_registration_needs_a_client_id() -> None:
    """The words say what to do, and where; the person is sent nowhere."""

    async with auth_server() as server:
        problem = await refused(server, ClientRecords())

    assert "registration" == problem.kind
    assert "doesn't register apps automatically. Create a client ID there" in problem.summary
    assert [] == server.authorized


async def test_an_earlier_discovery_is_used_while_the_workload_fails() -> None:
    """The workload can't be reached, its authorization server can: the stored discovery is used."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        with socket.create_server(("127.0.0.1", 0)) as is_unknown_client:
            url = f"http://127.0.0.1:{is_unknown_client.getsockname()[1]}/mcp"
        kept = await clients.load("github")
        clients = ClientRecords()
        await clients.save("github", replace(kept, url=url))
        spec = Spec("github", url)
        await signed_in(server, clients, spec)
        await clients.save("github", ClientRecord())
        assert "refused" == (await refused(server, clients, spec)).kind


async def test_offline_access_and_openid() -> None:
    """Asked for where the server knows them, so that there is a refresh token and a known account; never otherwise."""

    async with auth_server(registers=True, protected={"scopes_supported": ["mcp"]}) as server:
        server.metadata = {"scopes_supported": ["openid", "offline_access", "email"]}
        await signed_in(server, ClientRecords())
        server.metadata = {"scopes_supported": ["offline_access"]}
        await signed_in(server, ClientRecords())
        server.metadata = {"scopes_supported": ["email"]}
        await signed_in(server, ClientRecords())
        await signed_in(server, ClientRecords(), bare(server, scopes=("own",)))

    assert ["mcp openid offline_access", "mcp offline_access", "mcp", "own"] == [a["scope"] for a in server.authorized]
    assert ["consent", None, None, None] == [a.get("prompt") for a in server.authorized]


async def test_a_localhost_redirect_is_served_on_both_loopback_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server wants `localhost`, both loopback addresses answer, and the number is no name."""

    async with auth_server(registers=True) as server:
        real = AuthServer._register

        def picky(self: AuthServer, asked: dict[str, Any]) -> Any:
            from aiohttp import web

            if "127.0.0.1" in asked["redirect_uris"][0]:
                return web.json_response({"error": "invalid_redirect_uri"}, status=400)
            return real(self, asked)

        monkeypatch.setattr(AuthServer, "_register", picky)
        async with Attempt(bare(server), clients=ClientRecords()) as attempt:
            page = await attempt.url()
            uri = parse_qs(urlsplit(page).query)["redirect_uri"][0]
            port = urlsplit(uri).port
            assert "localhost" == urlsplit(uri).hostname
            assert 403 == (await get(uri.replace("localhost", "127.0.0.1"))).status_code
            reader, writer = await asyncio.open_connection("::1", port)
            writer.write(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
            writer.close()
            assert "Signed in" in (await browse(page)).text
            await attempt.login()


async def test_without_a_redirect() -> None:
    """A sign-in by device code registers the same client, with an address for later, and listens to nothing."""

    ways = {"device_authorization_endpoint": "http://127.0.0.1:1/device"}
    async with auth_server(registers=True, metadata=ways) as server:
        clients, wire = ClientRecords(), bare_wire()
        planner = Planner(wire, HttpTokens(wire), clients)
        for _ in range(2):
            plan = await planner.prepare_server(bare(server, flow="device"), lambda line: None)
            assert isinstance(plan, AuthorizationPlan)
            ready = await planner.client(plan, NOW.wall, lambda line: None, listen=False)
            assert not isinstance(ready, Problem)
            assert ("c-1", None) == (ready[0].spec.client_id, ready[1])
        await signed_in(server, clients)

    assert ["c-1"] == list(server.clients)
    assert "urn:ietf:params:oauth:grant-type:device_code" in server.clients["c-1"]["grant_types"]


async def test_a_trailing_slash_of_the_issuer_is_tolerated() -> None:
    """Libraries that write resource metadata add one to an origin; that is no other issuer."""

    async with auth_server(registers=True) as server:
        server.protected = {"authorization_servers": [f"{server.issuer}/"]}
        assert server.issuer == (await signed_in(server, ClientRecords())).login.issuer
        server.metadata = {"issuer": f"{server.issuer}/x"}
        problem = await refused(server, ClientRecords())

    assert "a different issuer than expected" in problem.summary


@pytest.mark.parametrize(("named", "own"), [("/realms/a/", "/realms/a"), ("/realms/a", "/realms/a/")])
async def test_a_trailing_slash_of_an_issuer_with_a_path_is_tolerated(named: str, own: str) -> None:
    """Either side may have it; the issuer's own spelling is what the login and its `iss` are held against."""

    documents = ("/.well-known/oauth-authorization-server/realms/a",)
    async with auth_server(registers=True, path=own, documents=documents) as server:
        server.metadata = {"authorization_response_iss_parameter_supported": True}
        server.answer = {"iss": server.base + own}
        server.protected = {"authorization_servers": [server.base + named]}
        assert server.base + own == (await signed_in(server, ClientRecords())).login.issuer
        server.answer = {"iss": server.base + named}
        assert "came from a different server" in (await refused(server, ClientRecords())).summary


@pytest.mark.parametrize("own", ["/realms/a//", "/realms/A", "/realms/a/b", "/realms/a?", "/realms/%61", "//realms/a"])
async def test_nothing_but_one_trailing_slash_is_tolerated(own: str) -> None:
    """A tenant's neighbour on the same host is another issuer."""

    documents = ("/.well-known/oauth-authorization-server/realms/a",)
    async with auth_server(registers=True, path="/realms/a", documents=documents) as server:
        server.metadata = {"issuer": server.base + own}
        problem = await refused(server, ClientRecords())

    assert "a different issuer than expected" in problem.summary


async def test_pkce_is_not_given_up() -> None:
    """A found server that lists other methods only is refused, before anything is registered there."""

    for methods in (["plain"], [], "S256", {"S256": 1}):
        async with auth_server(registers=True, metadata={"code_challenge_methods_supported": methods}) as server:
            problem = await refused(server, ClientRecords())
        assert "PKCE with S256" in problem.summary
        assert {} == server.clients


async def test_the_second_server_is_used_if_the_first_cannot() -> None:
    """They are tried in order."""

    async with auth_server(documents=()) as broken, auth_server(registers=True) as server:
        server.protected = {"authorization_servers": [broken.issuer, server.issuer]}
        assert server.issuer == (await signed_in(server, ClientRecords())).login.issuer


async def test_a_secret_that_is_given_while_the_server_is_looked_for() -> None:
    """What is found is written beside it, not over it."""

    clients = ClientRecords()

    class Slow(Web):
        async def send(self, request: Request, **more: Any) -> Reply:
            if request.url.startswith(AS):  # the workload has been asked, and what is kept was read
                await clients.set_secret("github", Secret(SECRET))
            return await super().send(request, **more)

    web = Slow(internet().served)
    plan = await Planner(web, HttpTokens(web), clients).prepare_server(Spec("github", MCP, "own"), lambda line: None)

    assert isinstance(plan, AuthorizationPlan)
    kept = await clients.load("github")
    assert (Secret(SECRET), MCP) == (kept.secret, kept.url)


# --- what a person says instead ----------------------------------------------------------------------------------------


async def test_a_server_that_names_another_issuer_than_itself() -> None:
    """It can't be helped by us; a person names its metadata by hand, and resource and scopes are still found."""

    async with auth_server(registers=True, protected={"scopes_supported": ["mcp"]}) as server:
        server.metadata = {"issuer": "https://inside.test"}
        problem = await refused(server, ClientRecords())
        assert 'a different issuer than expected: "https://inside.test"' in problem.summary
        assert "metadata_url" in problem.summary
        assert {} == server.clients

        clients = ClientRecords()
        spec = bare(server, metadata_url=f"{server.base}/.well-known/oauth-authorization-server")
        login = (await signed_in(server, clients, spec)).login
        await signed_in(server, clients, spec)

    assert ("https://inside.test", f"{server.base}/mcp", "mcp") == (login.issuer, login.resource, login.scope)
    assert ["c-1"] == list(server.clients)


async def test_metadata_by_hand_where_the_url_says_nothing() -> None:
    """A server whose resource metadata can't be used: what a person says is enough."""

    async with auth_server(registers=True, documents=("/m",)) as server:
        server.protected = {"resource": "https://other.test/mcp"}
        await refused(server, ClientRecords())
        login = (await signed_in(server, ClientRecords(), bare(server, metadata_url=f"{server.base}/m"))).login

    assert "" == login.resource
    assert "resource" not in server.authorized[0] | server.exchanged[0]


@pytest.mark.parametrize("where", ["redirect", "exchange"])
async def test_a_server_that_refuses_the_resource(where: str) -> None:
    """The sentence says how to leave it out, and then it is left out everywhere."""

    async with auth_server(registers=True) as server:
        if where == "redirect":
            server.error = "invalid_target"
        else:
            server.token_status = 400
            server.grant = dict.fromkeys(("access_token", "refresh_token", "expires_in")) | {"error": "invalid_target"}
        problem = await refused(server, ClientRecords())
        assert 'check resource, or set it to "" to leave it out' in problem.summary
        assert "invalid_target" == problem.code

        server.error, server.token_status, server.grant = "", 200, {}
        login = (await signed_in(server, ClientRecords(), bare(server, omit_resource=True))).login

    assert "resource" not in server.authorized[-1] | server.exchanged[-1]
    assert "resource" not in parse_qs(refresh_request(login).body)
