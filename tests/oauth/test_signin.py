"""Browser sign-in against a server that checks the client, with a browser that follows redirects."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from tests.oauth.attempts import NOW, Attempt, browse, endpoints_of, get, issuer_of, quiet_log, sign_in
from tests.oauth.authserver import ACCESS, CODE, REFRESH, auth_server, id_token
from trayapp.core.model import Secret, Spec
from trayapp.engine.ports import NewLogin
from trayapp.oauth.signin import BrowserSignIn

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")


async def test_a_sign_in_brings_a_login() -> None:
    """Login and access token hold what the server granted, in the clocks of the caller."""

    async with auth_server(grant={"id_token": id_token(sub="alice", email="alice@example.com")}) as server:
        result = await sign_in(
            server, issuer_of(server, scopes=("read", "offline_access"), resource="https://mcp.test/")
        )

    assert isinstance(result, NewLogin)
    login, access = result.login, result.access
    assert (1, Secret(REFRESH), NOW.wall) == (login.generation, login.refresh_token, login.obtained_at)
    assert (f"{server.base}/token", f"{server.base}/revoke") == (login.token_endpoint, login.revocation_endpoint)
    assert (server.issuer, "the-client", "alice") == (login.issuer, login.client_id, login.subject)
    assert "alice@example.com" == login.account
    assert ("read offline_access", "https://mcp.test/") == (login.scope, login.resource)
    assert 32 == len(login.lineage)
    assert (0, Secret(ACCESS), NOW.at) == (access.serial, access.value, access.obtained_at)
    assert (NOW.at + 60, NOW.wall + 60) == (access.expires_at, access.expires_wall)


async def test_the_request_is_the_one_of_the_rfcs() -> None:
    """Scopes as they are configured, the resource at both endpoints, PKCE, a long state, a path nobody can guess."""

    async with auth_server() as server:
        await sign_in(server, issuer_of(server, scopes=("read", "write"), resource="https://mcp.test/"))

    asked, exchanged = server.authorized[0], server.exchanged[0]
    assert ("read write", "https://mcp.test/") == (asked["scope"], asked["resource"])
    assert "https://mcp.test/" == exchanged["resource"]
    assert len(asked["state"]) >= 22
    assert 43 <= len(exchanged["code_verifier"]) <= 128
    path = urlsplit(asked["redirect_uri"]).path
    assert path.startswith("/callback/")
    assert len(path) >= len("/callback/") + 22


async def test_nothing_is_used_twice() -> None:
    """State, verifier, path and lineage are new each time."""

    async with auth_server() as server:
        results = [await sign_in(server), await sign_in(server)]

    one, two = server.authorized
    assert all(one[key] != two[key] for key in ("state", "code_challenge", "redirect_uri"))
    assert 2 == len({r.login.lineage for r in results if isinstance(r, NewLogin)})


async def test_configured_endpoints_need_no_metadata() -> None:
    """Nothing but the two endpoints is asked; without scopes none are sent."""

    async with auth_server() as server:
        result = await sign_in(server, endpoints_of(server))

    assert isinstance(result, NewLogin)
    assert ["/authorize", "/token"] == server.requests
    assert "scope" not in server.authorized[0]
    assert "resource" not in server.authorized[0]


async def test_the_server_may_grant_another_scope() -> None:
    """What was granted counts, not what was asked for."""

    async with auth_server(grant={"scope": "read"}) as server:
        result = await sign_in(server, issuer_of(server, scopes=("read", "write")))

    assert isinstance(result, NewLogin)
    assert "read" == result.login.scope


@pytest.mark.parametrize("expires_in", ["soon", 0, -5, None, True, [1]])
async def test_an_odd_lifetime_counts_as_unknown(expires_in: object) -> None:
    """No schedule follows from what is no number of seconds."""

    async with auth_server(grant={"expires_in": expires_in}) as server:
        result = await sign_in(server)

    assert isinstance(result, NewLogin)
    assert result.access.expires_at is result.access.expires_wall is None


@pytest.mark.parametrize("token", ["", "x", "a.b.c", f"a.{'!' * 9}.c", "a.W10.c", id_token(sub=5), id_token()])
async def test_an_odd_id_token_gives_no_subject(token: str) -> None:
    """The sign-in does not depend on it."""

    async with auth_server(grant={"id_token": token}) as server:
        result = await sign_in(server)

    assert isinstance(result, NewLogin)
    assert ("", "") == (result.login.subject, result.login.account)


@pytest.mark.parametrize("odd", ["\u202eevil", "\x1b[31m", "x" * 10_240, "", " ", 7, None, ["a"], {"a": "b"}])
async def test_an_odd_account_costs_no_sign_in(odd: object) -> None:
    """Nothing is shown instead of it."""

    said = {"email": odd, "preferred_username": odd, "name": odd}
    async with auth_server(grant={"id_token": id_token(sub="alice", **said)}) as server:
        result = await sign_in(server)

    assert isinstance(result, NewLogin)
    assert ("alice", "") == (result.login.subject, result.login.account)


async def test_the_page_shows_success_at_an_address_without_code() -> None:
    """The browser ends at an address without the code, on a static page that nothing can be injected into."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        response = await browse(await attempt.url())
        await attempt.login()

    assert 200 == response.status_code
    assert "You can close this tab." in response.text
    assert "" == response.url.query.decode()
    assert 303 == response.history[-1].status_code
    for answer in (response, response.history[-1]):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert "nosniff" == answer.headers["x-content-type-options"]
        assert "no-referrer" == answer.headers["referrer-policy"]
        assert "no-store" == answer.headers["cache-control"]
        assert CODE not in answer.text


async def test_the_page_of_a_failure_says_what_to_do() -> None:
    """And nothing of what the server said."""

    async with (
        auth_server(token_status=400, grant={"error": "<script>"}) as server,
        Attempt(issuer_of(server)) as attempt,
    ):
        attempt_page = asyncio.create_task(browse(await attempt.url()))
        await attempt.problem()
        response = await attempt_page

    assert "Couldn't sign in to github" in response.text
    assert "Reauthorize" in response.text
    assert "script" not in response.text


async def begun(signin: BrowserSignIn, spec: Spec) -> str:
    """The authorization URL of a sign-in that is cancelled immediately."""
    shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    run = asyncio.create_task(signin.run(spec, browser=False, show=shown.set_result, now=lambda: NOW))
    try:
        return await asyncio.wait_for(shown, 3)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def until_nothing_listens(url: str) -> None:
    async with asyncio.timeout(10):
        with contextlib.suppress(httpx2.ConnectError):
            while True:
                # A connection that is accepted in the moment of closing is dropped; only a refused one proves the end.
                with contextlib.suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
                    await get(url)


async def test_a_closed_tab_does_not_stop_the_exchange() -> None:
    """The browser is gone before the server answers; the login still arrives, and only the linger is spent."""

    async with auth_server(hold=asyncio.Event()) as server, Attempt(issuer_of(server)) as attempt:
        tab = asyncio.create_task(browse(await attempt.url()))
        await asyncio.wait_for(server.asked.wait(), 3)
        tab.cancel()
        await asyncio.gather(tab, return_exceptions=True)
        assert server.hold is not None
        server.hold.set()

        assert isinstance(await attempt.login(), NewLogin)


async def test_a_browser_that_never_asks_for_the_page_is_not_waited_for() -> None:
    """Closed between redirect and page: the login arrives immediately, and the listener closes after the linger."""

    async with auth_server() as server, Attempt(issuer_of(server), linger=0.3) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        await get(back)
        new = await attempt.login()

        assert (REFRESH, ACCESS) == (new.login.refresh_token.reveal(), new.access.value.reveal())
        await until_nothing_listens(back)


async def test_a_slow_browser_finds_its_page_after_the_login_was_taken() -> None:
    """The attempt is over, and its page still told to the one who asks; then nothing listens any more."""

    async with auth_server() as server, Attempt(issuer_of(server), linger=60.0) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        page = (await get(back)).headers["location"]
        await attempt.login()

        assert "Signed in to" in (await get(urljoin(back, page))).text
        await until_nothing_listens(back)


async def test_a_page_that_is_not_fetched_costs_the_next_sign_in_nothing() -> None:
    """The next one may need the same port, and finds it free though the linger is not over; any other leaves it alone."""

    async with auth_server() as server:
        first = Attempt(issuer_of(server), linger=60.0)
        async with first:
            back = (await get(await first.url())).headers["location"]
            await get(back)
            await first.login()
            port = urlsplit(back).port
            assert port is not None

            other = replace(issuer_of(server), name="other")
            assert f"%3A{port}%2F" not in await begun(first.signin, other)
            assert 400 == (await get(f"{back}&x=y")).status_code  # it listens, and takes no second answer
            assert f"%3A{port}%2F" in await begun(first.signin, replace(other, redirect_port=port))


async def test_a_removed_workload_frees_its_port() -> None:
    """The program that gets it back may need that port; the removal of another workload frees nothing."""

    async with auth_server() as server, Attempt(issuer_of(server), linger=60.0) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        await get(back)
        await attempt.login()
        await attempt.signin.forget("another")
        assert 400 == (await get(f"{back}&x=y")).status_code
        await attempt.signin.forget("github")

        with pytest.raises(httpx2.ConnectError):
            await get(back)


async def test_the_end_of_the_program_ends_a_page_that_nobody_fetched() -> None:
    """Even in the moment when the attempt has just ended."""

    async with auth_server() as server, Attempt(issuer_of(server), linger=60.0) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        await get(back)
        await attempt.login()
        await attempt.signin.close()

        with pytest.raises(httpx2.ConnectError):
            await get(back)
