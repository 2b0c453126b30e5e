"""What a person does during a sign-in: paste, cancel, let it time out; and ports and browsers."""

from __future__ import annotations

import asyncio
import socket
import threading
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.oauth.attempts import NOW, Attempt, get, issuer_of, quiet_log, sign_in
from tests.oauth.authserver import CODE, auth_server
from tests.oauth.tls import bare
from trayapp.core.model import BrowserFault, Problem, Spec
from trayapp.engine.ports import NewLogin
from trayapp.oauth import signin
from trayapp.oauth.signin import BrowserSignIn, open_browser
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.system.browser import NoBrowserError

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.mark.parametrize("form", ["url", "query", "question mark", "quoted"])
async def test_a_pasted_redirect_is_taken(form: str) -> None:
    """The whole address or just its query, as people copy it."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        query = urlsplit(back).query
        pasted = {"url": f"  {back}\n", "query": query, "question mark": f"?{query}", "quoted": f'"{back}"'}[form]

        assert attempt.signin.paste("github", pasted) is None
        await attempt.login()


async def test_a_pasted_redirect_is_checked_like_any_other() -> None:
    """Wrong state, wrong address, junk, twice, or nobody waiting: reported, and the attempt continues."""

    async with auth_server(hold=asyncio.Event()) as server, Attempt(issuer_of(server)) as attempt:
        uri, state = await attempt.redirect_uri(), await attempt.state()
        good = urlencode({"code": CODE, "state": state})
        for bad in (
            f"{uri}?code=x&state=wrong",
            f"http://evil.test/callback?{good}",
            f"{uri}/x?{good}",
            f"http://[::?{good}",
            "hello",
            "",
            "code=x&state=\ud800",  # half a character, as JSON may hold it
            "x" * 20000,
        ):
            problem = attempt.signin.paste("github", bad)
            assert problem is not None
            assert "request" == problem.kind
            assert "wrong" not in problem.summary
        assert attempt.signin.paste("gitlab", good) is not None
        assert await attempt.waits()

        await get(await attempt.url())  # the server notes the challenge
        assert attempt.signin.paste("github", good) is None
        assert attempt.signin.paste("github", good) is not None
        assert server.hold is not None
        server.hold.set()
        await attempt.login()
        assert attempt.signin.paste("github", good) is not None
    assert 1 == len(server.exchanged)


async def test_a_pasted_error_ends_the_attempt() -> None:
    """It was the awaited answer, though a bad one."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        state = await attempt.state()

        assert attempt.signin.paste("github", f"error=access_denied&state={state}") is None
        assert "denied" == (await attempt.problem()).kind


async def test_time_is_limited() -> None:
    """Nobody came: a problem, and no listener is left."""

    async with auth_server() as server, Attempt(issuer_of(server), limit=0.05) as attempt:
        uri = await attempt.redirect_uri()

        assert "timed_out" == (await attempt.problem()).kind
        with pytest.raises(httpx2.ConnectError):
            await get(uri)


async def test_cancelling_the_task_ends_the_listener() -> None:
    """And leaves room for the next attempt of the same name."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri = await attempt.redirect_uri()
        attempt.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt.task
        with pytest.raises(httpx2.ConnectError):
            await get(uri)
        assert not attempt.signin.reopen("github")


async def test_a_person_can_cancel() -> None:
    """The flow returns `cancelled`; once only."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        await attempt.url()

        assert attempt.signin.cancel("github")
        assert not attempt.signin.cancel("github")
        assert "cancelled" == (await attempt.problem()).kind
        assert not attempt.signin.cancel("github")


async def test_one_at_a_time_per_name() -> None:
    """A second sign-in of the same workload is refused and disturbs nothing."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        await attempt.url()
        second = await attempt.signin.run(attempt.spec, browser=False, show=attempt.opened.append, now=lambda: NOW)

        assert isinstance(second, Problem)
        assert "request" == second.kind
        assert await attempt.waits()


async def test_a_client_id_is_needed() -> None:
    """Without registration at the server no page is opened, and the sentence says where to get a client id."""

    async with auth_server() as server, Attempt(Spec("github", "", issuer=server.issuer)) as attempt:
        problem = await attempt.problem()

    assert "registration" == problem.kind
    assert "doesn't register apps automatically. Create" in problem.summary
    assert [] == server.authorized + server.exchanged


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_a_fixed_port_has_a_fixed_address() -> None:
    """What a client was registered with must match exactly, every time, also right after the last attempt."""

    port = free_port()
    async with auth_server() as server:
        for _ in range(2):
            assert isinstance(await sign_in(server, issuer_of(server, redirect_port=port)), NewLogin)

    assert [f"http://127.0.0.1:{port}/callback"] * 2 == [asked["redirect_uri"] for asked in server.authorized]


async def test_a_taken_port_is_said() -> None:
    """By number and setting; nothing is shown to the person."""

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with auth_server() as server, Attempt(issuer_of(server, redirect_port=port)) as attempt:
            problem = await attempt.problem()

            assert "port_taken" == problem.kind
            assert str(port) in problem.summary
            assert "redirect_port of github" in problem.summary
            assert not attempt.shown.done()


async def test_the_listener_is_there_before_the_address_is_shown() -> None:
    """And only on this machine's own address."""

    async with auth_server() as server:
        bound: list[bool] = []

        def show(url: str) -> None:
            port = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0]).port or 0
            with socket.create_connection(("127.0.0.1", port)):
                bound.append(True)
            with socket.socket() as other, pytest.raises(ConnectionRefusedError):
                other.connect(("127.0.0.2", port))

        wire = Wire("0", bare)
        flow = BrowserSignIn(wire, HttpTokens(wire), limit=0.05)
        await flow.run(issuer_of(server), browser=False, show=show, now=lambda: NOW)

    assert [True] == bound


async def test_the_browser_gets_the_shown_address() -> None:
    """In a thread of its own, and again on demand."""

    async with auth_server() as server:
        done = threading.Semaphore(0)
        opened: list[tuple[str, str]] = []

        def open_url(url: str) -> bool:
            opened.append((url, threading.current_thread().name))
            done.release()
            return True

        async with Attempt(issuer_of(server), browser=True, open_url=open_url) as attempt:
            url = await attempt.url()
            assert attempt.signin.reopen("github")
            for _ in range(2):
                assert await asyncio.to_thread(done.acquire, timeout=2)

    assert [(url, "browser github")] * 2 == opened


async def test_no_browser_is_opened_unasked() -> None:
    """Unless the person asked for a browser, the address is only shown."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        await attempt.url()
        await asyncio.sleep(0.02)

        assert [] == attempt.opened


def wait_for_browsers() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("browser"):
            thread.join(2)


@pytest.mark.parametrize("problem", [OSError, NoBrowserError, None])
async def test_a_browser_that_cannot_be_opened_ends_nothing(
    problem: type[Exception] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The address was shown; whether its page opened is reported, each time that it is opened, and never logged with
    the address."""

    answers: list[Exception | bool] = [problem("why") if problem else False, True]

    def open_url(url: str) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    fault = BrowserFault.NOT_OPENED if problem else BrowserFault.UNCERTAIN
    async with auth_server() as server, Attempt(issuer_of(server), browser=True, open_url=open_url) as attempt:
        url = await attempt.url()
        await reported(attempt, 1)
        assert [fault] == attempt.faults
        assert url == attempt.signin.page("github")
        assert await attempt.waits()  # it opens the page once more
        await reported(attempt, 2)
        assert [fault, None] == attempt.faults

        assert (problem is not None) is ("no browser could be opened" in caplog.text)
        assert await attempt.state() not in caplog.text
        attempt.signin.cancel("github")
        await asyncio.wait((attempt.task,))
        assert attempt.signin.page("github") is None


async def reported(attempt: Attempt, times: int) -> None:
    """Wait until the threads of the browser have reported."""
    for _ in range(200):
        if len(attempt.faults) >= times:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"only {attempt.faults}")


async def test_a_report_that_comes_too_late_is_dropped() -> None:
    """It is about an earlier sign-in of the same workload."""

    go_on = threading.Event()

    def open_url(url: str) -> bool:
        go_on.wait(2)
        raise NoBrowserError("late")

    async with auth_server() as server, Attempt(issuer_of(server), browser=True, open_url=open_url) as attempt:
        await attempt.url()
        attempt.signin.cancel("github")
        await asyncio.wait((attempt.task,))
        go_on.set()
        await asyncio.to_thread(wait_for_browsers)
        await asyncio.sleep(0)
        assert [] == attempt.faults


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "javascript:alert(1)", "http://auth.test/", "https://a.test/`id`"]
)
def test_only_web_addresses_are_opened(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """https or this machine, and no character that a shell could care for."""

    monkeypatch.setattr(signin, "browse", lambda _: pytest.fail("opened"))

    with pytest.raises(NoBrowserError):
        open_browser(url)
