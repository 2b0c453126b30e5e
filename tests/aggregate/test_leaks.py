"""What the aggregate forgets: nothing is kept of a workload or client that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.server.lowlevel import Server

from tests.aggregate.site import until
from tests.engine.engines import settled
from trayapp.aggregate import client_sessions, hub
from trayapp.aggregate.availability import WorkloadRow
from trayapp.aggregate.client_sessions import ClientSessions
from trayapp.aggregate.feed import ProxyAccess
from trayapp.aggregate.hub import ChangeListener, Hub
from trayapp.aggregate.listing import Listing
from trayapp.aggregate.upstream_session import UpstreamSession
from trayapp.core.model import Secret

# --- workloads -------------------------------------------------------------------------------------------------------


def row(name: str, url: str = "http://127.0.0.1:9/mcp") -> WorkloadRow:
    return WorkloadRow(name, url, "running", "healthy")


class Stage:
    """A hub without a feed: `puts` and `drops` are the feed's news."""

    def __init__(self, access: Callable[[str], Awaitable[ProxyAccess]]) -> None:
        self.rows: dict[str, WorkloadRow] = {}
        ready = asyncio.Event()
        ready.set()
        self.hub = Hub(self.rows, ready, access, ChangeListener(self._changed, self._logged))

    async def _changed(self, kinds: frozenset[str]) -> None:
        return None

    async def _logged(self, name: str, line: object) -> None:
        return None

    def puts(self, new: WorkloadRow) -> None:
        before, self.rows[new.name] = self.rows.get(new.name), new
        self.hub.changed(before, new)

    def drops(self, name: str) -> None:
        self.hub.changed(self.rows.pop(name), None)

    def remembers(self, name: str) -> set[str]:
        """Where the hub still knows the workload."""
        return {where for where, kept in vars(self.hub).items() if isinstance(kept, dict) and name in kept}


async def unreachable(name: str) -> ProxyAccess:
    raise httpx2.ConnectError("nobody is there")


async def test_nothing_is_kept_of_a_workload_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session, its listing, that it could not be asked: all of it leaves with it, and what others have stays."""

    closed: list[str] = []

    async def close(session: UpstreamSession) -> None:
        closed.append(session.name)

    monkeypatch.setattr(UpstreamSession, "close", close)
    stage = Stage(unreachable)
    for name in ("one", "two"):
        stage.puts(row(name))
    await until(lambda: {"one", "two"} <= stage.hub._failed_fetches.keys(), "the lists to fail")
    for name in ("one", "two"):
        stage.hub._listings[name] = Listing(row(name).url)
    known = {"_rows", "_sessions", "_failed_fetches", "_listings"}
    assert known == stage.remembers("one") == stage.remembers("two")

    stage.drops("one")

    assert (set(), known) == (stage.remembers("one"), stage.remembers("two"))
    await until(lambda: closed, "the session to be closed")
    assert ["one"] == closed
    await stage.hub.close()


async def test_a_workload_that_goes_while_it_is_asked() -> None:
    """Whoever asks it for its lists stops, and its session has ended; no answer brings it back."""

    asked, ended = asyncio.Event(), asyncio.Event()

    async def silent(name: str) -> ProxyAccess:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("unreachable")

    stage = Stage(silent)
    stage.puts(row("one"))
    await asyncio.wait_for(asked.wait(), 5)
    assert {"_rows", "_fetching", "_sessions"} == stage.remembers("one")
    session = stage.hub._sessions["one"]

    stage.drops("one")

    assert set() == stage.remembers("one")
    await settled()
    assert ended.is_set()  # without the second that a session gets to end politely
    await until(lambda: not session._tasks and not stage.hub._tasks, "the session to end")
    assert set() == stage.remembers("one")
    await stage.hub.close()


async def test_a_workload_that_moves_is_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session with its old address is not used again, and its failure is not held against the new one."""

    stage = Stage(unreachable)
    stage.puts(row("one"))
    await until(lambda: "one" in stage.hub._failed_fetches, "the lists to fail")
    before = stage.hub._sessions["one"]
    fetched: list[str] = []
    monkeypatch.setattr(Hub, "_fetch", lambda self, name, *, announce=False: fetched.append(name))

    stage.puts(row("one", "http://127.0.0.1:9/elsewhere"))

    assert {"_rows"} == stage.remembers("one")
    assert ["one"] == fetched
    assert before is not stage.hub._session("one")
    await stage.hub.close()


async def test_changes_that_were_told_are_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes within one `GATHER` are one message; nothing is left of it for the next."""

    monkeypatch.setattr(hub, "GATHER", 0.0)
    told: list[frozenset[str]] = []
    stage = Stage(unreachable)

    async def changed(kinds: frozenset[str]) -> None:
        told.append(kinds)

    stage.hub._listener.changed = changed
    stage.hub._announce(["tools"])
    stage.hub._announce(["prompts"])
    await until(lambda: told, "the first message")
    stage.hub._announce(["tools"])
    await until(lambda: len(told) == 2, "the second message")
    assert [frozenset({"tools", "prompts"}), frozenset({"tools"})] == told
    assert (set(), None) == (stage.hub._changes, stage.hub._announcing)


# --- clients ---------------------------------------------------------------------------------------------------------

SECRET = "secret of the process"
HEAD = {
    "X-Amberlight-Secret": SECRET,
    "Accept": "application/json, text/event-stream",
    "Mcp-Protocol-Version": "2025-06-18",
}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[ClientSessions, httpx2.AsyncClient]]:
    """The application, and a client that speaks to it without a socket."""
    sessions = ClientSessions(Server("amberlight"), Secret(SECRET), lambda: "")
    transport = httpx2.ASGITransport(sessions)
    async with sessions.run(), httpx2.AsyncClient(transport=transport, base_url="http://app", headers=HEAD) as http:
        yield sessions, http


async def hello(http: httpx2.AsyncClient) -> str:
    """Begin a session; its id."""
    answer = await http.post("/mcp", json=HELLO)
    assert 200 == answer.status_code, answer.text
    return str(answer.headers["mcp-session-id"])


def held(sessions: ClientSessions) -> tuple[set[str], set[str]]:
    return set(sessions._transports), set(sessions._connections)


async def test_a_client_that_says_goodbye_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session is gone and is not taken up again; the others go on."""

    async with served() as (sessions, http):
        first, second = await hello(http), await hello(http)
        assert ({first, second},) * 2 == held(sessions)

        assert 200 == (await http.delete("/mcp", headers={"Mcp-Session-Id": first})).status_code
        await until(lambda: ({second},) * 2 == held(sessions), "the session to end")

        ping: Any = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        asked = [
            (await http.post("/mcp", json=ping, headers={"Mcp-Session-Id": each})).status_code
            for each in (first, second)
        ]
        assert [404, 200] == asked
        assert ({second},) * 2 == held(sessions)
    assert (set(), set()) == held(sessions)


async def test_a_client_that_is_refused_leaves_nothing() -> None:
    """A first request that is no request begins no session."""

    async with served() as (sessions, http):
        answer = await http.post("/mcp", content=b"{", headers={"Content-Type": "application/json"})
        assert 400 == answer.status_code
        await until(lambda: (set(), set()) == held(sessions), "the session to end")


async def test_goodbyes_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones: a process that runs for months does not grow with its clients."""

    monkeypatch.setattr(client_sessions, "SESSIONS_MAX", 2)
    ended = []
    async with served() as (sessions, http):
        for _ in range(4):
            ended.append(await hello(http))
            await http.delete("/mcp", headers={"Mcp-Session-Id": ended[-1]})
            await until(lambda: (set(), set()) == held(sessions), "the session to end")
        assert ended[2:] == list(sessions._ended)


async def test_an_idle_session_is_put_away_and_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id is no goodbye: the client's next request is answered."""

    monkeypatch.setattr(client_sessions, "IDLE_LIMIT", 0.1)
    async with served() as (sessions, http):
        session = await hello(http)
        await until(lambda: (set(), set()) == held(sessions), "the session to be put away")
        assert {} == sessions._ended
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert 200 == (await http.post("/mcp", json=ping, headers={"Mcp-Session-Id": session})).status_code
