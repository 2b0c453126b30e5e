"""One login, one owner: restarts, take-overs and ways back of one workload, side by side. In virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.app.test_external import HEAL, SOON, Engine, report_nothing, reported, returns, virtually
from tests.app.test_take_over import FakeEngine
from tests.external.fake_owner import workload
from tests.external.slow_owner import SlowOwner, SlowThreads
from tests.simulation.loop import VirtualLoop
from trayapp.api.controls import Draft, GivenBack, Moved, Rejected, Removed
from trayapp.app.external import HEALED_TOGETHER, ExternalWatch
from trayapp.app.external_claims import EFFECT_LIMIT
from trayapp.app.external_owner import ACT_LIMIT, WatchedOwner
from trayapp.app.take_over import TakeOver
from trayapp.clients.places import Machine
from trayapp.config.loader import Settings
from trayapp.core.model import Problem, Spec
from trayapp.external.owner import PendingError

__all__ = ["reported"]  # a fixture

T = TypeVar("T")

ONE, TWO = "toolhive/github", "toolhive/docs"
BUSY_RESTART = "github is busy: ToolHive is restarting it. Try again once it has finished."
BUSY_TAKE = "github is busy: Amberlight is taking it over. Try again once it has finished."
OFF = Settings(toolhive_watch=False)


class NoClients:
    """No client has an entry that goes to the other program."""

    async def pointing(self, client_url: str) -> tuple[Sequence[Any], Sequence[str]]:
        return (), ()

    async def texts(self, record: Any) -> Mapping[str, str]:
        return {}

    async def reach(self, name: str) -> Any:
        raise AssertionError("there is nothing to point")

    async def move(self, access: Any, record: Any, texts: Any) -> Any:
        raise AssertionError("there is nothing to point")

    async def put_back(self, name: str, record: Any) -> Sequence[Any]:
        return ()

    def reachable(self) -> None: ...


class House:
    """The watch of a slow program, and take-overs from it. A sign-in begins at once and succeeds."""

    def __init__(self, state: Path, *names: str, settings: Settings | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.history: list[str] = []
        self.owner = SlowOwner([workload(each) for each in names or ("github", "docs")], history=self.history)
        self.owner.loop = self.loop
        self.owner.on_start = self._look_twice
        self.owner.takes = {"restart": 5.0, "stop": 2.0}
        self.threads = SlowThreads(ACT_LIMIT)
        self.engine, self.roster = Engine(), FakeEngine()
        self.told: list[tuple[str, str, str]] = []
        self.both: list[str] = []  # signed in here while the other program runs it
        self.watch = ExternalWatch(
            lambda: Machine("linux", {}, Path("/nowhere")),
            self.engine,
            lambda *words: self.told.append(words),
            lambda machine: [self.owner],
            lambda owner, show, claims: WatchedOwner(owner, show, claims, self.threads, lambda: self.loop.time()),
        )
        if settings is not None:
            self.watch.configured(settings)
        self.take_over = TakeOver(self.watch, NoClients(), self.roster, self._add, self._remove, self._sign_in, state)
        self.engine.task("watch", self.watch.run())

    async def _add(self, draft: Draft) -> str:
        await asyncio.sleep(0.5)
        self.history.append(f"add {draft.name}")
        self.roster.specs[draft.name] = Spec(draft.name, str(draft.keys["url"]))
        return draft.name

    async def _remove(self, names: Sequence[str]) -> Removed:
        await asyncio.sleep(0.1)
        for name in names:
            self.history.append(f"remove {name}")
            del self.roster.specs[name]
            self.roster.signed_in.discard(name)
        return Removed()

    async def _sign_in(self, name: str, browser: bool) -> str:
        await asyncio.sleep(0.5)
        self.history.append(f"sign in {name}")
        self.roster.signed_in.add(name)
        self._look_twice(name)
        return "https://login.example/authorize"

    def _look_twice(self, name: str) -> None:
        """After a sign-in here, and a start there."""
        there = self.owner.has(name) and (self.owner.word(name) != "stopped" or name in self.owner.pending)
        if there and name in self.roster.signed_in:
            self.both.append(name)

    def taking(self, theirs: str = ONE) -> asyncio.Task[Moved | Rejected]:
        return self.loop.create_task(self.take_over.take(theirs))

    def undoing(self, name: str = "github") -> asyncio.Task[GivenBack | Rejected]:
        return self.loop.create_task(self.take_over.give_back(name))

    def changed(self) -> None:
        """The kernel reports a change."""
        for watched, _ in self.watch._watched.values():
            watched._hint.set()

    def doing(self, name: str = ONE) -> str:
        facts = self.engine.published[-1][name].external
        assert facts is not None
        return facts.doing

    async def settles(self) -> None:
        """Everything that is under way ends, and is seen."""
        await self.threads.rest()
        self.changed()
        await asyncio.sleep(SOON)

    async def end(self) -> None:
        await self.watch.close()
        assert [] == self.engine.failed()
        assert [] == self.owner.overlaps
        assert [] == self.both


def refused(answer: object, text: str) -> bool:
    """409 with this sentence."""
    assert isinstance(answer, Rejected), answer
    return (409, "busy", text) == (answer.status, answer.code, answer.message)


async def inline(work: Callable[..., T], *arguments: Any) -> T:
    await asyncio.sleep(0.01)
    return work(*arguments)


Story = Callable[[House], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: None) -> Tell:
    """Run a story in a house where everything is at rest."""
    monkeypatch.setattr(asyncio, "to_thread", inline)

    def run(story: Story, *names: str, settings: Settings | None = None) -> None:
        async def whole() -> None:
            house = House(tmp_path, *names, settings=settings)
            await asyncio.sleep(SOON)
            await story(house)
            await house.end()

        virtually(whole)

    return run


# --- during a restart ------------------------------------------------------------------------------------------------


def test_what_is_restarted_is_not_taken_over(tell: Tell) -> None:
    """Nothing is added, stopped or remembered. Once the restart shows, it works."""

    async def story(house: House) -> None:
        house.watch.restart_clicked(ONE)
        for _ in range(5):
            await asyncio.sleep(0.9)
            assert refused(await house.taking(), BUSY_RESTART)
        assert ["restart github"] == house.history
        assert not list(house.take_over._state_dir.glob("take-overs*"))
        await house.settles()
        assert isinstance(await house.taking(), Moved)
        assert ["github runs", "add github", "stop github", "sign in github"] == house.history[1:]

    tell(story)


def test_nor_is_it_given_back(tell: Tell) -> None:
    """Somebody has it restarted after the take-over; the way back waits for that."""

    async def story(house: House) -> None:
        assert isinstance(await house.taking(), Moved)
        await house.settles()
        house.roster.signed_in.clear()
        house.watch.restart_clicked(ONE)
        await asyncio.sleep(SOON)
        before = list(house.history)
        assert refused(await house.undoing(), BUSY_RESTART)
        assert before == house.history
        assert "github" in house.roster.specs
        await house.settles()
        assert isinstance(await house.undoing(), GivenBack)
        assert ["github runs", "remove github"] == house.history[len(before) :]

    tell(story)


def test_a_restart_whose_effect_does_not_show_yet(tell: Tell) -> None:
    """An API answers first and restarts then: what is there meanwhile isn't the end of it."""

    async def story(house: House) -> None:
        house.owner.takes, house.owner.later = {}, 10.0
        house.watch.restart_clicked(ONE)
        for _ in range(9):
            await asyncio.sleep(SOON)
            house.changed()
            assert refused(await house.taking(), BUSY_RESTART)
        await asyncio.sleep(2 * SOON)
        house.changed()
        await asyncio.sleep(SOON)
        assert isinstance(await house.taking(), Moved)
        house.owner.later = 0.0

    tell(story)


def test_a_change_before_the_restart_is_not_its_effect(tell: Tell) -> None:
    """Seen by no look of ours when it was clicked, and read while it was asked for."""

    async def story(house: House) -> None:
        house.owner.takes, house.owner.later = {}, 10.0
        house.threads.reading_takes = 0.5
        house.owner.becomes("github", "auth_retrying")
        house.changed()
        house.watch.restart_clicked(ONE)
        await asyncio.sleep(SOON)
        assert refused(await house.taking(), BUSY_RESTART)

    tell(story)


def test_a_restart_that_nobody_waits_for_any_more(tell: Tell) -> None:
    """The program isn't responding, and does it in the end: until then, and until it shows, it's busy."""

    async def story(house: House) -> None:
        house.owner.takes["restart"] = 3 * ACT_LIMIT
        answer = await house.watch.restart(ONE)
        assert answer == Problem("hanging", "ToolHive isn't responding.")
        for _ in range(8):
            assert refused(await house.taking(), BUSY_RESTART)
            assert None is await house.watch.restart(ONE)
            await asyncio.sleep(10.0)
        await house.settles()
        await asyncio.sleep(SOON)
        assert isinstance(await house.taking(), Moved)
        assert ["restart github", "github runs"] == house.history[:2]

    tell(story)


def test_one_that_fails_in_the_end(tell: Tell) -> None:
    """Is over then."""

    async def story(house: House) -> None:
        house.owner.takes["restart"], house.owner.fails_late = 2 * ACT_LIMIT, True
        await house.watch.restart(ONE)
        assert "ToolHive is restarting it." == house.doing()
        await house.threads.rest()
        await asyncio.sleep(SOON)
        assert "" == house.doing()

    tell(story)


def test_one_that_was_answered_too_late(tell: Tell) -> None:
    """It may be done yet: until that shows, or for a limit."""

    async def story(house: House) -> None:
        def late(name: str) -> None:
            house.loop.call_later(8.0, house.owner._starts, name)
            raise PendingError("ToolHive didn't restart github: it didn't answer within 10 seconds.")

        house.owner.restart = late  # type: ignore[method-assign]
        answer = await house.watch.restart(ONE)
        assert answer is not None
        assert "didn't answer" in answer.summary
        for _ in range(7):
            assert refused(await house.taking(), BUSY_RESTART)
            await asyncio.sleep(SOON)
        await asyncio.sleep(2 * SOON)
        await house.settles()
        assert isinstance(await house.taking(), Moved)

    tell(story)


def test_whoever_asked_is_gone(tell: Tell) -> None:
    """A cancelled restart still runs: its claim ends with it."""

    async def story(house: House) -> None:
        asked = house.loop.create_task(house.watch.restart(ONE))
        await asyncio.sleep(SOON)
        asked.cancel()
        await asyncio.sleep(SOON)
        assert refused(await house.taking(), BUSY_RESTART)
        await house.settles()
        assert isinstance(await house.taking(), Moved)

    tell(story)


def test_the_watch_is_switched_off_and_on_meanwhile(tell: Tell) -> None:
    """The restart is still known."""

    async def story(house: House) -> None:
        house.watch.restart_clicked(ONE)
        await asyncio.sleep(SOON)
        for each in (OFF, Settings()):
            house.watch.configured(each)
            await asyncio.sleep(SOON)
        assert "ToolHive is restarting it." == house.doing()
        assert refused(await house.taking(), BUSY_RESTART)
        await house.settles()
        assert "" == house.doing()
        assert isinstance(await house.taking(), Moved)

    tell(story)


def test_off_until_long_after(tell: Tell) -> None:
    """Nobody saw its end; it doesn't stay busy for that."""

    async def story(house: House) -> None:
        house.watch.restart_clicked(ONE)
        await asyncio.sleep(SOON)
        house.watch.configured(OFF)
        await asyncio.sleep(EFFECT_LIMIT + 10.0)
        house.watch.configured(Settings())
        await asyncio.sleep(SOON)
        assert "" == house.doing()
        assert isinstance(await house.taking(), Moved)

    tell(story)


def test_a_workload_that_is_gone_meanwhile(tell: Tell) -> None:
    """It can't be restarted, and one of its name that comes later is another matter."""

    async def story(house: House) -> None:
        house.owner.takes["read"] = 1.0
        asked = house.loop.create_task(house.watch.restart(ONE))
        await asyncio.sleep(0.5)
        house.owner.workloads = [workload("docs")]
        assert Problem("external", "ToolHive no longer has a workload named github.") == await asked
        house.owner.takes["read"] = 0.0
        await house.settles()
        house.owner.workloads = [workload("github")]
        await house.settles()
        assert isinstance(await house.taking(), Moved)

    tell(story)


# --- during a take-over ----------------------------------------------------------------------------------------------


def test_what_is_taken_over_is_not_restarted(tell: Tell) -> None:
    """Whoever clicks is told why; after it, too, until the sign-in has begun."""

    async def story(house: House) -> None:
        taking = house.taking()
        told = 0
        while not taking.done():
            house.watch.restart_clicked(ONE)
            await asyncio.sleep(0.3)
            told += 1
        assert isinstance(taking.result(), Moved)
        assert told - 1 <= len(house.told) <= told
        assert {("restart:toolhive/github", "Couldn't restart github (ToolHive)", BUSY_TAKE)} == set(house.told)
        assert "restart github" not in house.history[: house.history.index("sign in github")]

    tell(story)


def test_healing_is_silent_about_it(tell: Tell) -> None:
    """Nobody asked for that restart."""

    async def story(house: House) -> None:
        house.owner.becomes("github", "auth_retrying")
        await house.settles()
        house.owner.takes["stop"] = 30.0
        taking = house.taking()
        await returns(house)  # type: ignore[arg-type]
        assert isinstance(await taking, Moved)
        await asyncio.sleep(60.0)
        assert ["add github", "stop github", "sign in github"] == house.history
        assert [] == house.told

    tell(story, settings=HEAL)


def test_healing_that_waits_for_its_turn(tell: Tell) -> None:
    """What was taken over meanwhile isn't restarted any more."""

    names = [f"w{number}" for number in range(HEALED_TOGETHER)]

    async def story(house: House) -> None:
        for name in (*names, "github"):
            house.owner.becomes(name, "auth_retrying")
        house.owner.takes["restart"] = 40.0
        await house.settles()
        await returns(house)  # type: ignore[arg-type]
        assert [f"restart {name}" for name in names] == house.history
        assert isinstance(await house.taking(), Moved)
        await asyncio.sleep(200.0)
        assert "restart github" not in house.history
        assert "stopped" == house.owner.word()

    tell(story, *names, "github", settings=HEAL)


def test_two_take_overs_at_once(tell: Tell) -> None:
    """One of them is refused; of two workloads none is."""

    async def story(house: House) -> None:
        first, second, other = house.taking(), house.taking(), house.taking(TWO)
        assert refused(await second, BUSY_TAKE)
        assert isinstance(await first, Moved)
        assert isinstance(await other, Moved)
        assert 1 == house.history.count("sign in github") == house.history.count("sign in docs")

    tell(story)


def test_a_way_back_during_a_take_over(tell: Tell) -> None:
    """Of the same workload it's refused, as is the other way round; of another one it's done, too."""

    async def story(house: House) -> None:
        assert isinstance(await house.taking(TWO), Moved)
        taking = house.taking()
        await asyncio.sleep(SOON)
        other = house.undoing("docs")
        assert refused(await house.undoing(), BUSY_TAKE)
        assert isinstance(await taking, Moved)
        await asyncio.sleep(SOON)
        assert refused(
            await house.taking(TWO), "docs is busy: Amberlight is giving it back. Try again once it has finished."
        )
        assert isinstance(await other, GivenBack)
        await house.settles()
        assert ("stopped", "running") == (house.owner.word("github"), house.owner.word("docs"))

    tell(story)


def test_taken_over_again_right_after_the_way_back(tell: Tell) -> None:
    """The restart of the way back has to show first."""

    async def story(house: House) -> None:
        assert isinstance(await house.taking(), Moved)
        house.owner.takes, house.owner.later = {}, 10.0
        assert isinstance(await house.undoing(), GivenBack)
        assert refused(
            await house.taking(), "github is busy: Amberlight is giving it back. Try again once it has finished."
        )
        await asyncio.sleep(11.0)
        await house.settles()
        assert isinstance(await house.taking(), Moved)

    tell(story)


def test_the_watch_is_switched_off_during_a_take_over(tell: Tell) -> None:
    """It's completed; on again, nobody else gets the workload before."""

    async def story(house: House) -> None:
        house.owner.takes["stop"] = 10.0
        taking = house.taking()
        for each in (OFF, Settings(), OFF, Settings()):
            await asyncio.sleep(SOON)
            house.watch.configured(each)
        await asyncio.sleep(SOON)
        house.watch.restart_clicked(ONE)
        await asyncio.sleep(SOON)
        assert [BUSY_TAKE] == [text for _, _, text in house.told]
        house.watch.configured(OFF)
        assert isinstance(await taking, Moved)
        assert ["add github", "stop github", "sign in github"] == house.history

    tell(story)


@pytest.mark.parametrize("after", [0.005, 0.3, 1.0, 2.0, 2.8])
def test_a_take_over_that_is_cancelled(tell: Tell, after: float) -> None:
    """At any step. What was begun in a thread ends first; asking again completes it, and the way back is known."""

    async def story(house: House) -> None:
        taking = house.taking()
        await asyncio.sleep(after)
        taking.cancel()
        await asyncio.sleep(0.0)
        if house.threads.under_way:
            assert refused(await house.taking(), BUSY_TAKE)
        await house.settles()
        assert "" == house.doing()
        assert isinstance(await house.taking(), Moved)
        assert {"github"} == house.roster.signed_in
        assert isinstance(await house.undoing(), GivenBack)
        await house.settles()
        assert ({}, "running") == (house.roster.specs, house.owner.word())

    tell(story)


# --- after the stop --------------------------------------------------------------------------------------------------


def test_it_runs_again_after_the_stop(tell: Tell) -> None:
    """Somebody else started it: it isn't ours then."""

    async def story(house: House) -> None:
        house.owner.after_stop = lambda name: house.owner.becomes(name, "running")
        answer = await house.taking()
        assert isinstance(answer, Rejected)
        assert (
            "github hasn't stopped in ToolHive. Stop it there, then try again. It stays in ToolHive, and nothing was "
            "changed." == answer.message
        )
        assert ["add github", "stop github", "remove github"] == house.history
        assert isinstance(await house.undoing(), Rejected)

    tell(story)


@pytest.mark.parametrize("word", ["", "of a later version", "unknown", "running"])
def test_its_state_cannot_be_told(tell: Tell, word: str) -> None:
    """It doesn't count as stopped."""

    async def story(house: House) -> None:
        def fail(name: str) -> None:
            if word:
                house.owner.becomes(name, word)
            else:
                house.owner.failing["read"] = "ToolHive's workloads can't be read: Permission denied."

        house.owner.after_stop = fail
        answer = await house.taking()
        assert isinstance(answer, Rejected)
        assert ("where it may have stopped." in answer.message) is not bool(word)
        assert {} == house.roster.specs
        assert "sign in github" not in house.history
        house.owner.failing.clear()
        house.owner.after_stop = lambda name: None
        await house.settles()
        assert isinstance(await house.taking(), Moved)

    tell(story)


@pytest.mark.parametrize(("stops", "begins_so"), [(True, False), (True, True), (False, False), (False, True)])
def test_it_is_still_stopping(tell: Tell, stops: bool, begins_so: bool) -> None:
    """That is waited for, also if it was so before; not for ever, and if it runs then, it isn't taken over."""

    async def story(house: House) -> None:
        def lingers(name: str) -> None:
            house.owner.becomes(name, "stopping")
            house.loop.call_later(4.0, house.owner.becomes, name, "stopped" if stops else "running")

        house.owner.after_stop = lingers
        if begins_so:
            lingers("github")
        answer = await house.taking()
        assert stops is isinstance(answer, Moved)
        assert stops is ("sign in github" in house.history)
        assert begins_so is ("stop github" not in house.history)

    tell(story)


def test_a_stop_that_nobody_waits_for_any_more(tell: Tell) -> None:
    """It isn't taken over, and nobody gets the workload before the stop has ended."""

    async def story(house: House) -> None:
        house.owner.takes["stop"] = 2 * ACT_LIMIT
        answer = await house.taking()
        assert isinstance(answer, Rejected)
        assert "ToolHive isn't responding. It stays in ToolHive, where it may have stopped." == answer.message
        assert Problem("busy", BUSY_TAKE) == await house.watch.restart(ONE)
        await house.settles()
        assert None is await house.watch.restart(ONE)
        assert ["add github", "stop github", "remove github", "restart github", "github runs"] == house.history

    tell(story)


@pytest.mark.parametrize("problem", ["", "github.json is damaged."])
def test_it_is_gone_after_the_stop(tell: Tell, problem: str) -> None:
    """Somebody removed it there: nothing runs, unless something couldn't be read."""

    async def story(house: House) -> None:
        def goes(name: str) -> None:
            house.owner.workloads = [each for each in house.owner.workloads if each.name != name]
            house.owner.problems = [problem] if problem else []

        house.owner.after_stop = goes
        answer = await house.taking()
        assert isinstance(answer, Rejected if problem else Moved)

    tell(story)


# --- anything, in any order ------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["github", "github", "github", "docs"])
RESTARTS = st.sampled_from([100.0, 3.0, 0.0])  # s; nobody waits for the first to its end
STOPS = st.sampled_from([60.0, 2.0, 0.0])
LATER = st.sampled_from([8.0, 0.0])
THEN = st.sampled_from([0.0, 0.4, 4.0, 50.0])  # s until the next step


class Interleavings(RuleBasedStateMachine):
    """Clicks, healing, take-overs, ways back, settings, cancellations and a slow program that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(asyncio, "to_thread", inline)
        report_nothing(self.patches)
        self.directory = tempfile.TemporaryDirectory()
        self.loop = VirtualLoop()
        self.asked: list[asyncio.Task[Any]] = []
        self.house = self.run(self._house())
        self.run(asyncio.sleep(SOON))

    async def _house(self) -> House:
        return House(Path(self.directory.name), settings=HEAL)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(name=NAMES, then=THEN)
    def click(self, name: str, then: float) -> None:
        if name not in self.house.roster.signed_in:  # else it is what the person wants

            async def clicks() -> None:
                self.house.watch.restart_clicked(f"toolhive/{name}")

            self.run(clicks())
        self.run(asyncio.sleep(then))

    @rule(name=NAMES, then=THEN)
    def take(self, name: str, then: float) -> None:
        self.asked.append(self.house.taking(f"toolhive/{name}"))
        self.run(asyncio.sleep(then))

    @rule(name=NAMES, then=THEN)
    def undo(self, name: str, then: float) -> None:
        self.asked.append(self.house.undoing(name))
        self.run(asyncio.sleep(then))

    @rule(name=NAMES, between=THEN, then=THEN)
    def click_and_take(self, name: str, between: float, then: float) -> None:
        self.click(name, between)
        self.take(name, then)

    @rule(name=NAMES, between=THEN, then=THEN)
    def undo_and_take(self, name: str, between: float, then: float) -> None:
        self.undo(name, between)
        self.take(name, then)

    @rule(name=NAMES)
    def its_login_fails(self, name: str) -> None:
        if self.house.owner.word(name) == "running" and name not in self.house.owner.under_way:
            self.house.owner.becomes(name, "auth_retrying")
            self.house.changed()

    @rule()
    def network_returns(self) -> None:
        self.run(returns(self.house))  # type: ignore[arg-type]

    @rule(watched=st.booleans())
    def setting(self, watched: bool) -> None:
        self.house.watch.configured(replace(HEAL, toolhive_watch=watched))

    @initialize(restart=RESTARTS, stop=STOPS, later=LATER)
    def how_long_it_took(self, restart: float, stop: float, later: float) -> None:
        self.how_long_it_takes(restart, stop, later)

    @rule(restart=RESTARTS, stop=STOPS, later=LATER)
    def how_long_it_takes(self, restart: float, stop: float, later: float) -> None:
        self.house.owner.takes, self.house.owner.later = {"restart": restart, "stop": stop}, later

    @rule(late=st.booleans(), refuses=st.sampled_from(["", "restart", "stop"]))
    def it_fails(self, late: bool, refuses: str) -> None:
        self.house.owner.fails_late = late
        self.house.owner.failing = {refuses: "No."} if refuses else {}

    @rule(number=st.integers(0, 3))
    def cancel(self, number: int) -> None:
        waiting = [each for each in self.asked if not each.done()]
        if number < len(waiting):
            waiting[number].cancel()
            self.run(asyncio.sleep(0.0))

    @invariant()
    def no_login_has_two_owners(self) -> None:
        assert [] == self.house.owner.overlaps
        assert [] == self.house.both

    def teardown(self) -> None:
        try:
            self.run(self._ends_well())
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.run(asyncio.sleep(0.0))
            self.loop.close()
            self.patches.undo()
            self.directory.cleanup()

    async def _ends_well(self) -> None:
        """Once it works again, everything can be taken over and given back."""
        house = self.house
        house.watch.configured(Settings())
        house.owner.takes, house.owner.later, house.owner.fails_late, house.owner.failing = {}, 0.0, False, {}
        await asyncio.gather(*self.asked, return_exceptions=True)
        await house.settles()
        await asyncio.sleep(EFFECT_LIMIT + SOON)
        for name in ("github", "docs"):
            assert isinstance(await house.taking(f"toolhive/{name}"), Moved)
            assert ("stopped", True) == (house.owner.word(name), name in house.roster.signed_in)
            back = await house.undoing(name)
            assert isinstance(back, GivenBack)
            assert () == back.failed
        await house.settles()
        assert {} == house.roster.specs
        await house.end()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
