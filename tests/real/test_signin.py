"""Sign-in and refresh against oidc-provider, through a relay that injects faults.

Two tests use real Chromium; the others submit the same forms over plain HTTP, which is faster.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import httpx2
import pytest

from tests.real import browser
from tests.real.form_sign_in import sign_in_by_forms
from tests.real.idp import Idp
from tests.real.relay import Fault, Relay
from trayapp.core.classify import classify
from trayapp.core.model import Login, Moment, Spec
from trayapp.core.outcomes import Ambiguous, Outcome, Refreshed, Refused, ServerBusy
from trayapp.engine.ports import NewLogin
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

pytestmark = pytest.mark.real


def now() -> Moment:
    return Moment(monotonic(), monotonic(), time())


def spec_of(idp: Idp, *scopes: str, client_id: str = Idp.client_id, redirect_port: int = 0) -> Spec:
    """Only the issuer is configured: the endpoints come from the server's own metadata."""
    return Spec(
        "real",
        "http://127.0.0.1:9/mcp",
        client_id=client_id,
        issuer=idp.issuer,
        scopes=scopes or ("openid",),
        redirect_port=redirect_port,
    )


class Client:
    """A login and what a careful client does with it: send the newest refresh token, keep what comes back."""

    def __init__(self, new: NewLogin, tokens: HttpTokens) -> None:
        self.login = new.login
        self.access = new.access.value
        self.tokens = tokens

    async def refresh(self, login: Login | None = None, *, limit: float = 10.0) -> Outcome:
        """One attempt; `login` sends another token than the newest."""
        outcome = classify(await self.tokens.refresh(login or self.login, limit=limit, connect=5.0))
        if isinstance(outcome, Refreshed):
            self.access = outcome.access_token
            if outcome.refresh_token is not None:
                self.login = self.login.rotated(outcome.refresh_token, time(), outcome.scope)
        return outcome

    async def subject(self, idp: Idp) -> str:
        """Whom the server takes the bearer of the access token for; empty if it does not take it."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{idp.issuer}/me", headers={"Authorization": f"Bearer {self.access.reveal()}"})
        return str(answer.json()["sub"]) if answer.status_code == 200 else ""


async def sign_in(
    idp: Idp, *scopes: str, client_id: str = Idp.client_id, redirect_port: int = 0, **more: Any
) -> Client:
    """A new grant, without a browser. If the person gets nowhere, that failure is raised and the sign-in ends. `more` is
    of the workload."""
    wire = Wire()
    tokens = HttpTokens(wire)
    page: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    spec = replace(spec_of(idp, *scopes, client_id=client_id, redirect_port=redirect_port), **more)
    flow = BrowserSignIn(wire, tokens)
    work = flow.run(spec, browser=False, show=page.set_result, now=now)
    running = asyncio.create_task(work, name="sign-in")
    try:
        await asyncio.wait((page, running), return_when=asyncio.FIRST_COMPLETED)
        assert page.done(), running.result()
        assert "signed in" in (await asyncio.to_thread(sign_in_by_forms, await page)).lower()
        new = await running
    finally:
        running.cancel()
        await flow.close()
    assert isinstance(new, NewLogin), new
    return Client(new, tokens)


@pytest.fixture
def titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: None) -> Path:
    """BROWSER is headless Chromium; the file gets the titles of the pages it saw."""
    file = tmp_path / "titles"
    monkeypatch.setenv("BROWSER", browser.browser_command(file, background=False))
    return file


async def test_chromium_signs_in_and_ten_refreshes_rotate(relay: Relay, idp: Idp, titles: Path) -> None:
    """A browser's sign-in brings a login whose refresh token changes ten times, and every access token opens the door."""

    before = idp.counts().refreshed
    wire = Wire()
    tokens = HttpTokens(wire)
    flow = BrowserSignIn(wire, tokens)
    new = await flow.run(spec_of(idp), browser=True, show=lambda _url: None, now=now)
    assert isinstance(new, NewLogin), new
    client = Client(new, tokens)
    seen = {client.login.fingerprint()}
    for _ in range(10):
        outcome = await client.refresh()
        assert isinstance(outcome, Refreshed)
        assert outcome.expires_in == 30
        assert await client.subject(idp) == "alice"
        seen.add(client.login.fingerprint())
    assert len(seen) == 11
    assert idp.counts().refreshed == before + 10
    assert client.login.generation == new.login.generation + 10
    await flow.close()
    assert await asyncio.to_thread(seen_by_the_browser, titles) == ["Sign-in", "Sign-in / Authorize"]
    assert relay.secrets.leaking_files(titles) == []


def seen_by_the_browser(titles: Path) -> list[str]:
    """The titles of oidc-provider's pages, once the browser has said that it is done. Runs in a thread."""
    end = monotonic() + 10
    while (lines := titles.read_text().splitlines())[-1] not in ("(signed in)", "(not signed in)"):
        assert monotonic() < end, f"the browser is still at {lines}"
        sleep(0.02)
    assert (lines[0], lines[-1]) == ("(visit)", "(signed in)")
    return lines[1:3]


FAULTS = {
    Fault.FIREWALL: (ServerBusy, "http", 403),
    Fault.BUSY: (ServerBusy, "http", 503),
    Fault.RESET: (Ambiguous, "reset", None),
    Fault.HANG: (Ambiguous, "timeout", None),
}


async def test_faults_in_between_end_no_login(relay: Relay, idp: Idp) -> None:
    """Each fault is told apart from a verdict, and the very same token works right after it."""

    client = await sign_in(idp)
    before = idp.counts().requests.get("refresh_token", 0)
    for fault, (kind, problem, status) in FAULTS.items():
        relay.inject(fault)
        login = client.login
        outcome = await client.refresh(limit=1.0)
        assert type(outcome) is kind, fault
        assert not isinstance(outcome, Refreshed)
        assert (outcome.problem.kind, outcome.problem.http_status) == (problem, status)
        if isinstance(outcome, ServerBusy):
            assert outcome.retry_after == (1.0 if fault is Fault.BUSY else None)
            assert not outcome.maybe_spent
        assert client.login is login
        assert isinstance(await client.refresh(), Refreshed), fault
    assert idp.counts().requests["refresh_token"] == before + len(FAULTS)  # the server saw none of the faults
    assert relay.pending() == ()


async def test_replay_of_a_spent_token_ends_the_grant(relay: Relay, idp: Idp) -> None:
    """oidc-provider takes a second use for theft: the newest refresh token and the access token die too."""

    client = await sign_in(idp)
    spent = client.login
    assert isinstance(await client.refresh(), Refreshed)
    assert await client.subject(idp) == "alice"
    replayed = await client.refresh(spent)
    assert isinstance(replayed, Refused)
    assert replayed.problem.code == "invalid_grant"
    assert isinstance(await client.refresh(), Refused)
    assert await client.subject(idp) == ""


async def test_a_lost_answer_loses_the_login_where_there_is_no_grace(relay: Relay, idp: Idp) -> None:
    """The server rotated and its answer was lost: ambiguous at first, and the honest second try is a verdict."""

    client = await sign_in(idp)
    relay.inject(Fault.LOST)
    before = idp.counts().refreshed
    assert isinstance(await client.refresh(), Ambiguous)
    assert idp.counts().refreshed == before + 1
    again = await client.refresh()
    assert isinstance(again, Refused)
    assert again.problem.code == "invalid_grant"


async def test_revocation_ends_the_grant(relay: Relay, idp: Idp) -> None:
    """The revocation endpoint that the metadata names is known to the login and does what it says."""

    client = await sign_in(idp)
    before = idp.counts().revocations
    assert await client.tokens.revoke(client.login)
    assert idp.counts().revocations == before + 1
    assert isinstance(await client.refresh(), Refused)


async def test_an_administrator_signs_everybody_out(relay: Relay, idp: Idp) -> None:
    """Grants that ended at the server are a verdict, and a new sign-in starts over."""

    client = await sign_in(idp)
    assert idp.revoke_all() >= 1
    assert isinstance(await client.refresh(), Refused)
    fresh = await sign_in(idp)
    assert fresh.login.lineage != client.login.lineage
    assert isinstance(await fresh.refresh(), Refreshed)


async def test_an_unknown_client_is_a_verdict(relay: Relay, idp: Idp) -> None:
    """A registration that the server does not know is told apart from a spent token."""

    client = await sign_in(idp)
    outcome = await client.refresh(replace(client.login, client_id="nobody"))
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == "invalid_client"
    assert isinstance(await client.refresh(), Refreshed)


async def test_offline_access(relay: Relay, idp: Idp) -> None:
    """Asking for offline_access, as OpenID Connect has it, brings a login that refreshes."""

    client = await sign_in(idp, "openid", "offline_access")
    assert isinstance(await client.refresh(), Refreshed)


async def test_a_server_that_compares_the_whole_callback(relay: Relay, idp: Idp) -> None:
    """With `redirect_port` the callback's path is the registered one; without it such a server shows its own refusal."""

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = await sign_in(idp, client_id=idp.exact_client_id, redirect_port=port)
    assert isinstance(await client.refresh(), Refreshed)
    with pytest.raises(AssertionError, match="auth answered 400"):
        await sign_in(idp, client_id=idp.exact_client_id)
