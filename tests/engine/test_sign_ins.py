"""Sign-ins with the engine: an overlay that changes nothing until it succeeds, and silently replaces no other login."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import HeldSignIn, World, keystore_with, login_of, one, running, spec_of, with_policy
from trayapp.core.model import AccessToken, BrowserFault, Login, Problem, Secret, Spec, Workload
from trayapp.core.notices import OVERRULABLE
from trayapp.core.presentation import Verb
from trayapp.engine import sign_ins
from trayapp.engine.ports import NewLogin
from trayapp.engine.sign_ins import differs
from trayapp.oauthtest import Mode, OAuthServer, browse

SCOPES = ("openid", "mcp")


def spec_with(server: OAuthServer, **more: Any) -> Spec:
    return spec_of(server, scopes=SCOPES, **more)


def alices(server: OAuthServer, **more: Any) -> Login:
    return login_of(server, scope=" ".join(SCOPES), subject="alice", **more)


async def begin(world: World, *, browser: bool = True) -> str:
    answer = await world.engine.sign_ins.begin("one", browser=browser, accept=False)
    assert isinstance(answer, str), answer
    return answer


async def ended(world: World) -> Problem | None:
    """Wait for the end of the sign-in; its problem, if any."""
    await world.until(lambda: not world.w().signing_in, "the sign-in's end")
    await world.browsed()
    return world.view().auth.sign_in_error


# --- success and failure ---------------------------------------------------------------------------------------------


async def test_one_click_makes_red_green(tmp_path: Path) -> None:
    """Refused; one click, the person agrees, and the new login is in the keyring."""

    with OAuthServer(subject="alice") as server:
        server.script(Mode.INVALID_GRANT)
        old = alices(server)
        async with running([spec_with(server)], tmp_path, keystore=await keystore_with(("one", old))) as world:
            await world.becomes("unauthenticated refused")
            world.do(Verb.REAUTHORIZE)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert (2, "alice") == (held.generation, held.subject)
            assert held.lineage != old.lineage
            assert 1 == len(world.opened)
            assert world.view().auth.sign_in_error is None


async def test_the_first_sign_in_of_a_workload(tmp_path: Path) -> None:
    """Never signed in; afterwards a restart needs no browser."""

    with OAuthServer(subject="alice") as server:
        keystore = await keystore_with()
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated never_signed_in")
            await begin(world)
            await world.green()
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            assert [] == world.opened


async def test_while_a_sign_in_waits_everything_else_continues(tmp_path: Path) -> None:
    """`signing_in` is set beside the status; refreshes continue and callers are served."""

    with OAuthServer(access_token_lifetime=0.2) as server:
        async with one(server, tmp_path, person=False) as world:
            await world.green()
            await begin(world)
            assert world.view().auth.signing_in
            asked = server.count("token")
            await world.until(lambda: server.count("token") >= asked + 2)
            assert "running" == world.view().status
            assert isinstance(await world.engine.token("one"), AccessToken)
            world.engine.sign_ins.cancel("one")
            problem = await ended(world)
            assert problem is not None
            assert "cancelled" == problem.kind
            assert "running" == world.view().status


async def test_a_person_who_declines_changes_nothing(tmp_path: Path) -> None:
    """The reason is shown; the old login stays in use; the next click opens a new page."""

    with OAuthServer(consent="deny") as server:
        login = login_of(server)
        async with one(server, tmp_path, login=login) as world:
            await world.green()
            before = await world.stored()
            first = await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "denied" == problem.kind
            assert before == await world.stored()
            assert "running ok" == world.status()
            server.consent = "auto"
            assert first != await begin(world)
            assert await ended(world) is None
            await world.green()
            assert before != await world.stored()


async def test_a_sign_in_that_fails_unexpectedly_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow raises: shown, logged, and the next click works."""

    from trayapp.oauth.signin import BrowserSignIn

    real, failures = BrowserSignIn.run, [RuntimeError("unexpected")]

    async def run(self: BrowserSignIn, *args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(BrowserSignIn, "run", run)
    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            answer = await world.engine.sign_ins.begin("one", browser=True, accept=False)
            assert isinstance(answer, Problem)
            assert "internal" == answer.kind
            assert not world.view().auth.signing_in
            await begin(world)
            assert await ended(world) is None


async def test_an_attempt_in_flight_gives_way_to_a_new_login(tmp_path: Path) -> None:
    """The refresh hangs; the sign-in succeeds; what the old attempt still says changes nothing."""

    with OAuthServer(check=False) as server:
        server.mode = Mode.HANG_BEFORE_HEADERS
        async with one(server, tmp_path, with_policy(attempt_limit=30.0), person=False) as world:
            await world.until(lambda: server.count("token") == 1)
            url = await begin(world)
            server.mode = Mode.SUCCESS
            await asyncio.to_thread(browse, url)
            await world.green()
            held = await world.stored()
            assert held is not None
            server.release()
            await world.quiet(0.05)
            assert held == await world.stored()
            assert "running ok" == world.status()


# --- clicks ----------------------------------------------------------------------------------------------------------


async def test_a_double_click_opens_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clicks in quick succession are one; a later one opens the same page; both commands get its URL."""

    with OAuthServer() as server:
        async with one(server, tmp_path, person=False) as world:
            await world.green()
            world.do(Verb.REAUTHORIZE)
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: world.opened)
            await world.quiet(0.05)
            assert 1 == len(world.opened)
            monkeypatch.setattr(sign_ins, "CLICK_SPACING", 0.0)
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: len(world.opened) == 2)
            assert world.opened[0] == world.opened[1]
            assert world.opened[0] == await begin(world, browser=False)
            assert 2 == len(world.opened)
            await asyncio.to_thread(browse, world.opened[0])
            await world.until(lambda: not world.w().signing_in)
        assert 1 == server.count("token", grant="authorization_code")


async def test_cancel_ends_a_sign_in(tmp_path: Path) -> None:
    """And nothing else; a click right after it opens another page."""

    with OAuthServer() as server:
        async with one(server, tmp_path, person=False) as world:
            await world.green()
            world.do(Verb.CANCEL_SIGN_IN)
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: world.opened)
            world.do(Verb.CANCEL_SIGN_IN)
            problem = await ended(world)
            assert problem is not None
            assert ("cancelled", "running") == (problem.kind, world.view().status)
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: len(world.opened) == 2)
            assert world.opened[0] != world.opened[1]
        assert 0 == server.count("token", grant="authorization_code")


async def test_whether_the_browser_opened_is_part_of_the_state(tmp_path: Path) -> None:
    """Until the sign-in ends or its page is open; what comes later changes nothing."""

    with OAuthServer() as server:
        held = HeldSignIn()
        async with one(server, tmp_path, sign_in=held) as world:
            await world.green()
            await begin(world)
            assert world.view().auth.browser_fault is None
            for fault in (BrowserFault.UNCERTAIN, BrowserFault.NOT_OPENED, None, BrowserFault.NOT_OPENED):
                held.browser_fault(fault)
                assert fault is world.view().auth.browser_fault
                assert world.view().auth.signing_in
            world.engine.sign_ins.cancel("one")
            await world.until(lambda: not world.view().auth.signing_in, "the end")
            held.browser_fault(BrowserFault.UNCERTAIN)
            assert world.view().auth.browser_fault is None
            assert not world.view().auth.signing_in


async def test_without_a_browser_the_redirect_is_pasted(tmp_path: Path) -> None:
    """`--no-browser`: nothing is opened here; the redirect that a person copied is taken, and only the right one."""

    with OAuthServer(consent="page") as server:
        async with one(server, tmp_path, person=False) as world:
            await world.green()
            before = await world.stored()
            sign_in = world.engine.sign_ins
            early = sign_in.paste("one", "http://127.0.0.1:1/?code=1")
            assert early is not None
            assert "amberlight reauthorize one" in early.summary
            url = await begin(world, browser=False)
            assert [] == world.opened
            wrong = sign_in.paste("one", "http://127.0.0.1:1/callback?code=1&state=2")
            assert wrong is not None
            redirect = await asyncio.to_thread(_elsewhere, url, server)
            assert sign_in.paste("one", redirect) is None
            assert await ended(world) is None
            await world.until(lambda: not world.w().unsaved)
            assert before != await world.stored()


def _elsewhere(url: str, server: OAuthServer) -> str:
    """The browser of another machine: it is redirected to a URL that nothing serves there."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> None:
            return None

    server.consent = "auto"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
    request = urllib.request.Request(url, headers={"User-Agent": "test"})
    try:
        opener.open(request, timeout=5)
    except urllib.error.HTTPError as answer:
        with answer:
            return str(answer.headers["Location"])
    raise AssertionError("no redirect")


async def test_an_issuer_that_does_not_answer_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No URL within the limit: the caller is told so, and the sign-in can be cancelled."""

    monkeypatch.setattr(sign_ins, "URL_LIMIT", 0.05)

    class Slow(HeldSignIn):
        async def run(self, spec: Spec, **_: Any) -> NewLogin:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    with OAuthServer() as server:
        async with one(server, tmp_path, sign_in=Slow()) as world:
            await world.green()
            answer = await world.engine.sign_ins.begin("one", browser=True, accept=False)
            assert isinstance(answer, Problem)
            assert "timed_out" == answer.kind
            world.engine.sign_ins.cancel("one")
            assert await ended(world) is not None


async def test_a_sign_in_ends_with_its_workload(tmp_path: Path) -> None:
    """Removed, dropped from the file, or the program ends: the listener closes, and the waiting caller is told."""

    for removed in (True, False):
        with OAuthServer() as server:
            async with one(server, tmp_path / str(removed), person=False) as world:
                await world.green()
                url = await begin(world)
                if removed:
                    world.do(Verb.REMOVE)
                else:
                    await world.engine.configure([])
                await world.until(lambda: "one" not in world.engine.workloads)
                await world.quiet(0.05)
                with pytest.raises(urllib.error.URLError):
                    await asyncio.to_thread(browse, url)

    with OAuthServer() as server:
        async with one(server, tmp_path / "end", person=False) as world:
            await world.green()
            await begin(world)
            waiting = asyncio.create_task(world.engine.sign_ins.begin("one", browser=False, accept=False))
            await world.engine.close()
            await asyncio.wait_for(waiting, 1.0)


async def test_a_sign_in_right_after_a_cancelled_one(tmp_path: Path) -> None:
    """It waits for the end of the other one and begins afresh, rather than joining what is over."""

    with OAuthServer() as server:
        async with one(server, tmp_path, person=False) as world:
            await world.green()
            first = await world.engine.sign_ins.begin("one", browser=False, accept=False)
            world.engine.sign_ins.cancel("one")
            second = await asyncio.wait_for(world.engine.sign_ins.begin("one", browser=False, accept=False), 3.0)
            assert isinstance(first, str)
            assert isinstance(second, str)
            assert first != second
            assert world.w().signing_in
            world.engine.sign_ins.cancel("one")


async def test_a_sign_in_cancelled_before_its_first_step(tmp_path: Path) -> None:
    """The caller gets an answer immediately, and the overlay is gone."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            asking = asyncio.create_task(world.engine.sign_ins.begin("one", browser=True, accept=False))
            await asyncio.sleep(0)
            world.engine.sign_ins.cancel("one")
            answer = await asyncio.wait_for(asking, 1.0)
            assert isinstance(answer, Problem)
            assert "cancelled" == answer.kind
            assert not world.w().signing_in


async def test_nobody_signs_in_to_an_unknown_name(tmp_path: Path) -> None:
    """The answer says that there is none."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            answer = await world.engine.sign_ins.begin("nobody", browser=True, accept=False)
            assert isinstance(answer, Problem)
            assert "nobody" in answer.summary
            world.do(Verb.REAUTHORIZE, "nobody")
            await world.quiet(0.02)
            assert [] == world.opened


def test_another_server_is_a_difference() -> None:
    """The URL now names another issuer: the person is asked, whatever the account is called there."""

    old = Login(1, "a", Secret("x"), 0.0, "https://one.test/token", "c", "https://one.test", subject="alice")
    new = replace(old, issuer="https://two.test", lineage="b")
    w = Workload(Spec("github", "https://mcp.test"), login=old)

    difference = differs(w, new)
    assert difference is not None
    assert "different_server" == difference.kind
    assert "two.test instead of one.test" in difference.summary
    assert differs(w, replace(new, issuer=old.issuer)) is None
    assert differs(w, replace(new, issuer=old.issuer, subject="bob")) is not None
    assert differs(w, replace(new, issuer=old.issuer, subject="")) is None  # a server that does not say who


@pytest.mark.parametrize("change", [{"issuer": "https://two.test"}, {"subject": "bob"}, {"scope": "read"}], ids=str)
def test_every_difference_can_be_accepted_where_it_is_told(change: dict[str, str]) -> None:
    """What the sentence offers by `--accept`, notification and dashboard offer as a button."""

    old = Login(1, "a", Secret("x"), 0.0, "https://t", "c", "https://one.test", subject="alice", scope="read write")
    difference = differs(Workload(Spec("github", "https://mcp.test"), login=old), replace(old, **change))  # type: ignore[arg-type]

    assert difference is not None
    assert "--accept" in difference.summary
    assert difference.kind in OVERRULABLE


def test_scopes_are_compared_one_by_one() -> None:
    """Some servers separate them by commas, in one answer and not in the next."""

    old = Login(1, "a", Secret("x"), 0.0, "https://one.test/token", "c", scope="read,write")
    w = Workload(Spec("github", "https://mcp.test"), login=old)

    assert differs(w, replace(old, scope="write read")) is None
    difference = differs(w, replace(old, scope="read"))
    assert difference is not None
    assert "(missing: write)" in difference.summary

    many = replace(w, login=replace(old, scope=" ".join(f"https://scopes.test/{i}" for i in range(9))))
    difference = differs(many, replace(old, scope="read"))
    assert difference is not None
    assert len(difference.summary) <= 200
    assert "(missing: https://scopes.test/0, https" in difference.summary
    assert difference.summary.endswith("`amberlight reauthorize github --accept`.")


def test_a_scope_in_another_form_is_not_missing() -> None:
    """A refresh at Entra names scopes by GUID; the next sign-in, which names them by address, loses none."""

    guid = "c36500af-a8df-4f5e-92e2-b006a1b2e8aa"
    endpoint = f"https://login.microsoftonline.com/{guid}/oauth2/v2.0/token"
    old = Login(1, "l", Secret("r"), 0.0, endpoint, guid, scope=f"{guid}/read {guid}/write")
    w = Workload(Spec("notes", "https://mcp.test"), login=old)

    assert differs(w, replace(old, scope=f"api://{guid}/write api://{guid}/read")) is None
    assert differs(w, replace(old, scope=f"api://{guid}/read")) is not None


async def test_an_address_that_has_changed_is_the_one_that_the_next_one_who_asks_gets(tmp_path: Path) -> None:
    """A pushed request ends soon (RFC 9126), and its page gets a new address while the sign-in waits."""

    with OAuthServer() as server:
        held = HeldSignIn()
        async with running([spec_with(server)], tmp_path, sign_in=held) as world:
            first = await begin(world)
            held.show(f"{first}/renewed")
            assert f"{first}/renewed" == await begin(world, browser=False)
            world.engine.sign_ins.cancel("one")
            await world.until(lambda: not world.w().signing_in, "the sign-in's end")
            assert first.rpartition("/")[0] == (await begin(world)).rpartition("/")[0]
            world.engine.sign_ins.cancel("one")
