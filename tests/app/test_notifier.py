"""Desktop notifications: shown in order; a server that hangs, fails or is missing disturbs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import Tokens, VirtualClock, World, virtual_engine
from trayapp.app import notifier as module
from trayapp.app.notifier import Notifier
from trayapp.core.model import Login
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.tray import notify
from trayapp.tray.channel import Listener


class Screen:
    """A notification server whose faults a test chooses."""

    def __init__(self, listener: Listener, *, make_channel: object) -> None:
        self.listener = listener
        self.up: dict[str, Notice] = {}
        self.log: list[str] = []
        self.closed = False
        self.hang = False
        self.away = False
        self.failure: Exception | None = None

    async def _slowly(self) -> None:
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    async def show(self, notice: Notice) -> bool:
        await self._slowly()
        if self.away:
            return False
        self.up[notice.key] = notice
        self.log.append(f"show {notice.key}")
        return True

    async def withdraw(self, key: str) -> None:
        await self._slowly()
        self.up.pop(key, None)
        self.log.append(f"withdraw {key}")

    async def close(self) -> None:
        self.closed = True


def _notifier(world: World, act: Callable[[Action], None], *, enabled: bool) -> Notifier:
    engine = world.engine
    return Notifier(engine.now, engine.snapshot, lambda: engine.callers.refused, act, enabled=enabled)


class Stage:
    """An engine in virtual time with a notifier and a fake notification server."""

    def __init__(self, world: World, clock: VirtualClock, tokens: Tokens) -> None:
        self.world = world
        self.clock = clock
        self.tokens = tokens
        self.clicked: list[Action] = []
        self.notifier = _notifier(world, self.clicked.append, enabled=True)

    @property
    def screen(self) -> Screen:
        found = self.notifier._centre
        assert isinstance(found, Screen)
        return found

    async def pass_time(self, seconds: float, step: float = 30.0) -> None:
        """Let time pass, with the calls that the program makes after each publishing and each pass."""
        end = self.clock.at + seconds
        while self.clock.at < end:
            await self.clock.pass_time(min(step, end - self.clock.at))
            self.notifier.time_passes()
        await self.clock.pass_time(0.0)

    def texts(self) -> list[str]:
        return [notice.title for _, notice in sorted(self.screen.up.items())]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(notify, "NotificationCentre", Screen)
    clock, tokens = VirtualClock(), Tokens(life=1200.0)
    async with virtual_engine(["one", "two"], tmp_path, clock, tokens) as world:
        stage = Stage(world, clock, tokens)
        await stage.notifier.open()
        await stage.pass_time(5.0)
        yield stage
        await stage.notifier.close()
        assert stage.screen.closed


async def dead(login: Login) -> Reply:
    return Fault(False, "dns", "no name")


async def refusing(login: Login) -> Reply:
    return Answer(400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}')


async def test_an_outage_is_announced_only_when_somebody_missed_a_token(stage: Stage) -> None:
    """Not before a client was refused and it is a minute old; then once; withdrawn when it is over."""

    stage.tokens.reply = dead
    await stage.pass_time(2400.0)
    assert "auth_retrying retrying" == stage.world.status()
    assert {} == stage.screen.up
    await stage.world.engine.token("one")
    await stage.pass_time(60.0)
    assert ["one is reconnecting"] == stage.texts()
    await stage.pass_time(600.0)
    assert 1 == len([line for line in stage.screen.log if line.startswith("show")])
    stage.tokens.reply = None
    stage.world.do(Verb.RETRY_ALL, "")
    await stage.pass_time(60.0)
    assert [] == stage.texts()


async def test_red_is_announced_until_it_is_solved(stage: Stage) -> None:
    """With both buttons; again a day later when the person is back; withdrawn by success."""

    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY)
    await stage.pass_time(5.0)
    (notice,) = stage.screen.up.values()
    assert "one: Sign-in needed" == notice.title
    assert [Action(Verb.REAUTHORIZE, "one"), Action(Verb.RETRY, "one")] == [action for _, action in notice.buttons]
    shown = len(stage.screen.log)
    stage.tokens.reply = None
    await stage.pass_time(86400.0, 21600.0)
    stage.notifier.user_is_back()
    await stage.pass_time(30.0)
    assert shown < len(stage.screen.log)

    stage.world.do(Verb.PAUSE)
    await stage.pass_time(5.0)
    assert [] == stage.texts()


async def test_muted_shows_nothing(stage: Stage) -> None:
    """What is on the screen is withdrawn, and nothing new is shown."""

    stage.tokens.reply = refusing
    stage.world.engine.set_app_fields(muted=True)
    stage.world.do(Verb.RETRY_ALL, "")
    await stage.pass_time(60.0)
    assert {} == stage.screen.up


async def test_show_names_each_workload_with_a_problem(stage: Stage) -> None:
    """One notification each, with what to do; or one that all is well."""

    stage.notifier.show_all()
    await stage.pass_time(1.0)
    assert "All workloads are connected." == stage.screen.up["summary"].body
    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY, "two")
    await stage.pass_time(5.0)
    stage.notifier.show_all()
    await stage.pass_time(1.0)
    assert "two" == stage.screen.up["show:two"].title


async def test_at_the_end_nothing_is_left_on_the_screen(stage: Stage) -> None:
    """The buttons would do nothing any more."""

    stage.notifier.show_text("host", "Amberlight is running", "A sentence.")
    stage.notifier.warn_quit(["one"])
    await stage.pass_time(1.0)
    assert {"host", "quit"} == set(stage.screen.up)
    await stage.notifier.close()
    assert {} == stage.screen.up


async def test_a_server_that_hangs_delays_nothing_for_long(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the next notification nor the end."""

    monkeypatch.setattr(module, "SHOW_LIMIT", 0.05)
    monkeypatch.setattr(module, "CLOSE_LIMIT", 0.05)
    stage.screen.hang = True
    stage.notifier.show_text("a", "first", "")
    await asyncio.sleep(0.1)
    stage.screen.hang = False
    stage.notifier.show_text("b", "second", "")
    await asyncio.sleep(0.05)
    assert ["second"] == stage.texts()
    stage.screen.hang = True
    await asyncio.wait_for(stage.notifier.close(), 1.0)


async def test_a_server_that_fails_is_asked_again_for_the_next(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """One exception costs one notification."""

    stage.screen.failure = RuntimeError("the bell is broken")
    stage.notifier.show_text("a", "first", "")
    stage.notifier.show_text("b", "second", "")
    await stage.pass_time(1.0)
    assert ["second"] == stage.texts()
    assert "the bell is broken" in caplog.text


async def test_red_is_shown_as_soon_as_it_can_be(stage: Stage) -> None:
    """A daemon that comes later shows it once, with the words of that moment."""

    stage.screen.away = True
    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY_ALL, "")
    await stage.pass_time(60.0)
    stage.world.do(Verb.PAUSE, "two")
    await stage.pass_time(60.0)
    assert [] == stage.texts()
    stage.screen.away = False
    stage.screen.listener.on_ready()
    await stage.pass_time(5.0)
    assert ["one: Sign-in needed"] == stage.texts()
    stage.screen.listener.on_ready()
    await stage.pass_time(5.0)
    assert ["show red:one"] == stage.screen.log[-1:]


async def test_what_is_over_is_not_shown_late(stage: Stage) -> None:
    """Red that was solved before a daemon came."""

    stage.screen.away = True
    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY)
    await stage.pass_time(5.0)
    stage.world.do(Verb.PAUSE)
    await stage.pass_time(5.0)
    stage.screen.away = False
    stage.screen.listener.on_ready()
    await stage.pass_time(5.0)
    assert [] == stage.texts()


@pytest.mark.parametrize(("away", "shown"), [(10.0, 1), (600.0, 0)])
async def test_red_that_expired_is_repeated_only_after_a_restart(stage: Stage, away: float, shown: int) -> None:
    """A daemon that ends because it is idle comes back with anybody's next notification, perhaps every few minutes."""

    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY)
    await stage.pass_time(5.0)
    before = len(stage.screen.log)
    stage.screen.listener.on_lost(set(), {"red:one"})
    await stage.pass_time(away)
    stage.screen.listener.on_ready()
    await stage.pass_time(5.0)
    assert shown == len(stage.screen.log) - before


@pytest.mark.parametrize(
    ("away", "shown"), [(10.0, ["first", "true until withdrawn"]), (600.0, ["true until withdrawn"])]
)
async def test_a_sentence_is_worth_showing_for_a_minute(stage: Stage, away: float, shown: list[str]) -> None:
    """It answered a click that nobody remembers later; one that stays true is shown until it is withdrawn."""

    stage.screen.away = True
    stage.notifier.show_text("a", "first", "")
    seen: list[str] = []
    stage.notifier.show_until_seen(Notice("b", "true until withdrawn", ""), lambda: seen.append("b"))
    stage.notifier.show_until_seen(Notice("c", "withdrawn unseen", ""), lambda: seen.append("c"))
    await stage.pass_time(away)
    stage.notifier.withdraw("c")
    assert [] == seen
    stage.screen.away = False
    stage.screen.listener.on_ready()
    await stage.pass_time(1.0)
    assert shown == stage.texts()
    assert ["b"] == seen
    stage.notifier.withdraw("b")
    stage.notifier.withdraw("unknown")
    await stage.pass_time(1.0)
    stage.screen.listener.on_lost({"b"}, set())
    stage.screen.listener.on_ready()
    await stage.pass_time(1.0)
    assert "true until withdrawn" not in stage.texts()


async def test_the_details_of_an_error_are_copied_or_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown where there is no clipboard. An unknown name has none."""

    copied: list[str] = []
    works = True

    async def copy(text: str) -> bool:
        if works:
            copied.append(text)
        return works

    monkeypatch.setattr(module, "copy", copy)
    stage.tokens.reply = refusing
    stage.world.do(Verb.RETRY)
    await stage.pass_time(5.0)
    await stage.notifier.copy_error("one")
    (text,) = copied
    assert "one: unauthenticated (refused)" in text
    assert "invalid_grant" in text
    works = False
    await stage.notifier.copy_error("one")
    await stage.pass_time(1.0)
    assert text == stage.screen.up["details:one"].body
    await stage.notifier.copy_error("nobody")


async def test_with_notifications_off_no_server_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same calls work without one."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(notify, "NotificationCentre", never)
    clock, tokens = VirtualClock(), Tokens()
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        notifier = _notifier(world, lambda action: None, enabled=False)
        await notifier.open()
        notifier.show_text("a", "first", "")
        notifier.show_all()
        notifier.published(world.engine.snapshot())
        await notifier.close()
