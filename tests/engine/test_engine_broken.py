"""Broken adapters (M13): whatever raises or hangs, no workload dies silently."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.engine.engines import (
    ForgetfulJournal,
    World,
    accounted_for,
    keystore_with,
    login_of,
    one,
    running,
    spec_of,
    with_policy,
)
from trayapp.core import machine
from trayapp.core.messages import Event, Go
from trayapp.core.model import Login, Trouble, Workload
from trayapp.core.presentation import Verb
from trayapp.engine import effects
from trayapp.engine.ports import StoredLogin
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.vault.keystore import MemoryKeystore

CANARY = "rt-canary-in-an-exception"


class Scripted(MemoryKeystore):
    """A keyring whose calls raise or report trouble as scripted."""

    def __init__(self, **script: list[Exception | Trouble]) -> None:
        super().__init__()
        self.script = script
        self.calls: list[str] = []

    def _next(self, what: str) -> Trouble | None:
        self.calls.append(what)
        answers = self.script.get(what, [])
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        return self._next("load") or await super().load(name, prompt=prompt)

    async def probe(self, name: str, *, prompt: bool = False) -> Trouble | None:
        return self._next("probe")

    async def store(self, name: str, login: Login) -> Trouble | None:
        return self._next("store") or await super().store(name, login)

    async def discard(self, name: str) -> Trouble | None:
        return self._next("discard") or await super().discard(name)


class BadJournal(ForgetfulJournal):
    """state.db on a disk that fails or hangs in the named calls."""

    def __init__(self, *broken: str, hangs: bool = False) -> None:
        super().__init__()
        self.broken = broken
        self.hangs = hangs

    def __getattribute__(self, what: str) -> Any:
        if what in ("broken", "hangs") or what not in self.broken:
            return super().__getattribute__(what)

        async def fail(*args: object) -> None:
            if self.hangs:
                await asyncio.Event().wait()
            raise OSError(5, "Input/output error")

        return fail


async def scripted(server: OAuthServer, **script: list[Exception | Trouble]) -> Scripted:
    keystore = Scripted()
    await keystore.store("one", login_of(server))
    keystore.script = script
    return keystore


async def up(world: World) -> None:
    """The keyring's unlock signal."""
    await world.engine.keyring_up()


@pytest.mark.parametrize("what", ["load", "probe"])
@pytest.mark.parametrize("how", [RuntimeError(CANARY), Trouble.LOCKED, Trouble.HANGING])
async def test_a_failing_keyring_is_named_and_waited_for(tmp_path: Path, what: str, how: Any) -> None:
    """Amber, with the keyring as its reason; green when it is back; no token is spent."""

    with OAuthServer() as server:
        keystore = await scripted(server, **{what: [how]})
        async with one(server, tmp_path, keystore=keystore) as world:
            detail = "keyring_locked" if how is Trouble.LOCKED else "keyring_unavailable"
            await world.becomes(f"auth_retrying {detail}")
            assert accounted_for(world)
            assert 0 == server.count("token")
            await up(world)
            await world.green()


async def test_a_failed_write_is_reported_and_repeated(tmp_path: Path) -> None:
    """The new login is in memory: served, `not_stored`, and written when the keyring is back."""

    with OAuthServer() as server:
        keystore = await scripted(server, store=[RuntimeError(CANARY)])
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("running not_stored")
            assert ["one"] == world.engine.unsaved()
            assert accounted_for(world)
            await up(world)
            await world.green()
            assert [] == world.engine.unsaved()
            held = await world.stored()
            assert held is not None
            assert held.refresh_token.reveal() == server.current_refresh_token("family-1")


@pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])
@pytest.mark.parametrize("what", ["load", "intent", "close_intent", "save", "note"])
async def test_a_broken_state_db_stops_no_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, hangs: bool
) -> None:
    """The login is refreshed, rotated and stored, whatever call fails or hangs."""

    monkeypatch.setattr(effects, "RECORD_LIMIT", 0.02)
    with OAuthServer(access_token_lifetime=0.15) as server:
        async with one(server, tmp_path, journal=BadJournal(what, hangs=hangs)) as world:
            await world.until(lambda: server.count("token", outcome="ok") >= 2)
            await world.green()
            assert accounted_for(world)


async def test_an_exception_in_an_attempt_is_ambiguous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The request may have left: the mark is set, the same token is sent again, and the log has the traceback."""

    failures = [ValueError("unexpected")]
    real = HttpTokens.refresh

    async def refresh(self: HttpTokens, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Any:
        if failures:
            raise failures.pop()
        return await real(self, login, limit=limit, connect=connect, in_doubt=in_doubt)

    monkeypatch.setattr(HttpTokens, "refresh", refresh)
    with OAuthServer() as server:
        async with one(server, tmp_path, with_policy(again=(0.1,))) as world:
            await world.until(lambda: world.w().maybe_spent)
            error = world.w().last_error
            assert error is not None
            assert "internal" == error.kind
            assert accounted_for(world)
            await world.green()
    assert "ValueError: unexpected" in caplog.text


async def test_an_attempt_that_never_ends_is_ended_by_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that ignores its own limit is given up, and its late answer changes nothing."""

    from trayapp.core import attempts

    monkeypatch.setattr(attempts, "DEADLINE_MARGIN", 0.0)
    release = asyncio.Event()
    real = HttpTokens.refresh
    asked = 0

    async def refresh(self: HttpTokens, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            await release.wait()
        return await real(self, login, limit=limit, connect=connect, in_doubt=in_doubt)

    monkeypatch.setattr(HttpTokens, "refresh", refresh)
    with OAuthServer() as server:
        async with one(server, tmp_path, with_policy(attempt_limit=0.1)) as world:
            await world.green()
            assert 2 == asked
            release.set()
            await world.quiet(0.05)
            assert "running ok" == world.status()
        assert 1 == server.count("token")


async def test_the_loop_survives_whatever_raises_in_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A watcher or a rule that raises is logged once per pass, not in a busy loop, and the next pass works."""

    from trayapp.engine import engine

    monkeypatch.setattr(engine, "RESTLESS_SLEEP", 0.1)
    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            world.watcher.failure = RuntimeError("the eye is shut")
            world.engine.set_app_fields()
            await world.until(lambda: "the eye is shut" in caplog.text)
            looks = world.watcher.looks
            await world.quiet(0.05)
            assert world.watcher.looks <= looks + 1

            failures = [RuntimeError("a rule is wrong")]
            real = machine.step

            def step(w: Workload, event: Event) -> Any:
                if failures and isinstance(event, Go):
                    raise failures.pop()
                return real(w, event)

            monkeypatch.setattr(machine, "step", step)
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", outcome="ok") == 2)
            assert "a rule is wrong" in caplog.text
            assert 2 == sum(record.levelno >= logging.ERROR for record in caplog.records)


async def test_a_view_that_cannot_be_derived_does_not_stop_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its effects are carried out although nothing can be shown."""

    from trayapp.core import view
    from trayapp.engine import engine

    monkeypatch.setattr(engine, "RESTLESS_SLEEP", 0.02)
    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            real, failures = view.derive, [0] * 3

            def derive(*args: Any) -> Any:
                if failures:
                    failures.pop()
                    raise RuntimeError("no view")
                return real(*args)

            monkeypatch.setattr(view, "derive", derive)
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", outcome="ok") == 2 and not failures)
            await world.green()
            assert accounted_for(world)


async def test_a_removal_ends_even_if_every_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Revocation, keyring and state.db raise: the workload is gone, and the log says what is left."""

    async def revoke(self: HttpTokens, login: Login, **_: Any) -> NoReturn:
        raise RuntimeError("revoke")

    monkeypatch.setattr(HttpTokens, "revoke", revoke)
    with OAuthServer() as server:
        keystore = await scripted(server, discard=[RuntimeError(CANARY)])
        async with one(server, tmp_path, keystore=keystore, journal=BadJournal("forget")) as world:
            await world.green()
            world.do(Verb.REMOVE)
            await world.until(lambda: "one" not in world.engine.workloads)
            assert await world.stored() is not None  # what could not be deleted
    assert "one: its login could not be deleted from the keyring" in caplog.text
    assert "revoking failed unexpectedly" in caplog.text
    assert "forget one failed" in caplog.text


async def test_no_fault_leaves_a_workload_unaccounted_for(tmp_path: Path) -> None:
    """In every mode of the server it has a deadline, an attempt, or a status that says what it waits for."""

    with OAuthServer(access_token_lifetime=0.3, grace=60.0, check=False, retry_after=None) as server:
        keystore = await keystore_with(("one", login_of(server)))
        policy = with_policy(attempt_limit=0.05)
        async with running([spec_of(server, policy=policy)], tmp_path, keystore=keystore) as world:
            for mode in Mode:
                if mode in (Mode.INVALID_GRANT, Mode.INVALID_CLIENT, Mode.FORM_ERROR, Mode.GITHUB_ERROR, Mode.SLOW):
                    continue
                server.mode = mode
                for _ in range(12):
                    assert accounted_for(world), f"{mode}: {world.w()!r}"
                    await asyncio.sleep(0.004)
            server.mode = Mode.SUCCESS
            await world.green()
