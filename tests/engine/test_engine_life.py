"""Limits, quitting and cost: attempts in flight, what a quit waits for, wake-ups and snapshots."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.engine.engines import (
    Tokens,
    VirtualClock,
    keystore_with,
    login_of,
    one,
    running,
    spec_of,
    virtual_engine,
    with_policy,
)
from trayapp.core.model import Login, Moment, Phase
from trayapp.core.outcomes import Answer
from trayapp.core.presentation import Verb
from trayapp.engine import engine, roster
from trayapp.engine.ports import SystemChange
from trayapp.oauthtest import Mode, OAuthServer


class SlowClock(VirtualClock):
    """Each look at it takes `step` seconds."""

    step = 0.0

    def now(self) -> Moment:
        self.at += self.step
        return super().now()


@pytest.mark.parametrize("look", range(1, 6))
async def test_what_falls_due_during_a_pass_is_not_left_for_the_next_poll(tmp_path: Path, look: int) -> None:
    """On a busy machine a pass takes time, and an attempt may fall due between any two looks at the clock."""

    clock, tokens = SlowClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        assert 1 == tokens.asked
        due = world.w().due
        assert due is not None
        clock.step = 1e-3
        clock.at = due - (look - 0.5) * clock.step
        world.engine.wake()
        await clock.pass_time(0.5)
        assert 2 == tokens.asked


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_at_most_two_attempts_per_server(tmp_path: Path) -> None:
    """Six workloads of one slow server: never more than two requests at the same time, and all of them get through."""

    with OAuthServer(delay=0.05) as server:
        server.mode = Mode.SLOW
        specs = [spec_of(server, f"w{n}") for n in range(6)]
        keystore = await keystore_with(*((spec.name, login_of(server, spec.name)) for spec in specs))
        async with running(specs, tmp_path, keystore=keystore) as world:
            for spec in specs:
                await world.green(spec.name)
        assert 6 == server.count("token", outcome="ok")
        assert 2 == server.max_in_flight


async def test_at_most_eight_attempts_in_all(tmp_path: Path) -> None:
    """Twelve workloads of six servers that do not answer: eight requests wait, the other four are not even begun."""

    servers = [OAuthServer(check=False) for _ in range(6)]
    for server in servers:
        server.__enter__()
        server.mode = Mode.HANG_BEFORE_HEADERS
    try:
        policy = with_policy(attempt_limit=5.0)
        specs = [spec_of(server, f"w{n}{m}", policy) for n, server in enumerate(servers) for m in "ab"]
        logins = [(spec.name, login_of(servers[int(spec.name[1])], spec.name)) for spec in specs]
        async with running(specs, tmp_path, keystore=await keystore_with(*logins)) as world:
            await world.until(lambda: sum(server.count("token") for server in servers) == 8)
            await world.quiet(0.05)
            assert 8 == sum(server.count("token") for server in servers)
            assert 8 == sum(w.phase is Phase.REFRESHING for w in world.engine.workloads.values())
            for server in servers:
                server.mode = Mode.SUCCESS
                server.release()
            for spec in specs:
                await world.green(spec.name)
    finally:
        for server in servers:
            server.__exit__(None, None, None)


async def test_the_longest_due_comes_first(tmp_path: Path) -> None:
    """The queue before a busy server is in the order of the due instants, not of the names."""

    clock, tokens, order = VirtualClock(), Tokens(), list[str]()

    async def reply(login: Login) -> Answer:
        order.append(login.lineage)
        await clock.sleep(1.0)
        body = b'{"access_token": "at", "expires_in": 3600}'
        return Answer(200, {"content-type": "application/json"}, body)

    async with virtual_engine(["h1", "h2", "c", "b", "a"], tmp_path, clock, tokens) as world:
        await clock.pass_time(10.0)
        tokens.reply = reply
        for name in ("h1", "h2", "c", "b", "a"):
            world.do(Verb.RETRY, name)
            await clock.pass_time(0.1)
        await clock.pass_time(10.0)
        assert ["line-h1", "line-h2", "line-c", "line-b", "line-a"] == order


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_a_quit_waits_for_the_answer_and_its_storing(tmp_path: Path) -> None:
    """An attempt in flight at a slow server: the rotated token is in the keyring when the engine has ended."""

    with OAuthServer(delay=0.3) as server:
        server.mode = Mode.SLOW
        login = login_of(server)
        keystore = await keystore_with(("one", login))
        async with one(server, tmp_path, with_policy(attempt_limit=3.0), keystore=keystore) as world:
            await world.until(lambda: server.count("token") == 1)
            began = time.monotonic()
        assert time.monotonic() - began >= 0.15
        held = await world.stored()
        assert held is not None
        assert 2 == held.generation
        assert held.refresh_token.reveal() == server.current_refresh_token("family-1")
        assert 1 == server.count("token")


async def test_a_quit_gives_up_after_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that never answers delays the end no longer than that; the log says whose answer is missing."""

    monkeypatch.setattr(engine, "QUIT_LIMIT", 0.1)
    with OAuthServer(check=False) as server:
        server.mode = Mode.HANG_BEFORE_HEADERS
        async with one(server, tmp_path, with_policy(attempt_limit=60.0)) as world:
            await world.until(lambda: server.count("token") == 1)
            began = time.monotonic()
        assert 0.1 <= time.monotonic() - began < 1.0
    assert "quitting without an answer to: one" in caplog.text


async def test_after_the_end_nothing_begins(tmp_path: Path) -> None:
    """Clicks, wakes and due instants after `close` send nothing."""

    with OAuthServer(access_token_lifetime=0.2) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            await world.engine.close()
            asked = server.count("token")
            for verb in (Verb.RETRY, Verb.RESUME, Verb.RETRY_ALL):
                world.do(verb)
            await world.engine.system_changed(SystemChange(woke=True, network=True))
            await asyncio.sleep(0.25)
            assert asked == server.count("token")
        world.do(Verb.RETRY)  # the engine is gone: nobody hears it, and nobody minds


async def test_a_quit_in_the_middle_of_a_removal_finishes_it(tmp_path: Path) -> None:
    """Revoked and deleted, though the program ended right after the click."""

    with OAuthServer(latency=0.05) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            world.do(Verb.REMOVE)
            await asyncio.sleep(0)
        assert await world.stored() is None
        assert () == server.live_families()


# --- what it costs ---------------------------------------------------------------------------------------------------


async def test_at_rest_it_wakes_twice_a_minute_and_publishes_nothing(tmp_path: Path) -> None:
    """Ten workloads with tokens of a day, for one hour."""

    clock, tokens = VirtualClock(), Tokens(life=86400.0)
    async with virtual_engine([f"w{n}" for n in range(10)], tmp_path, clock, tokens) as world:
        await clock.pass_time(60.0)
        assert {"running ok"} == {world.status(name) for name in world.engine.workloads}
        published, slept, looked = len(world.snapshots), clock.sleeps, world.watcher.looks
        await clock.pass_time(3600.0)
        assert clock.sleeps - slept <= 2 * 60 + 1
        assert world.watcher.looks - looked <= 2 * 60 + 1
        assert published == len(world.snapshots)
        assert 10 == tokens.asked


async def test_half_a_day_of_short_tokens_needs_one_request_each_time(tmp_path: Path) -> None:
    """Tokens of an hour, refreshed five minutes ahead: 14 requests in half a day, none of them doubled."""

    clock, tokens = VirtualClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(43200.0)
        assert "running ok" == world.status()
        assert 1 + 43200 // 3300 == tokens.asked
        held = await world.stored()
        assert held is not None
        assert 1 + tokens.asked == held.generation


async def test_at_most_four_snapshots_a_second(tmp_path: Path) -> None:
    """A quarter of a second between two, and the last change is always published."""

    with OAuthServer(access_token_lifetime=0.2) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            for _ in range(30):
                world.do(Verb.RETRY)
                await asyncio.sleep(0.03)
            world.do(Verb.PAUSE)
            await world.becomes("stopped paused")
            await world.until(lambda: "stopped paused" == world.seen["one"][-1])
        times = [at for at, _ in world.snapshots]
        assert min(b - a for a, b in pairwise(times)) >= 0.24
        assert len({snapshot.serial for _, snapshot in world.snapshots}) == len(world.snapshots)


async def test_a_snapshot_asked_for_is_still_published(tmp_path: Path) -> None:
    """Asking for one doesn't count as publishing it."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            while world.status() != "running ok":
                world.engine.snapshot()
                await asyncio.sleep(0)
            world.engine.snapshot()
            await world.until(lambda: "running ok" in world.seen.get("one", ()), limit=1.0)


async def test_only_changed_views_are_made_anew(tmp_path: Path) -> None:
    """Two snapshots share the other views; `since` stays as long as the status does."""

    with OAuthServer() as server:
        keystore = await keystore_with(*((name, login_of(server, name)) for name in ("one", "two")))
        async with running([spec_of(server, n) for n in ("one", "two")], tmp_path, keystore=keystore) as world:
            await world.green("one")
            await world.green("two")
            before = world.engine.snapshot()
            world.do(Verb.RETRY, "one")
            await world.until(lambda: server.count("token", outcome="ok") == 3)
            await world.green("one")
            after = world.engine.snapshot()
            assert before.workloads["two"] is after.workloads["two"]
            assert before.workloads["one"] != after.workloads["one"]
            assert before.workloads["one"].auth.since == after.workloads["one"].auth.since
            assert after is world.engine.snapshot()


async def test_the_gate_reason_changes_by_time_alone(tmp_path: Path) -> None:
    """Settling ends without an event, and the snapshot says so."""

    clock, tokens = VirtualClock(), Tokens()
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        world.engine.set_settling_times(3.0, 15.0)
        await clock.pass_time(1.0)
        world.system_changes(SystemChange(network=True))
        await clock.pass_time(1.0)
        assert "settling" == world.snapshots[-1][1].gate
        await clock.pass_time(3.0)
        assert "" == world.snapshots[-1][1].gate


async def test_a_click_before_the_engine_runs_is_not_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The loopback server may take clicks before the first pass; they are carried out."""

    caplog.set_level(logging.INFO)
    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            world.do(Verb.PAUSE)  # the loop of the engine has not had its first turn
            await world.becomes("stopped paused")
            assert 0 == server.count("token")


async def test_an_event_for_every_workload_is_applied_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two slices of 1,000 workloads callers, sockets and the tray have their turn."""

    clock, tokens = VirtualClock(), Tokens()
    counts, run, derive = [0], asyncio.Handle._run, engine.Engine._derive

    def one_step(handle: asyncio.Handle) -> None:
        counts.append(0)
        run(handle)

    def derived(made: engine.Engine, name: str) -> None:
        counts[-1] += 1
        derive(made, name)

    async with virtual_engine([f"w{n}" for n in range(100)], tmp_path, clock, tokens) as world:

        async def all_valid(asked: int) -> None:
            for _ in range(1000):
                await clock.pass_time(0.1)
                if tokens.asked >= asked and all(w.phase is Phase.VALID for w in world.engine.workloads.values()):
                    return
            pytest.fail(f"{tokens.asked} requests, and not everybody is green")

        await all_valid(100)
        monkeypatch.setattr(asyncio.Handle, "_run", one_step)
        monkeypatch.setattr(engine.Engine, "_derive", derived)
        world.do(Verb.RETRY_ALL)
        await all_valid(200)
        world.system_changes(SystemChange(network=True, offline=True))
        await clock.pass_time(2 * 3600.0)  # all tokens end
        world.system_changes(SystemChange(network=True, offline=False))
        await all_valid(300)
        monkeypatch.undo()
    # Each of a slice is derived for up to two events and for the gate; what is due begins eight at a time.
    assert 3 * roster.SLICE + 8 >= max(counts)
