"""Authorization servers that demand more, each a real oidc-provider: sign-in, refresh, and an outage in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.real import node
from tests.real.form_sign_in import sign_in_by_forms
from tests.real.idp import Idp
from tests.real.relay import Fault, Relay
from tests.real.test_signin import Client, now, sign_in, spec_of
from tests.requirements import skip_or_fail
from trayapp.core.outcomes import Ambiguous, NotSent, Refreshed, ServerBusy
from trayapp.engine.ports import NewLogin
from trayapp.oauth.client_document import as_text, document
from trayapp.oauth.dpop import Prover, new_key
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.signing import public_key, read_key_file
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

pytestmark = pytest.mark.real


def served(*demands: str, document: str = "", client_key: str = "") -> Iterator[tuple[Relay, Idp]]:
    """A server that insists on this, behind its relay."""
    try:
        node.packages()
    except node.NodeMissing as error:
        skip_or_fail(str(error))
    with Relay() as relay, Idp(relay.url, demands=demands, document=document, client_key=client_key) as idp:
        relay.upstream = idp.address
        yield relay, idp


async def survives(relay: Relay, client: Client) -> None:
    """Three rotations, and faults in between that are no verdicts."""
    for fault, kind in ((None, Refreshed), (Fault.BUSY, ServerBusy), (Fault.RESET, Ambiguous), (None, Refreshed)):
        if fault is not None:
            relay.inject(fault)
        outcome = await client.refresh(limit=5.0)
        assert type(outcome) is kind
    assert isinstance(await client.refresh(), Refreshed)


# --- pushed authorization requests (RFC 9126) -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pushing() -> Iterator[tuple[Relay, Idp]]:
    yield from served("pushed")


async def test_a_server_that_wants_requests_pushed(pushing: tuple[Relay, Idp]) -> None:
    """A whole life: the browser gets a reference, the login is refreshed and survives outages."""

    relay, idp = pushing
    client = await sign_in(idp, "openid", "offline_access")
    assert "alice" == await client.subject(idp)
    await survives(relay, client)


async def test_a_page_that_was_left_and_opened_again(pushing: tuple[Relay, Idp]) -> None:
    """The second page has a reference of its own; the login comes of it."""

    _, idp = pushing
    wire, opened = Wire(), asyncio.Queue[str]()
    tokens, loop = HttpTokens(wire), asyncio.get_running_loop()
    flow = BrowserSignIn(
        wire, tokens, open_url=lambda url: loop.call_soon_threadsafe(opened.put_nowait, url) is not None
    )
    running = asyncio.create_task(flow.run(spec_of(idp), browser=True, show=lambda _: None, now=now))
    try:
        first = await asyncio.wait_for(opened.get(), 10)
        assert flow.reopen("real")
        second = await asyncio.wait_for(opened.get(), 10)
        assert {"client_id", "request_uri"} == parse_qs(urlsplit(second).query).keys()
        assert first != second
        assert "signed in" in (await asyncio.to_thread(sign_in_by_forms, second)).lower()
        assert isinstance(await running, NewLogin)
    finally:
        running.cancel()
        await flow.close()


# --- Client ID Metadata Documents -------------------------------------------------------------------------------------

HOSTED = "https://ada.invalid/amberlight.json"


@pytest.fixture(scope="module")
def reading() -> Iterator[tuple[Relay, Idp]]:
    yield from served(document=as_text(document(HOSTED)))


async def test_a_server_that_reads_the_clients_document(reading: tuple[Relay, Idp]) -> None:
    """What `amberlight client-metadata` prints is a client there: any port of this machine, refreshed like any other."""

    relay, idp = reading
    client = await sign_in(idp, "openid", "offline_access", client_id="", client_metadata_url=HOSTED)
    assert HOSTED == client.login.client_id
    assert 0 == idp.counts().registrations
    assert "alice" == await client.subject(idp)
    await survives(relay, client)


async def test_a_document_that_is_not_there(reading: tuple[Relay, Idp]) -> None:
    """The server shows its own refusal; without the setting, a client is registered as ever."""

    _, idp = reading
    with pytest.raises(AssertionError, match="auth answered 400"):
        await sign_in(idp, client_id="", client_metadata_url="https://ada.invalid/other.json")
    client = await sign_in(idp, client_id="")
    assert 1 == idp.counts().registrations
    assert isinstance(await client.refresh(), Refreshed)


# --- clients with a key (RFC 7523) ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from joserfc.jwk import ECKey

    file = tmp_path_factory.mktemp("keys") / "client.pem"
    file.touch(0o600)
    file.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    return file


@pytest.fixture(scope="module")
def keyed(key_file: Path) -> Iterator[tuple[Relay, Idp]]:
    yield from served("pushed", client_key=json.dumps(public_key(read_key_file(str(key_file)))))


async def test_a_client_that_proves_itself_by_its_key(keyed: tuple[Relay, Idp], key_file: Path) -> None:
    """Pushed request, code, refreshes, outages and revocation: an assertion of its own for each request."""

    relay, idp = keyed
    client = await sign_in(idp, "openid", "offline_access", client_id="keyed", client_key_file=str(key_file))
    assert client.login.client_secret is None
    await survives(relay, client)
    assert await client.tokens.revoke(client.login)


async def test_a_key_that_is_gone_costs_no_login(keyed: tuple[Relay, Idp], key_file: Path) -> None:
    """Nothing is sent without it; once it is back, so is the workload."""

    _, idp = keyed
    client = await sign_in(idp, "openid", "offline_access", client_id="keyed", client_key_file=str(key_file))
    away = key_file.with_suffix(".away")
    await asyncio.to_thread(key_file.rename, away)
    outcome = await client.refresh()
    await asyncio.to_thread(away.rename, key_file)
    assert isinstance(outcome, NotSent)
    assert "key file" in outcome.problem.summary
    assert isinstance(await client.refresh(), Refreshed)


# --- proof of possession (RFC 9449) -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def binding() -> Iterator[tuple[Relay, Idp]]:
    yield from served("nonces", "pushed")


async def test_a_server_that_demands_proofs_with_nonces(binding: tuple[Relay, Idp]) -> None:
    """Code, refreshes and outages, each proof with the server's nonce; the refresh token works with its key alone."""

    relay, idp = binding
    client = await sign_in(idp, "openid", "offline_access", dpop=True)
    assert client.login.proof_key is not None
    await survives(relay, client)
    stolen = replace(client.login, proof_key=new_key())
    assert not isinstance(await client.refresh(stolen), Refreshed)


async def test_a_bound_token_opens_the_door_with_its_proof(binding: tuple[Relay, Idp]) -> None:
    """At the server's own resource, userinfo: the proof that the proxy makes, and its one repeat for the nonce."""

    _, idp = binding
    client = await sign_in(idp, "openid", "offline_access", dpop=True)
    key, value, url = client.login.proof_key, client.access.reveal(), f"{idp.issuer}/me"
    assert key is not None
    prover = Prover()
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert "" == await client.subject(idp)  # as a bearer token
        answers = []
        for _ in range(2):
            head = {"Authorization": f"DPoP {value}", "DPoP": prover.proof(key, "GET", url, value)}
            answers.append(answer := await http.get(url, headers=head))
            prover.noted(key, url, answer.headers.get("dpop-nonce"))
    assert [401, 200] == [each.status_code for each in answers]
    assert "alice" == answers[1].json()["sub"]
