"""The whole program in a thread, without tray and keyring: configuration, port, clicks, commands and its end."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.engine.engines import login_of
from tests.small_disk import small_disk
from trayapp.app import server_file
from trayapp.app.app import App
from trayapp.app.control import AppControl
from trayapp.app.parts import Parts
from trayapp.app.runtime import Runtime
from trayapp.cli import main
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.config.loader import load
from trayapp.config.paths import Paths
from trayapp.core.model import Trouble
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.external.owner import ExternalOwner
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.server.serverfile import read
from trayapp.vault.keystore import MemoryKeystore

LIMIT = 60.0  # s

CONFIG = """
[settings]
port = {port}
initial_retry_interval = "20ms"
max_retry_interval = "40ms"
max_tries = 3
manual_spacing = "10ms"
tick_interval = "50ms"

[workloads.one]
url = "http://127.0.0.1:9/mcp"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mcp"]
"""


class Program:
    """`amberlight run --no-tray` in a thread, from `with` to its end; `code` is its exit code.

    `owners` are the other programs beside it; those of this machine are left alone.
    """

    def __init__(
        self, root: Path, keystore: MemoryKeystore | None = None, owners: Sequence[ExternalOwner] = ()
    ) -> None:
        self.paths = Paths.under(root)
        self.paths.make()
        self.keystore = keystore or MemoryKeystore()
        self.owners = owners
        self.snapshots: list[Snapshot] = []
        self.control: AppControl | None = None
        self.code: int | None = None
        self.app: App | None = None
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        self.paths.config_file.write_text(text)

    def __enter__(self) -> Self:
        parts = Parts(
            keystore=lambda: self.keystore,
            on_snapshot=self.snapshots.append,
            on_start=lambda control: setattr(self, "control", control),
            notifications=False,
            owners=lambda machine: self.owners,
        )
        self.app = App(self.paths, lambda: load(self.paths, {}), parts)
        self._thread = threading.Thread(target=self._run, name="program")
        self._thread.start()
        self.until(lambda: self.control is not None and self.snapshots, "the start")
        return self

    def _run(self) -> None:
        assert self.app is not None
        self.code = self.app.run(tray=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.app is not None
        assert self._thread is not None
        self.app.quit()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    def until(self, holds: Callable[[], object], what: str = "") -> None:
        end = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < end, f"gave up waiting for {what}: {self.snapshots[-1:]}"
            time.sleep(0.01)

    @property
    def runtime(self) -> Runtime:
        """Its parts, for what no client can see."""
        assert self.app is not None
        assert self.app._runtime is not None
        return self.app._runtime

    @property
    def last(self) -> Snapshot:
        return self.snapshots[-1]

    def status(self, name: str = "one") -> str:
        view = self.last.workloads.get(name)
        return "" if view is None else f"{view.status} {view.auth.detail}"

    def becomes(self, word: str) -> None:
        self.until(lambda: self.status() == word, word)

    def green(self, name: str = "one") -> None:
        """Wait until it is running and its login stored, so that a click begins an attempt of its own."""

        def settled() -> bool:
            assert self.control is not None
            workload = self.control.engine.workloads[name]
            return self.status(name) == "running ok" and workload.attempt is None and workload.storing is None

        self.until(settled, f"{name} to be green")

    @property
    def client(self) -> ApiClient:
        return ApiClient.find(self.paths.runtime_dir)

    def act(self, verb: Verb, name: str = "") -> None:
        assert self.app is not None
        self.app.act(Action(verb, name))

    def checks(self) -> list[tuple[str, str, str]]:
        return [(check.name, check.state, check.text) for check in self.client.doctor().checks]


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer) -> Program:
    """Configured with one workload that is signed in; not started yet."""
    program = Program(tmp_path)
    program.write(CONFIG.format(port=0, server=server))
    program.keystore._logins["one"] = login_of(server)
    return program


def test_from_start_to_end(program: Program, server: OAuthServer) -> None:
    """Green, reachable, and ended without a trace in the runtime directory; exit code 0."""

    with program:
        program.becomes("running ok")
        if sys.platform != "win32":  # where an access list says it
            assert 0o600 == program.paths.server_file.stat().st_mode & 0o777
        assert ["one"] == [row["name"] for row in program.client.workloads()]
        assert server.valid_access(program.client.token("one", 0)["access_token"])
        assert {"ok"} == {state for name, state, _ in program.checks() if name in ("keyring", "state")}
        report = program.client.doctor()
        assert (False, {"one": server.token_endpoint}) == (report.tray, report.token_endpoints)
    assert 0 == program.code
    assert not program.paths.server_file.exists()


def test_a_taken_port_is_reported_and_another_one_used(program: Program, server: OAuthServer) -> None:
    """Refreshes continue, commands find the other port, and the snapshot and `doctor` name the taken one."""

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program.write(CONFIG.format(port=port, server=server))
        with program:
            program.becomes("running ok")
            assert port != program.client.port
            assert program.last.outage is not None
            assert (port, program.client.port) == (program.last.outage.port, program.last.outage.listening)
            assert any(f"Port {port} " in text for _, state, text in program.checks() if state == "problem")


def test_an_untrusted_runtime_directory_is_not_used(program: Program) -> None:
    """server.json is written in the state directory instead, where commands look too."""

    program.paths.server_file.symlink_to(program.paths.config_file)
    with program:
        program.becomes("running ok")
        assert ["one"] == [row["name"] for row in ApiClient.of(program.paths).workloads()]
        assert () == program.last.warnings
    assert 0 == program.code
    assert not (program.paths.other_runtime_dir / "server.json").exists()


def test_a_server_file_that_cannot_be_written_is_reported_until_it_can(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands can't connect; everything else works, and so do they once the disk has space again."""

    monkeypatch.setattr(server_file, "TRY_AGAIN", 0.0)
    program.paths.other_runtime_dir.write_text("in the way")
    with small_disk(program.paths.runtime_dir / "full") as disk:
        program.paths = replace(program.paths, runtime_dir=disk.path / "run")
        disk.fill()
        with program:
            program.becomes("running ok")
            assert any("server.json can't be written: No space left" in warning for warning in program.last.warnings)
            with pytest.raises(NotRunningError):
                ApiClient.of(program.paths)
            disk.free()
            _make_a_pass(program)
            program.until((program.paths.runtime_dir / "server.json").exists, "server.json")
            assert ["one"] == [row["name"] for row in ApiClient.of(program.paths).workloads()]
            program.until(lambda: program.last.warnings == (), "the warning to go")
        assert 0 == program.code


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_server_file_that_is_cleaned_away_is_written_again(program: Program, what: str) -> None:
    """Immediately, whatever empties runtime directories; with the same key, so that nobody has to ask anew."""

    with program:
        program.becomes("running ok")
        key = program.client.key
        if what == "file":
            program.paths.server_file.unlink()
        else:
            gone = program.paths.runtime_dir.rename(program.paths.runtime_dir.with_name("gone"))
            shutil.rmtree(gone)
        program.until(lambda: (found := read(program.paths.runtime_dir)) and key == found.api_key, "server.json")
        if sys.platform != "win32":
            assert 0o700 == program.paths.runtime_dir.stat().st_mode & 0o777
    assert not program.paths.server_file.exists()


def test_a_bad_file_at_the_start_is_a_red_icon(program: Program, server: OAuthServer) -> None:
    """No attempts; the sentence names file and line; the fixed file is loaded automatically."""

    good = program.paths.config_file.read_text()
    program.write("[settings]\nport = 0\n[workloads.one]\nurl = 7\n")
    with program:
        assert program.last.broken.startswith(f"{program.paths.config_file}:4: ")
        assert {} == program.last.workloads
        program.write(good)
        _make_a_pass(program)
        program.becomes("running ok")
        assert "" == program.last.broken
        assert 1 == server.count("token")


ANOTHER = '[workloads.another]\nurl = "http://127.0.0.1:9/mcp"\nflow = "browser"\n'


def test_a_mistake_in_one_workload_keeps_only_that_one_from_starting(
    program: Program, server: OAuthServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said with its line wherever a file that can't be read is, and `list` ends with 1. Fixed, it starts, too."""

    good = program.paths.config_file.read_text()
    bad = f"# mine\n{good}{ANOTHER.replace('browser', 'carrier pigeon')}"
    program.write(bad)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    with program:
        program.becomes("running ok")
        line = len(bad.splitlines())
        assert program.last.broken.startswith(f"{program.paths.config_file}:{line}: workloads.another.flow: ")
        assert ["one"] == list(program.last.workloads)
        assert 1 == main(["list"])
        told = capsys.readouterr()
        assert f":{line}: workloads.another.flow: must be" in told.err
        assert "one" in told.out
        with pytest.raises(ApiError, match=r"workloads\.another\.flow"):
            program.client.edit("one", {"mcp": "on"})
        assert bad == program.paths.config_file.read_text()
        program.write(good + ANOTHER)
        assert program.client.reload()["ok"]
        program.until(lambda: {"one", "another"} == set(program.last.workloads), "the other one")
        assert "" == program.last.broken
        assert 1 == server.count("token")


def test_until_the_file_is_good_a_mistake_stops_nothing_that_runs(program: Program, server: OAuthServer) -> None:
    """One mistake is fixed, another made: what runs stays, what is good starts. Then the rule of a later bad file holds."""

    good = program.paths.config_file.read_text()
    program.write(good + ANOTHER.replace("browser", "pigeon"))
    with program:
        program.becomes("running ok")
        broken_one = good.replace("[workloads.one]\n", "[workloads.one]\nmcp = 7\n")
        assert good != broken_one
        program.write(broken_one + ANOTHER)
        assert not program.client.reload()["ok"]
        program.until(lambda: {"one", "another"} == set(program.last.workloads), "the other one")
        assert "workloads.one.mcp" in program.last.broken
        assert "running ok" == program.status()
        program.write("nonsense\n")
        assert not program.client.reload()["ok"]
        assert {"one", "another"} == set(program.last.workloads)
        program.until(lambda: "isn't valid TOML" in program.last.broken, "the newest mistake")
        program.write(good + ANOTHER)
        assert program.client.reload()["ok"]
        program.until(lambda: not program.last.broken, "no mistake")
        program.write(good + ANOTHER.replace("browser", "pigeon"))
        assert not program.client.reload()["ok"]
        program.until(lambda: program.last.warnings, "the warning")
        assert ("", {"one", "another"}) == (program.last.broken, set(program.last.workloads))
        assert 1 == server.count("token")


def test_an_edit_beside_a_mistake_loses_nothing(program: Program) -> None:
    """What can be removed goes; the lines with the mistake stay as they are, and nothing else is written."""

    mistaken = ANOTHER.replace('"browser"', '"pigeon"  # mine')
    program.write(f"{program.paths.config_file.read_text()}\n{mistaken}")
    with program:
        program.becomes("running ok")
        with pytest.raises(ApiError, match=r"workloads\.another\.flow"):
            program.client.request("POST", "/api/v1beta/workloads", {"name": "new", "url": "https://x.example"})
        program.client.remove("one")
        assert program.paths.config_file.read_text().endswith(f"\n{mistaken}")
        assert "[workloads.one]" not in program.paths.config_file.read_text()
        program.until(lambda: not program.last.workloads, "the removal")
        assert "another.flow" in program.last.broken


def test_a_mistake_in_the_settings_starts_nothing(program: Program, server: OAuthServer) -> None:
    """They are about all workloads: who may connect, for example."""

    program.write(program.paths.config_file.read_text().replace("[settings]", "[settings]\nallowed_user = []"))
    with program:
        assert "allowed_user" in program.last.broken
        assert {} == program.last.workloads
    assert 0 == server.count("token")


def _make_a_pass(program: Program) -> None:
    """Bring the engine's next pass, which otherwise comes within half a minute."""
    assert program.control is not None
    program.control.engine._loop.call_soon_threadsafe(program.control.engine.wake)


def test_a_later_bad_file_only_adds_a_warning(program: Program, server: OAuthServer) -> None:
    """The last good configuration stays in force; the icon stays; the warning goes when the file is fixed."""

    with program:
        program.becomes("running ok")
        good = program.paths.config_file.read_text()
        program.write(good + "\nnonsense\n")
        answer = program.client.reload()
        assert not answer["ok"]
        assert str(program.paths.config_file) in answer["errors"][0]
        program.until(lambda: program.last.warnings, "the warning")
        (warning,) = program.last.warnings
        assert "Amberlight keeps using the last valid configuration." in warning
        assert ".." not in warning
        assert "" == program.last.broken
        assert "running ok" == program.status()
        program.write(good)
        assert program.client.reload()["ok"]
        program.until(lambda: not program.last.warnings, "no warning")
        assert 1 == server.count("token")


def test_muted_survives_a_restart(program: Program) -> None:
    """Chosen in the menu, kept in a file, and taken back the same way."""

    for _ in range(2):
        with program:
            before = program.last.muted
            program.act(Verb.MUTE)
            program.until(lambda before=before: program.last.muted is not before, "the other way")  # type: ignore[misc]
        again = Program(program.paths.state_dir.parent, program.keystore)
        with again:
            assert before is not again.last.muted
        program.control, program.snapshots = None, []


def test_a_quit_that_would_lose_a_login_warns_first(program: Program) -> None:
    """The keyring stores nothing: the first *Quit* warns, the second quits."""

    class Full(MemoryKeystore):
        async def store(self, *_: Any) -> Trouble:
            return Trouble.FAILED

    full = Full()
    full._logins = program.keystore._logins
    program.keystore = full
    with program:
        program.becomes("running not_stored")
        program.act(Verb.QUIT)
        time.sleep(0.2)
        assert program.code is None
        program.act(Verb.QUIT)
        program.until(lambda: program.code == 0, "the end")


def test_quit_by_click_and_by_command(program: Program) -> None:
    """Either ends it in order."""

    with program:
        program.becomes("running ok")
        client = program.client
        program.act(Verb.QUIT)
        program.until(lambda: program.code == 0, "the end")
        with pytest.raises(NotRunningError):
            client.request("GET", "/api/v1beta/workloads")
    program.control, program.snapshots, program.code = None, [], None
    with program:
        client = program.client
        client.request("POST", "/api/v1beta/quit")
        program.until(lambda: program.code == 0, "the end")
        with pytest.raises(NotRunningError):
            client.request("GET", "/api/v1beta/workloads")


def test_a_quit_before_the_start(program: Program) -> None:
    """*Quit* while the icon has only just appeared."""

    app = App(program.paths, lambda: load(program.paths, {}), Parts(notifications=False))
    app.act(Action(Verb.QUIT))
    assert 0 == app.run(tray=False)


def test_an_engine_that_ends_unexpectedly(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, a sentence that names the log, and no traceback on the terminal."""

    from trayapp.engine.engine import Engine

    async def run(self: Engine) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(Engine, "run", run)
    app = App(program.paths, lambda: load(program.paths, {}), Parts(lambda: program.keystore, notifications=False))
    assert 1 == app.run(tray=False)
    told = capsys.readouterr().err
    assert str(program.paths.log_file) in told
    assert "Traceback" not in told
    assert not program.paths.server_file.exists()


def test_the_commands_of_a_person_reach_the_engine(program: Program, server: OAuthServer) -> None:
    """Retry, pause, resume, and removal with revocation, all by the loopback API."""

    with program:
        program.green()
        program.client.post("one", "retry")
        program.until(lambda: server.count("token", outcome="ok") == 2, "a refresh")
        program.green()
        program.client.post("one", "stop")
        program.becomes("stopped paused")
        program.client.post("one", "restart")
        program.green()
        server.mode = Mode.FIREWALL
        program.client.retry_all()
        program.until(lambda: server.count("token", outcome="firewall") >= 1, "a failure")
        server.mode = Mode.SUCCESS
        program.client.remove("one")
        program.until(lambda: not program.last.workloads, "its end")
        assert {} == program.keystore._logins


def test_state_db_holds_the_history(program: Program, server: OAuthServer) -> None:
    """The history of an outage can be read afterwards."""

    import sqlite3
    from contextlib import closing

    server.mode = Mode.FIREWALL
    with program:
        program.becomes("auth_retrying retrying")
        server.mode = Mode.SUCCESS
        program.becomes("running ok")
    with closing(sqlite3.connect(program.paths.state_db)) as db:
        rows = db.execute("SELECT kind, outcome, status FROM history ORDER BY id").fetchall()
        (state,) = db.execute("SELECT state FROM workload").fetchone()
    outcomes = [outcome for kind, outcome, _ in rows if kind == "attempt"]
    assert ["server_busy"] * 3 == outcomes[:3]
    assert "refreshed" == outcomes[-1]
    assert ["starting", "auth_retrying", "running"] == list(dict.fromkeys(row[2] for row in rows if row[0] == "status"))
    assert "retrying_since" not in json.loads(state)
