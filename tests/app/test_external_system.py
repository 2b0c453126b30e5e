"""Other programs on a real system: their files, processes and threads, and what their absence costs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.app.test_external import Engine
from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.external.fake_owner import CANARY, FakeOwner, workload
from tests.hanging import hanging_mount
from tests.osevents.test_process_ends import child, end
from trayapp.app import external, external_owner, notifier
from trayapp.app.external import HEALING, ExternalWatch
from trayapp.cli.client import ApiError
from trayapp.clients.places import Machine
from trayapp.config.loader import Settings
from trayapp.core.presentation import Verb
from trayapp.external import owners as native
from trayapp.external.owner import ExternalError
from trayapp.oauthtest import OAuthServer
from trayapp.osevents.events import WakeDetected

pytestmark = pytest.mark.linux("inotify, pidfd_open and POSIX files")

LIMIT = 60.0  # s
QUIET = 0.3  # s


class Stage:
    """A watch of what is below a home directory; the program is a fake that appears with ToolHive's directory."""

    def __init__(self, home: Path, owner: FakeOwner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.folder = home / ".local" / "state" / "toolhive"
        self.owner = owner
        self.engine = Engine()
        self.made = 0
        self.told: list[tuple[str, str, str]] = []
        monkeypatch.setattr(native, "owners", self._owners)
        machine = Machine("linux", {}, home)
        self.watch = ExternalWatch(lambda: machine, self.engine, lambda *words: self.told.append(words))
        self.engine.task("watch", self.watch.run())

    def _owners(self, machine: Machine) -> list[FakeOwner]:
        self.made += 1
        return [self.owner]

    def shown(self) -> dict[str, str]:
        views = self.engine.published[-1] if self.engine.published else {}
        return {name: view.external.word for name, view in views.items() if view.external}

    async def until(self, holds: Callable[[], object]) -> None:
        limit = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < limit, f"gave up: {self.shown()}, {self.watch.problems()}, {self.owner.calls}"
            await asyncio.sleep(0.01)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    status = tmp_path / "statuses"
    status.mkdir()
    made = Stage(tmp_path / "home", FakeOwner([workload("github")], files=frozenset({status})), monkeypatch)
    yield made
    if made.owner.hanging is not None:
        made.owner.hanging.set()
    await made.watch.close()
    assert [] == made.engine.failed()
    for task in made.engine._tasks:
        task.cancel()
    await asyncio.gather(*made.engine._tasks, return_exceptions=True)


async def test_it_is_watched_as_soon_as_it_is_there(stage: Stage, tmp_path: Path) -> None:
    """Before, nothing of it is loaded, and no thread is left; its changes are seen at once."""

    await asyncio.sleep(QUIET)
    assert (0, []) == (stage.made, stage.owner.calls)
    assert not [each.name for each in threading.enumerate() if "other programs" in each.name or "ToolHive" in each.name]
    stage.folder.mkdir(parents=True)
    await stage.until(lambda: stage.shown() == {"toolhive/github": "running"})
    stage.owner.becomes("github", "auth_retrying", "no such host")
    (tmp_path / "statuses" / "github.json").write_text("{}")
    await stage.until(lambda: stage.shown() == {"toolhive/github": "auth_retrying"})
    assert 1 == stage.made


async def test_what_changes_while_it_is_read_first_is_not_missed(stage: Stage, tmp_path: Path) -> None:
    """Its directories are known only after the first reading, so there is a second one."""

    stage.folder.mkdir(parents=True)
    await stage.until(lambda: stage.shown())
    assert 2 == stage.owner.reads()


async def test_a_process_that_ends_is_noticed(stage: Stage) -> None:
    """Though no file changes: whoever is killed writes nothing."""

    process = child()
    stage.owner.processes = frozenset({process.pid})
    stage.folder.mkdir(parents=True)
    await stage.until(lambda: stage.shown())
    stage.owner.becomes("github", "stopped")
    stage.owner.processes = frozenset()
    end(process)
    await stage.until(lambda: stage.shown() == {"toolhive/github": "stopped"})


async def test_a_program_that_hangs_holds_up_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, the end too; what it says when it answers at last is shown."""

    monkeypatch.setattr(external_owner, "READ_LIMIT", 0.1)
    monkeypatch.setattr(external_owner, "LOOK_EVERY", 0.1)
    stage.owner.hanging = threading.Event()
    stage.folder.mkdir(parents=True)
    await stage.until(stage.watch.problems)
    assert ["Can't read ToolHive's workloads: it isn't responding."] == stage.watch.problems()
    stage.owner.hanging.set()
    await stage.until(lambda: stage.shown() == {"toolhive/github": "running"})
    assert [] == stage.watch.problems()


async def test_a_restart_that_hangs_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workloads are read meanwhile; the click is answered after the limit, and can be repeated."""

    monkeypatch.setattr(external_owner, "ACT_LIMIT", 0.3)
    stage.folder.mkdir(parents=True)
    await stage.until(lambda: stage.shown())
    stuck = threading.Event()

    def wait(name: str) -> None:
        stuck.wait(LIMIT)

    stage.owner.on_restart = wait
    stage.watch.restart_clicked("toolhive/github")
    await asyncio.sleep(0.05)
    stage.owner.becomes("github", "auth_retrying")
    await stage.watch._watched["toolhive"][0].look()
    assert {"toolhive/github": "auth_retrying"} == stage.shown()
    await stage.until(lambda: stage.told)
    said = ("restart:toolhive/github", "Couldn't restart github (ToolHive)", "ToolHive isn't responding.")
    assert [said] == stage.told
    stuck.set()
    assert None is await stage.watch.restart("toolhive/github")


async def test_a_home_that_hangs_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether ToolHive is there isn't known then, and is looked at again later."""

    monkeypatch.setattr(external, "PRESENCE_LIMIT", 0.2)
    with hanging_mount(tmp_path / "home"), caplog.at_level(logging.INFO):
        stage = Stage(tmp_path / "home", FakeOwner(), monkeypatch)
        await stage.until(lambda: "files isn't responding" in caplog.text)
        await stage.watch.close()
    assert [] == stage.engine.failed()
    for task in stage.engine._tasks:
        task.cancel()
    await asyncio.gather(*stage.engine._tasks, return_exceptions=True)


async def test_switched_off_nothing_is_looked_for(stage: Stage) -> None:
    """Its directory may come and go."""

    await asyncio.sleep(QUIET)
    stage.watch.configured(Settings(toolhive_watch=False))
    await asyncio.sleep(QUIET)
    assert stage.watch._directories is None
    stage.folder.mkdir(parents=True)
    await asyncio.sleep(QUIET)
    assert (0, []) == (stage.made, stage.owner.calls)
    assert "toolhive_watch is off" in stage.watch.checks()[0].text
    stage.watch.configured(Settings())
    await stage.until(lambda: stage.shown())
    assert "Watching ToolHive: 1 workload." == stage.watch.checks()[0].text


# --- in the whole program --------------------------------------------------------------------------------------------


@pytest.fixture
def owner(tmp_path: Path) -> FakeOwner:
    status = tmp_path / "statuses"
    status.mkdir()
    now = time.time()
    rows = [workload("one", since=now - 60.0), workload("Docs.v2", "auth_retrying", "EOF", now - 60.0)]
    return FakeOwner(rows, files=frozenset({status}))


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer, owner: FakeOwner) -> Program:
    """With a workload of its own whose name is also one of the other program's."""
    program = Program(tmp_path, owners=(owner,))
    program.write(CONFIG.format(port=0, server=server))
    program.keystore._logins["one"] = login_of(server)
    return program


def told(program: Program) -> list[str]:
    rows = program.client.history("toolhive/Docs.v2", "2020-01-01T00:00:00Z", 100)["rows"]
    return [row["text"] for row in rows]


def words(program: Program) -> dict[str, str]:
    return {row["name"]: row["status"] for row in program.client.external()[0]}


def test_from_a_change_to_the_api(program: Program, owner: FakeOwner, tmp_path: Path) -> None:
    """Listed beside ours, restarted by its name, and with a history of its own; nothing secret of it is anywhere."""

    with program:
        program.becomes("running ok")
        program.until(lambda: program.last.external, "its rows")
        assert {"toolhive/Docs.v2": "auth_retrying", "toolhive/one": "running"} == words(program)
        assert ["one"] == [row["name"] for row in program.client.workloads()]
        assert "EOF" == program.client.status("toolhive/Docs.v2")["status_context"]
        program.client.post("toolhive/Docs.v2", "restart")
        assert ["restart Docs.v2"] == owner.acts()
        assert "ToolHive is restarting it." == program.client.status("toolhive/Docs.v2")["external"]["doing"]
        program.until(lambda: program.last.external["toolhive/Docs.v2"].status_context != "EOF", "the restart to show")
        owner.becomes("Docs.v2", "running")
        (tmp_path / "statuses" / "x").write_text("")
        program.until(lambda: words(program)["toolhive/Docs.v2"] == "running", "green")
        program.until(lambda: told(program) == ["EOF", "ToolHive is restarting it.", "Running."], "the history")
        assert ["toolhive"] == [check.name for check in program.client.doctor().checks if "Watching" in check.text]
        with pytest.raises(ApiError, match="No other program has a workload named toolhive/nothing"):
            program.client.post("toolhive/nothing", "restart")
        owner.failure = ExternalError("ToolHive refused.")
        with pytest.raises(ApiError, match="ToolHive refused"):
            program.client.post("toolhive/one", "restart")
    for file in (each for each in tmp_path.rglob("*") if each.is_file()):
        assert CANARY.encode() not in file.read_bytes()


def test_a_click_restarts_it_and_the_setting_hides_it(program: Program, owner: FakeOwner, server: OAuthServer) -> None:
    """As menu and notification send it; a change of config.toml acts without a restart of the app."""

    with program:
        program.until(lambda: program.last.external, "its rows")
        program.act(Verb.RESTART, "toolhive/one")
        program.until(lambda: owner.acts() == ["restart one"], "the restart")
        text = CONFIG.format(port=0, server=server)
        program.write(text.replace("[settings]", "[settings]\ntoolhive_watch = false"))
        program.until(lambda: not program.last.external, "no rows")
        assert ({}, []) == (words(program), program.client.external()[1])
        program.write(text)
        program.until(lambda: program.last.external, "its rows again")


def test_after_a_wake_it_is_restarted_if_that_is_switched_on(
    program: Program, owner: FakeOwner, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system says that it woke; the history says why the workload was restarted."""

    monkeypatch.setattr(external, "HEAL_AFTER", 0.05)
    text = CONFIG.format(port=0, server=server)
    with program:
        program.until(lambda: program.last.external, "its rows")
        for heal in (False, True):
            if heal:
                program.write(text.replace("[settings]", "[settings]\ntoolhive_heal = true"))
                program.until(lambda: program.runtime.configuration.settings.toolhive_heal, "the setting")
            runtime = program.runtime
            runtime.engine._loop.call_soon_threadsafe(runtime.watcher.watch.receive, WakeDetected())
            if heal:
                program.until(lambda: owner.acts() == ["restart Docs.v2"], "the restart")
                program.until(lambda: told(program) == ["EOF", HEALING], "the history")
            else:
                time.sleep(0.5)
                assert [] == owner.acts()


def test_what_cannot_be_read_is_in_the_api_and_in_doctor(program: Program, owner: FakeOwner) -> None:
    """One sentence, the same in both."""

    owner.failure = ExternalError("Can't read ToolHive's workloads: Permission denied.")
    with program:
        program.until(lambda: program.client.external()[1], "the problem")
        said = "Can't read ToolHive's workloads: Permission denied."
        assert ([], [said]) == program.client.external()
        assert [("toolhive", "warning", said)] == [each for each in program.checks() if each[0] == "toolhive"]
        assert () == program.last.warnings


def test_other_clicks(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Take over…* opens the dashboard at its question; the details of an error can be copied."""

    opened: list[str] = []
    copied: list[str] = []

    def opens(url: str) -> bool:
        opened.append(url)
        return True

    async def copy(text: str) -> bool:
        copied.append(text)
        return True

    monkeypatch.setattr(notifier, "copy", copy)
    with program:
        program.until(lambda: program.last.external, "its rows")
        monkeypatch.setattr(program.runtime.dashboard, "_open_url", opens)
        program.act(Verb.TAKE_OVER, "toolhive/Docs.v2")
        program.act(Verb.COPY_ERROR, "toolhive/Docs.v2")
        program.until(lambda: opened and copied, "both")
        assert "/?take-over=toolhive/Docs.v2#once=" in opened[0]
        assert "EOF" in copied[0]


def test_a_report_has_them(program: Program) -> None:
    """With their states, like ours."""

    with program:
        program.until(lambda: program.last.external, "its rows")
        text = program.client.request("GET", "/api/v1beta/report", limit=60.0)["text"]
        assert "toolhive/Docs.v2  Reconnecting" in text


def test_the_log_takes_its_name(program: Program) -> None:
    """Which may be longer than ours."""

    with program:
        assert [] == program.client.request("GET", f"/api/v1beta/log?workload=toolhive/{'x' * 128}")["entries"]
        with pytest.raises(ApiError, match="at most 170 characters"):
            program.client.request("GET", f"/api/v1beta/log?workload={'x' * 171}")


def test_metrics_count_them_by_owner_and_status(program: Program) -> None:
    """Beside ours, under a name of their own, and without any text of theirs."""

    with program:
        program.until(lambda: program.last.external, "its rows")
        page = metrics(program)
        assert 'amberlight_external_workloads{owner="ToolHive",status="auth_retrying"} 1' in page
        assert 'amberlight_external_workloads{owner="ToolHive",status="running"} 1' in page
        assert "EOF" not in page


def metrics(program: Program) -> str:
    import http.client

    client = program.client
    connection = http.client.HTTPConnection(client.host, client.port, timeout=LIMIT)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {client.key.reveal()}"})
    page = connection.getresponse().read().decode()
    connection.close()
    return page
