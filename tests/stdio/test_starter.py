"""Starting the app for a client: when, how often, and with what environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stdio.stand import until
from trayapp.config import quit_marker
from trayapp.config.paths import Paths
from trayapp.server.instance import instance_lock
from trayapp.stdio import starter
from trayapp.stdio.starter import Starter, environment
from trayapp.system import login_session, session_bus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")

HOLDS = """
import sys, time
from pathlib import Path
from trayapp.server.instance import instance_lock
with instance_lock(Path(sys.argv[1])), Path(sys.argv[2]).open("a") as file:
    file.write("started\\n")
    file.flush()
    time.sleep(float(sys.argv[3]))
"""


class Pretend:
    """A program that holds the app's lock, and notes each start."""

    def __init__(self, root: Path, seconds: float = 30.0) -> None:
        self.paths = Paths.under(root)
        self.notes = root / "starts"
        program = root / "pretend.py"
        program.write_text(HOLDS)
        self.command = [sys.executable, str(program), str(self.paths.lock_file), str(self.notes), str(seconds)]
        self.starters: list[Starter] = []

    def starter(self, *command: str) -> Starter:
        self.starters.append(Starter(self.paths, command or self.command))
        return self.starters[-1]

    @property
    def starts(self) -> int:
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0


@pytest.fixture
def pretend(tmp_path: Path) -> Iterator[Pretend]:
    made = Pretend(tmp_path)
    yield made
    for each in made.starters:
        if each._process is not None and each._process.poll() is None:
            each._process.kill()
            each._process.wait()


def test_one_start_for_all_who_ask(pretend: Pretend) -> None:
    first, second = pretend.starter(), pretend.starter()
    assert (True, "Amberlight is starting.") == first.ensure() == second.ensure() == first.ensure()
    until(lambda: pretend.starts)
    assert (True, "Amberlight is starting.") == pretend.starter().ensure()
    assert 1 == pretend.starts


def test_a_running_app_is_not_started(pretend: Pretend) -> None:
    """Its lock says that it runs, or is about to."""
    pretend.paths.make()
    with instance_lock(pretend.paths.lock_file):
        assert (True, "Amberlight is starting.") == pretend.starter().ensure()
    assert pretend.starters[0]._process is None


def test_a_failure_is_told_and_tried_again_later(pretend: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program printed is in a private file."""
    made = pretend.starter(sys.executable, "-c", "import sys; sys.exit('no disk')")
    made.ensure()
    log = pretend.paths.background_log_file
    until(lambda: not made.ensure()[0])
    assert (False, f"Amberlight couldn't start (exit code 1). See {log}.") == made.ensure()
    assert ("no disk\n", 0o600) == (log.read_text(), log.stat().st_mode & 0o777)
    monkeypatch.setattr(starter, "AGAIN", 0.0)
    assert made.ensure()[0]


def test_a_program_that_is_gone(pretend: Pretend) -> None:
    hope, why = pretend.starter("/nonexistent/amberlight").ensure()
    assert (False, "Amberlight couldn't start. /nonexistent/amberlight: No such file or directory.") == (hope, why)


def test_after_quit_nothing_is_started(pretend: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next login, or a start by hand."""
    pretend.paths.make()
    quit_marker.mark(pretend.paths)
    refused = (False, "Amberlight was quit. To start it, run `amberlight run`.")
    assert refused == pretend.starter().ensure()
    monkeypatch.setattr(quit_marker, "identity", lambda: "another login")
    assert not quit_marker.is_quit(pretend.paths)
    monkeypatch.undo()
    assert refused == pretend.starter().ensure()
    quit_marker.clear(pretend.paths)
    assert pretend.starter().ensure()[0]


def test_a_login_is_told_from_the_next() -> None:
    assert login_session.identity() == login_session.identity() != ""


def test_the_environment_is_a_login_s_not_a_client_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, search paths and settings of a client's runtime stay behind."""
    client = {
        "PATH": "/usr/bin",
        "HOME": "/home/me",
        "LC_TIME": "de",
        "XDG_STATE_HOME": "/s",
        "XDG_RUNTIME_DIR": "/run/me",
        "DISPLAY": ":0",
        "AMBERLIGHT_TICK_INTERVAL": "1m",
        "https_proxy": "http://proxy:8080",
    }
    theirs = {"ANTHROPIC_API_KEY": "k", "PYTHONPATH": "/p", "NODE_OPTIONS": "x", "LD_PRELOAD": "y", "VIRTUAL_ENV": "/v"}
    theirs["AMBERLIGHT_TOKEN"] = "t"
    assert client == environment({**client, **theirs})


@pytest.mark.linux("systemd")
def test_what_a_client_keeps_back_systemd_may_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs start commands with hardly any environment: where the desktop is has to be asked."""
    private = tmp_path / "systemd" / "private"
    private.parent.mkdir()
    private.touch()
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n[ \"$*\" = '--user show-environment' ] || exit 1\ncat <<.\n"
        "DISPLAY=:7\nSECRET=x\nXAUTHORITY=$'odd\\n'\nXDG_CURRENT_DESKTOP=GNOME\n.\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(session_bus, "runtime_dir", lambda: tmp_path)
    path = f"{program.parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", path)
    expected = {"XDG_RUNTIME_DIR": str(tmp_path), "DISPLAY": ":7", "XDG_CURRENT_DESKTOP": "GNOME"}
    assert {"PATH": path, **expected} == environment({"PATH": path})
    program.write_text("#!/bin/sh\nexit 1\n")
    assert {"PATH": path, "XDG_RUNTIME_DIR": str(tmp_path)} == environment({"PATH": path})


def test_the_default_is_the_installed_program(pretend: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an icon where there is a display, and never with a page."""
    started: list[list[str]] = []

    def popen(command: list[str], **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(command)
        raise FileNotFoundError(2, "No such file or directory", command[0])

    monkeypatch.setattr(subprocess, "Popen", popen)
    for display in (":0", ""):
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.setattr(starter, "_of_systemd", lambda env: {})
        Starter(pretend.paths).ensure()
    assert [["--no-page"], ["--no-page", "--no-tray"]] == [each[each.index("run") + 1 :] for each in started]
    assert all(os.path.isabs(each[0]) for each in started)
