"""Proof of possession (RFC 9449): the proof, the servers' nonces, and whole lives of bound logins."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from tests.oauth.attempts import Attempt
from tests.oauth.authserver import auth_server
from tests.oauth.fake_web import MCP, Web, internet, page, resource
from tests.oauth.tls import bare
from tests.oauth.token_requests import login
from trayapp.core.classify import classify
from trayapp.core.model import Login, Problem, Secret, Spec
from trayapp.core.outcomes import Answer, Fault, NotSent, Refreshed, Reply, ServerBusy
from trayapp.oauth.client_store import ClientRecord, from_text, to_text
from trayapp.oauth.discovery import DiscoveredServer, discover
from trayapp.oauth.dpop import KEYS_MAX, BadKeyError, Prover, new_key, target_of, thumbprint, wants_nonce
from trayapp.oauth.redirects import send_with_redirect
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Request, Wire
from trayapp.oauthtest import EchoWorkload, OAuthServer
from trayapp.oauthtest import browse as visit

KEY = new_key()
URL = "https://login.test/token"
WALL = 1_700_000_000.9


def opened(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a proof, whose signature is checked with the key in it."""
    header = jws.extract_compact(proof.encode()).headers()
    payload = jws.deserialize_compact(proof, ECKey.import_key(header["jwk"]), algorithms=["ES256"]).payload
    return dict(header), json.loads(payload)


# --- the proof ---------------------------------------------------------------------------------------------------------


def test_the_proof_is_the_one_of_the_rfc() -> None:
    """Section 4.2: type, algorithm and public key; method, address, time and a number of its own."""

    prover = Prover(lambda: WALL)
    header, claims = opened(prover.proof(KEY, "POST", f"{URL}?tenant=1"))
    _, again = opened(prover.proof(KEY, "POST", URL))
    assert ("dpop+jwt", "ES256") == (header["typ"], header["alg"])
    assert {"kty", "crv", "x", "y"} == header["jwk"].keys()
    assert {"jti", "htm", "htu", "iat"} == claims.keys()
    assert ("POST", URL, int(WALL)) == (claims["htm"], claims["htu"], claims["iat"])
    assert claims["jti"] != again["jti"]
    assert len(claims["jti"]) >= 16


def test_a_resources_proof_names_the_token() -> None:
    """Section 4.2: `ath` is the hash of the very token that goes with it."""

    _, claims = opened(Prover().proof(KEY, "GET", MCP, "the-token"))
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"the-token").digest()).rstrip(b"=").decode()
    assert digest == claims["ath"]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.test/x?y=1", "https://a.test/x"),
        ("https://a.test", "https://a.test/"),
        ("https://a.test:8443/x/%7Ey", "https://a.test:8443/x/%7Ey"),
        ("HTTPS://A.Test:443/X", "https://a.test/X"),
        ("http://[::1]:80//x", "http://[::1]//x"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443/"),
    ],
)
def test_the_address_has_neither_query_nor_fragment(url: str, target: str) -> None:
    """Otherwise as it is requested: the host as in the Host header, which servers build their own address from."""

    assert target == target_of(url)


def test_each_server_has_its_own_nonce() -> None:
    """Section 8.2: the newest one of the origin, and for this login's key alone. What is no nonce is none."""

    prover, other = Prover(), new_key()
    assert prover.noted(KEY, URL, "one")
    assert prover.noted(KEY, URL, "two")
    for odd in (None, "", "a b", 'a"b', "x" * 600):
        assert not prover.noted(KEY, URL, odd)
    assert "two" == opened(prover.proof(KEY, "POST", "https://login.test/other"))[1]["nonce"]
    assert "nonce" not in opened(prover.proof(KEY, "POST", "https://mcp.test/"))[1]
    assert "nonce" not in opened(prover.proof(other, "POST", URL))[1]


def test_what_is_remembered_has_a_limit() -> None:
    """However many servers and logins come and go."""

    prover = Prover()
    for number in range(KEYS_MAX + 3):
        prover.noted(KEY, f"https://s{number}.test/", "n")
    assert "nonce" not in opened(prover.proof(KEY, "GET", "https://s0.test/"))[1]
    assert "nonce" in opened(prover.proof(KEY, "GET", f"https://s{KEYS_MAX + 2}.test/"))[1]
    keys = [new_key() for _ in range(KEYS_MAX + 1)]
    assert all(prover.proof(key, "GET", URL) for key in (*keys, keys[0]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"kty":"EC"}',
        '{"kty":' * 3000,
        json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
        json.dumps(ECKey.generate_key("P-256").as_dict(private=True) | {"use": "enc"}),
        json.dumps(ECKey.generate_key("P-384").as_dict(private=True)),
    ],
    ids=map(str, range(8)),
)
async def test_a_damaged_key_sends_nothing(text: str) -> None:
    """No verdict: the login stays as it is."""

    with pytest.raises(BadKeyError):
        Prover().proof(Secret(text), "GET", URL)
    outcome = classify(
        await HttpTokens(Wire("0", bare)).refresh(login(URL, proof_key=Secret(text)), limit=1, connect=1)
    )
    assert isinstance(outcome, NotSent)
    assert "key of this login" in outcome.problem.summary


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (Answer(400, {"dpop-nonce": "n"}, b'{"error":"use_dpop_nonce"}'), True),
        (Answer(401, {"dpop-nonce": "n"}, b'{"error":"use_dpop_nonce"}'), True),
        (Answer(400, {}, b'{"error":"use_dpop_nonce"}'), False),
        (Answer(400, {"dpop-nonce": "n"}, b'{"error":"invalid_grant"}'), False),
        (Answer(400, {"dpop-nonce": "n"}, b"[1]"), False),
        (Answer(400, {"dpop-nonce": "n"}, b"{"), False),
        (Answer(503, {"dpop-nonce": "n"}, b'{"error":"use_dpop_nonce"}'), False),
        (Fault(True, "eof", "x"), False),
    ],
)
def test_what_asks_for_a_nonce(reply: Reply, wanted: bool) -> None:
    """Section 8: the error, and the nonce itself."""

    assert wanted is wants_nonce(reply)


# --- refreshing --------------------------------------------------------------------------------------------------------


class Endpoint(Wire):
    """A token endpoint that answers in order, and what it was sent."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__("0", bare)
        self.replies, self.requests = list(replies), list[Request]()

    async def send(self, request: Request, **_: Any) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0)

    def claims(self) -> list[dict[str, Any]]:
        return [opened(each.headers["DPoP"])[1] for each in self.requests]


NONCE = Answer(400, {"dpop-nonce": "fresh"}, b'{"error":"use_dpop_nonce"}', True)
GRANTED = Answer(200, {"dpop-nonce": "next"}, b'{"access_token":"at","token_type":"DPoP"}', True)


async def test_a_nonce_challenge_is_one_repeat_within_the_attempt() -> None:
    """No verdict and no failure; the next refresh begins with the newest nonce."""

    wire = Endpoint(NONCE, GRANTED, GRANTED)
    tokens, held = HttpTokens(wire), login(URL, proof_key=KEY)
    outcome = classify(await tokens.refresh(held, limit=5, connect=5))
    assert isinstance(outcome, Refreshed)
    assert outcome.bound
    await tokens.refresh(held, limit=5, connect=5)
    assert [None, "fresh", "next"] == [each.get("nonce") for each in wire.claims()]
    assert 3 == len({each["jti"] for each in wire.claims()})
    assert 1 == len({each.body for each in wire.requests})


async def test_a_second_challenge_is_no_verdict_either() -> None:
    """The server is busy with itself; the login is kept, and the next attempt tries again."""

    wire = Endpoint(NONCE, NONCE)
    outcome = classify(await HttpTokens(wire).refresh(login(URL, proof_key=KEY), limit=5, connect=5))
    assert isinstance(outcome, ServerBusy)
    assert 2 == len(wire.requests)


async def test_a_bad_proof_is_no_verdict() -> None:
    """A clock that is wrong must not end a login."""

    wire = Endpoint(Answer(400, {}, b'{"error":"invalid_dpop_proof"}', True))
    outcome = classify(await HttpTokens(wire).refresh(login(URL, proof_key=KEY), limit=5, connect=5))
    assert isinstance(outcome, ServerBusy)


async def test_other_logins_have_no_proof() -> None:
    """Nor is the challenge of a server that asks them for a nonce followed."""

    wire = Endpoint(NONCE)
    outcome = classify(await HttpTokens(wire).refresh(login(URL), limit=5, connect=5))
    assert isinstance(outcome, ServerBusy)
    assert "DPoP" not in wire.requests[0].headers


async def test_a_redirect_gets_a_proof_for_its_address() -> None:
    """A proof for another address would be refused."""

    wire = Endpoint(Answer(308, {"location": "https://login.test/token/"}, b"", True), GRANTED)
    await HttpTokens(wire).refresh(login(URL, proof_key=KEY), limit=5, connect=5)
    assert [URL, f"{URL}/"] == [each["htu"] for each in wire.claims()]
    plain = Endpoint(Answer(308, {"location": "https://login.test/token/"}, b"", True), GRANTED)
    await send_with_redirect(plain, Request("POST", URL), limit=5)
    assert f"{URL}/" == plain.requests[1].url


async def test_who_has_no_bound_login_loads_nothing() -> None:
    """joserfc and cryptography stay on the disk."""

    modules = "trayapp.oauth.tokens, trayapp.proxy.forwarding, trayapp.proxy.proxy, trayapp.app.runtime"
    code = f"import sys, {modules}; print('joserfc' in sys.modules, 'trayapp.proxy.proofs' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert b"False False" == (await process.communicate())[0].strip()


# --- signing in --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bound() -> Iterator[tuple[OAuthServer, EchoWorkload]]:
    """A server whose tokens are all bound, with nonces, and a workload that says so in its metadata."""
    with OAuthServer(dpop=True, registration=True, subject="alice") as server, EchoWorkload(server) as workload:
        yield server, workload


async def test_a_resource_that_demands_it(bound: tuple[OAuthServer, EchoWorkload]) -> None:
    """Sign-in, with the code bound to the key as well (section 10), two refreshes with changing nonces, and revocation."""

    server, workload = bound
    async with Attempt(Spec("mail", workload.url)) as attempt:
        url = await attempt.url()
        tab = asyncio.create_task(asyncio.to_thread(visit, url))
        new = await attempt.login()
        await tab
    key = new.login.proof_key
    assert key is not None
    assert key == new.access.proof_key
    assert [thumbprint(key)] == parse_qs(urlsplit(url).query)["dpop_jkt"]
    assert thumbprint(key) == server.access_key(new.access.value.reveal())
    tokens, held = HttpTokens(Wire("0", bare)), new.login
    for _ in range(2):
        server.new_nonce()
        outcome = classify(await tokens.refresh(held, limit=5, connect=2))
        assert isinstance(outcome, Refreshed)
        assert outcome.refresh_token is not None
        held = held.rotated(outcome.refresh_token, 0.0)
    assert key == held.proof_key
    assert key.reveal() not in repr((new, held))
    assert await tokens.revoke(held)
    assert 2 * 3 == server.count("token")


async def test_each_sign_in_has_a_key_of_its_own(bound: tuple[OAuthServer, EchoWorkload]) -> None:
    """A stolen one is worth one login."""

    _, workload = bound
    keys = []
    for _ in range(2):
        async with Attempt(Spec("mail", workload.url)) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            keys.append((await attempt.login()).login.proof_key)
            await tab
    assert keys[0] != keys[1]


async def test_another_key_is_refused(bound: tuple[OAuthServer, EchoWorkload]) -> None:
    """The refresh token of a public client is bound (section 5)."""

    _, workload = bound
    async with Attempt(Spec("mail", workload.url)) as attempt:
        tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
        new = await attempt.login()
        await tab
    stolen = replace(new.login, proof_key=new_key())
    outcome = classify(await HttpTokens(Wire("0", bare)).refresh(stolen, limit=5, connect=2))
    assert not isinstance(outcome, Refreshed)


async def test_a_person_may_set_it() -> None:
    """Where the issuer is configured, nobody looks at the resource's metadata; also by a device code."""

    for flow in ("browser", "device"):
        with OAuthServer(dpop=True, device=flow == "device", device_interval=0.01) as server:
            spec = Spec(
                "mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer, dpop=True, flow=flow
            )
            async with Attempt(spec) as attempt:
                tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
                new = await attempt.login()
                await tab
        assert new.login.proof_key is not None


async def test_lists_of_algorithms_are_no_demand() -> None:
    """Many servers list some and bind nothing unless asked."""

    with OAuthServer(metadata_changes={"dpop_signing_alg_values_supported": ["ES256"]}) as server:
        spec = Spec("mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer)
        async with Attempt(spec) as attempt:
            url = await attempt.url()
            tab = asyncio.create_task(asyncio.to_thread(visit, url))
            new = await attempt.login()
            await tab
    assert new.login.proof_key is None
    assert "dpop_jkt" not in url


async def test_a_server_without_our_algorithm_is_a_problem() -> None:
    """Said before any browser opens."""

    with OAuthServer(metadata_changes={"dpop_signing_alg_values_supported": ["EdDSA"]}) as server:
        spec = Spec("mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer, dpop=True)
        async with Attempt(spec, browser=True) as attempt:
            problem = await attempt.problem()
    assert "ES256" in problem.summary
    assert [] == attempt.opened


async def test_a_token_that_is_not_bound_is_discarded() -> None:
    """Section 5: the resource would refuse it, and whoever demanded a bound one has a reason."""

    async with auth_server() as server:
        spec = Spec("github", "https://mcp.test/", client_id="the-client", issuer=server.issuer, dpop=True)
        async with Attempt(spec) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            problem = await attempt.problem()
            await tab
    assert isinstance(problem, Problem)
    assert "isn't bound" in problem.summary


@pytest.mark.parametrize(("value", "wanted"), [(True, True), (False, False), ("true", False), (None, False)])
async def test_what_the_resources_metadata_says(value: object, wanted: bool) -> None:
    """Only its own word counts (RFC 9728 section 2); it is remembered with what was found."""

    web: Web = internet(path=page(200, resource(dpop_bound_access_tokens_required=value)))
    found = await discover(MCP, web)
    assert isinstance(found, DiscoveredServer)
    assert wanted is found.dpop
    record = ClientRecord(url=MCP, discovered=found)
    assert record == from_text(to_text(record))


def kept(outcome: Callable[[Login], Login]) -> Login:
    return outcome(login(URL, proof_key=KEY))


def test_a_rotation_keeps_the_key() -> None:
    """The key is the login's, not the token's."""

    assert KEY == kept(lambda held: held.rotated(Secret("rt-2"), 1.0)).proof_key
