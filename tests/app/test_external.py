"""Workloads of other programs: when they are looked at, what is shown, restarts and healing. In virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, Unpack

import pytest

from tests.external.fake_owner import BOTH, CANARY, FakeOwner, workload
from tests.simulation.loop import StalledError, VirtualLoop
from trayapp.app import directory_changes, external
from trayapp.app.change_lines import LINES
from trayapp.app.external import HEALING, ExternalWatch
from trayapp.app.external_claims import EFFECT_LIMIT
from trayapp.app.external_owner import BURST, BURST_MAX, KEPT, READ_LIMIT, WatchedOwner, next_pause
from trayapp.clients.places import Machine
from trayapp.config.loader import Settings
from trayapp.core import gate
from trayapp.core.external import HEAL_AFTER, LOOK_EVERY, LOOK_EVERY_TROUBLED
from trayapp.core.gate import Gate
from trayapp.core.model import Moment, Problem
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import WorkloadView
from trayapp.engine.publisher import AppFields
from trayapp.external.owner import ExternalError
from trayapp.system.worker import HangingError

T = TypeVar("T")

SOON = 1.0  # s; more than a burst
WALL = 1_700_000_000.0  # at the start


def virtually(work: Callable[[], Coroutine[Any, Any, None]], *, stalls: bool = False) -> None:
    """Run a test on a loop whose time only jumps; with `stalls`, until nothing would ever happen any more."""
    loop = VirtualLoop()
    try:
        if stalls:
            with pytest.raises(StalledError, match="stands still"):
                loop.run_until_complete(work())
        else:
            loop.run_until_complete(work())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
    finally:
        loop.close()


class NoThreads:
    """Everything happens in the loop and takes `takes` seconds; what takes longer than the limit hangs."""

    def __init__(self) -> None:
        self.takes = 0.0
        self.ended = False
        self.together = self.most = 0  # actions under way, and most of them

    async def read(self, work: Callable[[], T]) -> T:
        if self.takes > READ_LIMIT:
            await asyncio.sleep(READ_LIMIT)
            raise HangingError
        await asyncio.sleep(self.takes)
        return work()

    async def ask(self, work: Callable[[], T]) -> T:
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            return await self.read(work)
        finally:
            self.together -= 1

    def end(self) -> None:
        self.ended = True


class Engine:
    """The part of the engine that is needed."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.published: list[Mapping[str, WorkloadView]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> Moment:
        at = asyncio.get_running_loop().time()
        return Moment(at, at, WALL + at)

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        self.published.append(fields["external"])

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=what)
        self._tasks.add(task)
        return task

    def failed(self) -> list[BaseException]:
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in done if (error := task.exception()) is not None]


class Stage:
    """A watch of one fake program; `told` are the sentences that a person saw."""

    def __init__(self, *owners: FakeOwner, settings: Settings | None = None) -> None:
        self.owner = owners[0]
        self.engine = Engine()
        self.told: list[tuple[str, str, str]] = []
        self.threads = NoThreads()
        self.watch = ExternalWatch(
            lambda: Machine("linux", {}, Path("/nowhere")),
            self.engine,
            lambda *words: self.told.append(words),
            lambda machine: owners,
            lambda owner, show, claims: WatchedOwner(owner, show, claims, self.threads, lambda: self.engine.now().wall),
        )
        if settings is not None:
            self.watch.configured(settings)
        self.engine.task("watch", self.watch.run())

    def rows(self) -> dict[str, str]:
        """The status words as they were published last."""
        views = self.engine.published[-1] if self.engine.published else {}
        return {name: view.external.word for name, view in views.items() if view.external}

    def view(self, name: str = "toolhive/github") -> WorkloadView:
        return self.engine.published[-1][name]

    def doing(self, name: str = "toolhive/github") -> str:
        facts = self.view(name).external
        assert facts is not None
        return facts.doing

    def changed(self) -> None:
        """The kernel reports a change."""
        (watched, _), *_ = self.watch._watched.values()
        watched._hint.set()

    async def end(self) -> None:
        await self.watch.close()
        assert [] == self.engine.failed()


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that doesn't report changes of files."""

    def missing() -> None:
        raise OSError("no inotify")

    monkeypatch.setattr(directory_changes, "Inotify", missing)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does, on which nothing happens unless a test says so."""

    report_nothing(monkeypatch)


def report_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a test without fixtures."""

    class Silent:
        descriptor = 0

        def watch(self, directories: object) -> bool:
            return True

        def close(self) -> None: ...

    monkeypatch.setattr(directory_changes, "Inotify", Silent)
    monkeypatch.setattr(VirtualLoop, "add_reader", lambda *arguments: None)
    monkeypatch.setattr(VirtualLoop, "remove_reader", lambda *arguments: None)


# --- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported")
def test_its_workloads_are_shown_under_its_name() -> None:
    """By OWNER/NAME, a name that is also ours included; what isn't new isn't published again, and keeps its object."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github"), workload("Docs.v2", "auth_retrying", "no such host")]))
        await asyncio.sleep(SOON)
        assert {"toolhive/github": "running", "toolhive/Docs.v2": "auth_retrying"} == stage.rows()
        before = stage.view()
        stage.changed()
        await asyncio.sleep(SOON)
        assert (1, 2) == (len(stage.engine.published), stage.owner.reads())
        stage.owner.becomes("Docs.v2", "running")
        stage.changed()
        await asyncio.sleep(SOON)
        assert "running" == stage.rows()["toolhive/Docs.v2"]
        assert before is stage.view()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_what_is_gone_goes_quietly() -> None:
    """A program that was stopped or removed has no rows any more, and that is no problem."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.owner.there = False
        stage.changed()
        await asyncio.sleep(SOON)
        assert {} == stage.rows()
        assert [] == stage.watch.problems()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_since_when_it_is_like_this() -> None:
    """As the program says, or as it was seen if that is nothing, to come, or before what was seen last."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        began = stage.engine.now().wall
        told: list[float] = []
        for word, since in (
            ("running", began - 50.0),
            ("running", began - 50.0),
            ("auth_retrying", began + 1e9),
            ("running", 0.0),
            ("error", began - 50.0),
            ("running", began + 45.0),
        ):
            stage.owner.workloads = [workload("github", word, since=since)]
            stage.changed() if told else None
            await asyncio.sleep(10.0)
            told.append(round(stage.view().auth.since - began))
        assert [-50, -50, 20, 30, 40, 45] == told
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_two_hundred_workloads() -> None:
    """All of them in one publication; one that changes is the only new object."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload(f"w{number}") for number in range(200)]))
        await asyncio.sleep(SOON)
        (before,) = stage.engine.published
        assert 200 == len(before)
        stage.owner.becomes("w77", "auth_retrying")
        stage.changed()
        await asyncio.sleep(SOON)
        after = stage.engine.published[-1]
        assert ["toolhive/w77"] == [name for name in after if after[name] is not before[name]]
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("name", ["", "..", "a/b", "new\nline", "x" * 129, "é"])
def test_a_name_that_cannot_be_used_is_said(name: str) -> None:
    """The other workloads are shown; the sentence has no control characters."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload(name), workload("github")]))
        await asyncio.sleep(SOON)
        assert ["toolhive/github"] == list(stage.rows())
        (sentence,) = stage.watch.problems()
        assert sentence.startswith("ToolHive has a workload whose name can't be used here: ")
        assert sentence.isascii()
        assert sentence.isprintable()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_sentences_about_it_can_be_shown_anywhere() -> None:
    """Also with a path that no text can hold, and thousands of them."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")], problems=["\udcff\u202e\n" * 9999, *map(str, range(9999))]))
        await asyncio.sleep(SOON)
        stage.owner.failure = ExternalError("can't read /\udcff\n")
        problem = await stage.watch.restart("toolhive/github")
        assert problem is not None
        for sentence in (*stage.watch.problems(), problem.summary, *(each.text for each in stage.watch.checks())):
            assert sentence.isprintable()
            assert len(sentence.encode()) < 5000
        assert len(stage.watch.problems()) < 100
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_of_two_with_the_same_name_the_first_counts() -> None:
    """Nothing breaks, and nothing flickers."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github"), workload("github", "error")]))
        await asyncio.sleep(SOON)
        assert {"toolhive/github": "running"} == stage.rows()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_program_that_does_not_say_since_when() -> None:
    """Then it is as far as we know: since the first look that found that word, whatever else has changed meanwhile."""

    async def story() -> None:
        stage = Stage(FakeOwner())
        await asyncio.sleep(SOON)
        loop, long = asyncio.get_running_loop(), "a word of its own that is too long for a row" * 2
        seen: list[tuple[str, bool]] = []
        for word, context in (("running", ""), ("running", "It says more."), (long, ""), (long, ""), ("running", "")):
            began = WALL + loop.time()
            stage.owner.workloads = [workload("github", word, context, since=0.0)]
            stage.changed()
            await asyncio.sleep(100.0)
            seen.append((word, stage.view().auth.since >= began))
        assert [("running", True), ("running", False), (long, True), (long, False), ("running", True)] == seen
        await stage.end()

    virtually(story)


# --- when it is looked at --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported")
def test_where_changes_are_reported_nothing_is_looked_at_by_time() -> None:
    """Not once in a day, however amber its workloads are."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "auth_retrying"), workload("docs", "unauthenticated")]))
        for _ in range(24 * 120):
            await asyncio.sleep(30.0)
            stage.watch.passed()
        assert 1 == stage.owner.reads()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("word", ["running", "auth_retrying", "unauthenticated"])
def test_at_rest_it_has_no_timer(word: str) -> None:
    """Without an event of the system nothing of it would ever run again, also after a restart."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", word)]))
        await asyncio.sleep(SOON)
        await stage.watch.restart("toolhive/github")
        await asyncio.Event().wait()

    virtually(story, stalls=True)


@pytest.mark.usefixtures("reported")
def test_an_absent_program_has_no_timer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is looked for once."""

    looks: list[str] = []

    async def at_once(name: str, work: Callable[[], T], limit: float) -> T:
        looks.append(name)
        return work()

    monkeypatch.setattr(external, "run_alone", at_once)

    async def story() -> None:
        watch = ExternalWatch(lambda: Machine("linux", {}, Path("/nowhere")), Engine(), lambda *words: None)
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(SOON)
        for _ in range(1000):
            watch.passed()
        await task

    virtually(story, stalls=True)
    assert 1 == len(looks)


@pytest.mark.usefixtures("unreported")
def test_without_reports_an_absent_program_is_looked_for_with_the_engines_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once a minute; there is no timer."""

    looks: list[float] = []

    async def at_once(name: str, work: Callable[[], T], limit: float) -> T:
        looks.append(asyncio.get_running_loop().time())
        return work()

    monkeypatch.setattr(external, "run_alone", at_once)

    async def story() -> None:
        watch = ExternalWatch(lambda: Machine("win32", {}, Path("/nowhere")), Engine(), lambda *words: None)
        task = asyncio.create_task(watch.run())
        for _ in range(120):
            await asyncio.sleep(30.0)
            watch.passed()
        await task

    virtually(story, stalls=True)
    assert 59 <= len(looks) <= 61


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("failure", [PermissionError(13, "Permission denied"), ValueError("NUL"), HangingError()])
def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """For a program that isn't known to be there: it is repeated with the engine's passes, and said once."""

    looks: list[float] = []

    async def fails(name: str, work: Callable[[], T], limit: float) -> T:
        looks.append(asyncio.get_running_loop().time())
        if len(looks) < 5:
            raise failure
        return work()

    monkeypatch.setattr(external, "run_alone", fails)

    async def story() -> None:
        watch = ExternalWatch(lambda: Machine("linux", {}, Path("/nowhere")), Engine(), lambda *words: None)
        task = asyncio.create_task(watch.run())
        for _ in range(60):
            await asyncio.sleep(30.0)
            watch.passed()
        await task

    virtually(story, stalls=True)
    assert 5 == len(looks)


@pytest.mark.usefixtures("reported")
def test_a_home_that_is_not_known_does_not_end_the_watching(caplog: pytest.LogCaptureFixture) -> None:
    """As for a user without an entry, until there is one."""

    found: list[Machine] = []

    def machine() -> Machine:
        found.append(Machine("linux", {}, Path("/nowhere")))
        if len(found) < 4:
            raise RuntimeError("Could not determine home directory.")
        return found[-1]

    async def story() -> None:
        owner = FakeOwner([workload("github")])
        watch = ExternalWatch(
            machine,
            engine := Engine(),
            lambda *words: None,
            lambda machine: [owner],
            lambda owner, show, claims: WatchedOwner(owner, show, claims, NoThreads()),
        )
        engine.task("watch", watch.run())
        for _ in range(20):
            await asyncio.sleep(30.0)
            watch.passed()
        assert 1 == owner.reads()
        assert [] == engine.failed()
        await watch.close()

    virtually(story)
    assert 1 == caplog.text.count("look for other programs")


@pytest.mark.usefixtures("reported")
def test_a_burst_of_changes_is_read_once() -> None:
    """Twenty changes within 50 ms."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(60.0)
        for _ in range(20):
            stage.changed()
            await asyncio.sleep(0.0025)
        await asyncio.sleep(60.0)
        assert 2 == stage.owner.reads()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_program_whose_files_change_all_the_time_is_not_read_all_the_time() -> None:
    """As when a look of ours touches them: every two seconds at most; what is new is seen as fast as ever then."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(60.0)
        for _ in range(600):
            stage.changed()
            await asyncio.sleep(0.1)
        assert 25 <= stage.owner.reads() <= 40
        await asyncio.sleep(60.0)
        stage.owner.becomes("github", "auth_retrying")
        stage.changed()
        await asyncio.sleep(5.0)
        assert {"toolhive/github": "auth_retrying"} == stage.rows()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_workloads_that_flip_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    """Two hundred of them are read every two seconds at most, and a few lines of each are logged; after a rest, what is
    new is seen at once."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload(f"w{number}") for number in range(200)]))
        await asyncio.sleep(60.0)
        for turn in range(1200):
            word = "error" if turn % 2 else "running"
            stage.owner.workloads = [replace(each, word=word) for each in stage.owner.workloads]
            stage.changed()
            await asyncio.sleep(0.05)
        reads = stage.owner.reads()
        assert 25 <= reads <= 45
        stage.owner.becomes("w7", "auth_retrying")
        stage.changed()
        await asyncio.sleep(BURST_MAX + BURST)
        assert "auth_retrying" == stage.rows()["toolhive/w7"]
        await asyncio.sleep(10.0)
        stage.owner.becomes("w7", "running")
        stage.changed()
        await asyncio.sleep(2 * BURST)
        assert "running" == stage.rows()["toolhive/w7"]
        await stage.end()

    with caplog.at_level(logging.INFO):
        virtually(story)
    lines = [record.getMessage() for record in caplog.records if "toolhive/w3 " in record.getMessage()]
    assert LINES == len(lines)
    assert lines[0] == "toolhive/w3 is running"
    assert "nothing more about it is logged for up to 10 minutes" in lines[-1]


@pytest.mark.parametrize(
    ("found", "pauses"),
    [
        ([(0.01, 60.0, True)], [0.1]),
        ([(0.01, 0.0, True)] * 9, [0.15, 0.22, 0.34, 0.51, 0.76, 1.14, 1.71, 2.0, 2.0]),
        ([(0.01, 0.0, False)] * 6, [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]),
        ([(1.0, 0.0, True), (1.0, 3.0, True), (30.0, 0.1, True)], [1.0, 0.1, 2.0]),
    ],
)
def test_how_soon_a_change_is_read(found: list[tuple[float, float, bool]], pauses: list[float]) -> None:
    """The less rest there is, the later, and never for more than half of the time."""

    pause, told = BURST, []
    for took, rested, new in found:
        pause = next_pause(pause, took=took, rested=rested, new=new)
        told.append(pause)
    assert pytest.approx(pauses, abs=0.01) == told


@pytest.mark.usefixtures("reported")
def test_files_that_break_and_mend_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    """A few lines say so, however long it goes on."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        for turn in range(1000):
            stage.owner.problems = ["ToolHive's file x is damaged."] if turn % 2 else []
            stage.owner.failure = ExternalError("ToolHive's workloads can't be read.") if turn % 3 else None
            stage.changed()
            await asyncio.sleep(3.0)
        await stage.end()

    with caplog.at_level(logging.INFO):
        virtually(story)
    assert 2 * LINES < len(caplog.records) < 20 * LINES


@pytest.mark.usefixtures("unreported")
def test_without_reports_it_is_looked_at_every_minute_and_more_often_in_trouble() -> None:
    """Every 60 s; every 5 s while anything of it is amber or red; while it doesn't run, only with the engine's passes."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(10 * LOOK_EVERY + SOON)
        assert 11 == stage.owner.reads()
        stage.owner.becomes("github", "unauthenticated", "invalid_grant")
        await asyncio.sleep(LOOK_EVERY)
        before = stage.owner.reads()
        await asyncio.sleep(10 * LOOK_EVERY_TROUBLED)
        assert before + 10 == stage.owner.reads()
        stage.owner.running = False
        await asyncio.sleep(LOOK_EVERY_TROUBLED)
        before = stage.owner.reads()
        await asyncio.sleep(3600.0)
        assert before == stage.owner.reads()
        for _ in range(120):
            stage.watch.passed()
            await asyncio.sleep(30.0)
        assert 55 <= stage.owner.reads() - before <= 61
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_program_that_does_not_report_is_looked_at_by_time() -> None:
    """Its files say nothing of it; so do the machine's return and its network's."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")], reports=False))
        await asyncio.sleep(2 * LOOK_EVERY + SOON)
        assert 3 == stage.owner.reads()
        stage.watch.machine_returned()
        await asyncio.sleep(SOON)
        assert 4 == stage.owner.reads()
        await stage.end()

    virtually(story)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ExternalError("ToolHive's files can't be read: Permission denied."), "ToolHive's files can't be read"),
        (ValueError(CANARY), "Can't read ToolHive's workloads: unexpected ValueError in fake_owner.py, line "),
    ],
)
def test_a_failure_is_a_sentence_and_its_workloads_go_after_a_minute(
    error: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once in the log, without a traceback and without the text of a mistake of ours, which may hold a secret."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.owner.failure = error
        stage.changed()
        await asyncio.sleep(KEPT / 2)
        assert {"toolhive/github": "running"} == stage.rows()
        assert stage.watch.problems()[0].startswith(sentence)
        await asyncio.sleep(2 * KEPT)
        assert {} == stage.rows()
        assert stage.watch.problems()[0].startswith(sentence)
        before = stage.owner.reads()
        await asyncio.sleep(3600.0)
        assert 59 <= stage.owner.reads() - before <= 61
        stage.owner.failure = None
        await asyncio.sleep(LOOK_EVERY)
        assert {"toolhive/github": "running"} == stage.rows()
        assert [] == stage.watch.problems()
        await stage.end()

    with caplog.at_level(logging.INFO):
        virtually(story)
    assert 1 == caplog.text.count(sentence)
    assert 1 == caplog.text.count("ToolHive can be read again")
    assert "Traceback" not in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.usefixtures("reported")
def test_a_program_that_hangs_is_a_sentence() -> None:
    """It isn't waited for longer than the limit, and is back as soon as it answers."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.threads.takes = 100.0
        stage.changed()
        await asyncio.sleep(READ_LIMIT + SOON)
        assert ["Can't read ToolHive's workloads: it isn't responding."] == stage.watch.problems()
        assert {"toolhive/github": "running"} == stage.rows()
        stage.threads.takes = 0.0
        await asyncio.sleep(READ_LIMIT + LOOK_EVERY_TROUBLED)
        assert [] == stage.watch.problems()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_what_could_not_be_read_is_said_beside_the_rest() -> None:
    """A problem of the reading itself takes nothing away."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")], problems=["docs.json is damaged."]))
        await asyncio.sleep(SOON)
        assert ["docs.json is damaged."] == stage.watch.problems()
        assert ["toolhive/github"] == list(stage.rows())
        await stage.end()

    virtually(story)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported")
def test_the_setting_acts_without_a_restart() -> None:
    """Off: nothing is shown or read; on again: all of it."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]), settings=Settings(toolhive_watch=False))
        await asyncio.sleep(SOON)
        assert ([], 0) == (stage.engine.published, stage.owner.reads())
        stage.watch.configured(Settings())
        await asyncio.sleep(SOON)
        assert ["toolhive/github"] == list(stage.rows())
        stage.watch.configured(Settings(toolhive_watch=False))
        await asyncio.sleep(SOON)
        before = stage.owner.reads()
        await asyncio.sleep(3600.0)
        assert ({}, before, True) == (stage.rows(), stage.owner.reads(), stage.threads.ended)
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_another_program_is_watched_beside_it() -> None:
    """Each has its own rows; what happens to one of them is no matter of the other."""

    async def story() -> None:
        other = FakeOwner([workload("github")], id="gateway", title="Gateway")
        stage = Stage(FakeOwner([workload("github")], failure=ExternalError("No.")), other)
        await asyncio.sleep(SOON)
        assert {"gateway/github": "running"} == stage.rows()
        assert ["No."] == stage.watch.problems()
        await stage.end()

    virtually(story)


# --- restarts --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reported")
def test_a_restart_shows_until_the_status_changes() -> None:
    """What lies between, stopping and starting, doesn't end it; the same word of a later time does."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "unauthenticated", "connection refused")]))
        await asyncio.sleep(SOON)
        stage.watch.restart_clicked("toolhive/github")
        await asyncio.sleep(SOON)
        assert ["restart github"] == stage.owner.acts()
        assert "ToolHive is restarting it." == stage.doing() == stage.view().status_context
        for word in ("stopping", "stopped", "starting"):
            stage.owner.becomes("github", word)
            stage.changed()
            await asyncio.sleep(SOON)
            assert "ToolHive is restarting it." == stage.doing()
        stage.owner.becomes("github", "unauthenticated", "still refused")
        stage.changed()
        await asyncio.sleep(2 * SOON)
        assert ("", "still refused") == (stage.doing(), stage.view().status_context)
        assert [] == stage.told
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_restart_without_effect_is_shown_for_a_limit() -> None:
    """Then it can be clicked again."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.watch.restart_clicked("toolhive/github")
        await asyncio.sleep(EFFECT_LIMIT - SOON)
        assert stage.doing()
        await asyncio.sleep(2 * SOON)
        assert not stage.doing()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_two_clicks_are_one_restart() -> None:
    """Also while the program is slow, and from the API at the same time; that is no failure."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.threads.takes = 2.0
        stage.watch.restart_clicked("toolhive/github")
        stage.watch.restart_clicked("toolhive/github")
        await asyncio.sleep(SOON)
        assert None is await stage.watch.restart("toolhive/github")
        await asyncio.sleep(3 * SOON)
        assert None is await stage.watch.restart("toolhive/github")
        assert ["restart github"] == stage.owner.acts()
        assert [] == stage.told
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ExternalError("ToolHive has no workload github."), "ToolHive has no workload github."),
        (KeyError(CANARY), "The request to ToolHive failed. See Amberlight's log."),
    ],
)
def test_a_restart_that_fails_is_told(error: Exception, sentence: str, caplog: pytest.LogCaptureFixture) -> None:
    """To whoever clicked; the row is as before, and can be clicked again."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        stage.owner.failure = error
        stage.watch.restart_clicked("toolhive/github")
        await asyncio.sleep(0.0)
        stage.owner.failure = error
        await asyncio.sleep(SOON / 100)
        assert [("restart:toolhive/github", "Couldn't restart github (ToolHive)", sentence)] == stage.told
        assert "" == stage.doing()
        await stage.end()

    with caplog.at_level(logging.INFO):
        virtually(story)
    assert CANARY not in caplog.text


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    "name", ["toolhive/nothing", "nobody/github", "github", "toolhive/", "/github", "toolhive/../x"]
)
def test_a_restart_of_what_is_not_there(name: str) -> None:
    """Is a sentence, not an exception."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        problem = await stage.watch.restart(name)
        assert problem is not None
        assert "unknown_workload" == problem.kind
        assert [] == stage.owner.acts()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_why_nothing_is_seen_of_a_workload() -> None:
    """It isn't gone while nobody looks, before the first look, and while something can't be read."""

    name = "toolhive/github"

    async def story() -> None:
        stage = Stage(FakeOwner([]), settings=Settings(toolhive_watch=False))
        await asyncio.sleep(SOON)
        off = (
            "ToolHive's workloads aren't shown because toolhive_watch is off. "
            "To turn it on: amberlight set toolhive_watch true."
        )
        assert Problem("unseen", off) == stage.watch.missing(name)
        assert Problem("unseen", off) == await stage.watch.restart(name)
        with stage.watch.claimed(name, "Nothing.") as claimed:
            assert Problem("unseen", off) == claimed
        assert "unknown_workload" == stage.watch.missing("nobody/github").kind

        stage.watch.configured(Settings())
        early = Problem("unseen", "Amberlight hasn't read ToolHive's workloads yet. Try again in a minute.")
        assert early == stage.watch.missing(name)
        await asyncio.sleep(SOON)
        assert "unknown_workload" == stage.watch.missing(name).kind

        stage.owner.problems = [
            "ToolHive's file /s/other.json is damaged.",
            "ToolHive's file /s/github.json is damaged.",
        ]
        stage.changed()
        await asyncio.sleep(SOON)
        text = "Amberlight can't see toolhive/github. ToolHive's file /s/github.json is damaged."
        assert Problem("unseen", text) == stage.watch.missing(name)

        stage.owner.failure = ExternalError("Can't read ToolHive's workloads.")
        stage.changed()
        await asyncio.sleep(3600.0)
        text = "Amberlight can't see toolhive/github. Can't read ToolHive's workloads."
        assert Problem("unseen", text) == await stage.watch.ask(name, lambda owner, own: own)
        await stage.end()

    virtually(story)


def test_a_machine_without_the_program_has_none_of_its_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once that is known."""

    found = HangingError()

    async def looks(name: str, work: Callable[[], T], limit: float) -> T:
        if failing:
            raise found
        return work()

    monkeypatch.setattr(external, "run_alone", looks)
    failing = [found]

    async def story() -> None:
        watch = ExternalWatch(lambda: Machine("linux", {}, Path("/nowhere")), Engine(), lambda *words: None)
        task = asyncio.get_running_loop().create_task(watch.run())
        await asyncio.sleep(SOON)
        assert "unseen" == watch.missing("toolhive/github").kind
        failing.clear()
        watch.configured(Settings())
        await asyncio.sleep(SOON)
        assert "unknown_workload" == watch.missing("toolhive/github").kind
        task.cancel()
        await watch.close()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_restart_that_the_program_cannot_do_now() -> None:
    """Such as while its API doesn't run."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "error")], actions=(Verb.TAKE_OVER,)))
        await asyncio.sleep(SOON)
        problem = await stage.watch.restart("toolhive/github")
        assert problem is not None
        assert ("not_possible", []) == (problem.kind, stage.owner.acts())
        assert problem.summary.startswith("ToolHive can't restart it right now.")
        stage.owner.actions = BOTH  # it has just started, and that isn't known yet
        assert await stage.watch.restart("toolhive/github") is None
        assert ["restart github"] == stage.owner.acts()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("unreported")
def test_without_reports_a_restart_is_followed_closely() -> None:
    """Its end is seen within two seconds, not within a minute."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "auth_retrying")]))
        await asyncio.sleep(SOON)
        stage.watch.restart_clicked("toolhive/github")
        await asyncio.sleep(5.0)
        stage.owner.becomes("github", "running")
        await asyncio.sleep(2.0)
        assert (("running", "")) == (stage.rows()["toolhive/github"], stage.doing())
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_other_questions_and_steps() -> None:
    """What takes several steps is shown meanwhile; a question needs no word in the row; both answer for a wrong name."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github")]))
        await asyncio.sleep(SOON)
        with stage.watch.claimed("toolhive/github", "Amberlight is taking it over.") as claimed:
            assert not isinstance(claimed, Problem)
            assert "Amberlight is taking it over." == stage.doing()
            entry = await stage.watch.ask("toolhive/github", lambda owner, name: owner.entry(name))
            assert None is await claimed.ask(lambda owner, name: owner.stop(name))
        assert "" == stage.doing()
        assert not isinstance(entry, Problem)
        assert ["entry github", "stop github"] == stage.owner.acts()
        answer = await stage.watch.ask("toolhive/x", lambda owner, name: owner.entry(name))
        with stage.watch.claimed("toolhive/x", "Nothing.") as claimed:
            for each in (answer, claimed):
                assert isinstance(each, Problem)
                assert "unknown_workload" == each.kind
        await stage.end()

    virtually(story)


# --- healing ---------------------------------------------------------------------------------------------------------

HEAL = Settings(toolhive_heal=True)


async def returns(stage: Stage) -> None:
    """The network is lost, and comes back."""
    loop = asyncio.get_running_loop()
    for offline in (True, False):
        stage.engine.gate = gate.network(stage.engine.gate, loop.time(), offline=offline)
        stage.watch.machine_returned()
        await asyncio.sleep(SOON)
    await asyncio.sleep(HEAL_AFTER + SOON)


@pytest.mark.usefixtures("reported")
def test_what_failed_for_a_passing_reason_is_restarted_once_the_network_is_back() -> None:
    """Once for each return, and at most three times in an hour; what a server refused stays as it is."""

    async def story() -> None:
        rows = [
            workload("amber", "auth_retrying", "connection refused"),
            workload("lost", "unauthenticated", "dial tcp: no such host"),
            workload("refused", "unauthenticated", "invalid_grant"),
            workload("fine"),
        ]
        stage = Stage(FakeOwner(rows), settings=HEAL)
        await asyncio.sleep(SOON)
        await returns(stage)
        assert ["restart amber", "restart lost"] == stage.owner.acts()
        assert HEALING == stage.doing("toolhive/amber")
        await asyncio.sleep(600.0)
        assert 2 == len(stage.owner.acts())
        for _ in range(5):
            await returns(stage)
            await asyncio.sleep(EFFECT_LIMIT)
        assert 6 == len(stage.owner.acts())
        await asyncio.sleep(3600.0)
        await returns(stage)
        assert 8 == len(stage.owner.acts())
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_it_is_read_again_before() -> None:
    """What has recovered meanwhile is left alone, though no change was reported yet."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "auth_retrying")]), settings=HEAL)
        await asyncio.sleep(SOON)
        stage.owner.becomes("github", "running")
        await returns(stage)
        assert [] == stage.owner.acts()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_a_network_that_is_gone_again_heals_nothing() -> None:
    """Nor does one that keeps changing, before it has settled: the last return counts."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "auth_retrying")]), settings=HEAL)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(SOON)
        stage.engine.gate = gate.network(stage.engine.gate, loop.time(), offline=False)
        stage.watch.machine_returned()
        await asyncio.sleep(HEAL_AFTER / 2)
        stage.engine.gate = replace(stage.engine.gate, offline=True)
        await asyncio.sleep(60.0)
        assert [] == stage.owner.acts()
        for _ in range(10):
            stage.engine.gate = gate.network(stage.engine.gate, loop.time(), offline=False)
            stage.watch.machine_returned()
            await asyncio.sleep(0.1)
        await asyncio.sleep(HEAL_AFTER + SOON)
        assert ["restart github"] == stage.owner.acts()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("settings", [Settings(), Settings(toolhive_watch=False, toolhive_heal=True)])
def test_nobody_is_restarted_unless_that_is_switched_on(settings: Settings) -> None:
    """By default it isn't."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload("github", "auth_retrying")]), settings=settings)
        await asyncio.sleep(SOON)
        await returns(stage)
        assert [] == stage.owner.acts()
        await stage.end()

    virtually(story)


@pytest.mark.usefixtures("reported")
def test_many_are_restarted_a_few_at_a_time() -> None:
    """Each may ask the same sign-in server."""

    async def story() -> None:
        stage = Stage(FakeOwner([workload(f"w{number}", "auth_retrying") for number in range(20)]), settings=HEAL)
        await asyncio.sleep(SOON)
        stage.threads.takes = 1.0
        await returns(stage)
        await asyncio.sleep(30.0)
        assert (20, 4) == (len(stage.owner.acts()), stage.threads.most)
        await stage.end()

    virtually(story)


def test_the_demo_leaves_other_programs_alone() -> None:
    """Without a machine nothing is looked at."""

    async def story() -> None:
        engine = Engine()
        watch = ExternalWatch(None, engine, lambda *words: None)
        await watch.run()
        assert [] == engine.published
        await watch.close()

    virtually(story)
