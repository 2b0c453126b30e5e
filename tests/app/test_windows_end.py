"""The app on Windows as a process of its own: started in the background, found, ended by the console and by `quit`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("consoles, jobs and detached processes of Windows", allow_module_level=True)

import signal

from tests import ROOT
from trayapp.config.paths import Paths
from trayapp.server.instance import Holder, holder, is_held, process_exists
from trayapp.server.serverfile import read
from trayapp.stdio import starter

REFUSED = 6  # ERROR_INVALID_HANDLE
ENDED_BY_KEY = 0xC000013A  # STATUS_CONTROL_C_EXIT
LIMIT = 400.0  # s; on a busy machine, Wine takes long to begin

# Press a key in another process's console: only one of its own can be had at a time.
PRESS = """
import ctypes, os, sys
kernel = ctypes.WinDLL("kernel32.dll", use_last_error=True)
kernel.FreeConsole()
assert kernel.AttachConsole(int(sys.argv[1])), ctypes.get_last_error()
kernel.SetConsoleCtrlHandler(None, True)
if not kernel.GenerateConsoleCtrlEvent(int(sys.argv[2]), 0):
    os._exit(ctypes.get_last_error())
"""


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("AMBERLIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "home").mkdir()
    paths = Paths.default()
    assert paths.state_dir.is_relative_to(tmp_path)
    return paths


@pytest.fixture
def app(paths: Paths, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The app in a console of its own, once it listens."""
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "trayapp", "run", "--no-tray", "--no-page"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            creationflags=subprocess.CREATE_NEW_CONSOLE,
        )
    try:
        until(lambda: paths.server_file.exists() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "output").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def test_who_runs_is_seen_by_others(app: subprocess.Popen[bytes], paths: Paths) -> None:
    """The lock tells process and directory; a second one says that it's running; a killed one holds nothing."""

    assert is_held(paths.lock_file)
    assert Holder(app.pid, paths.runtime_dir) == holder(paths.lock_file)
    second = subprocess.run(
        [sys.executable, "-m", "trayapp", "run", "--no-tray"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (1, True) == (second.returncode, "Amberlight is already running." in second.stderr), second.stderr
    app.kill()
    app.wait()
    assert (False, None) == (is_held(paths.lock_file), holder(paths.lock_file))


@pytest.mark.parametrize("key", [signal.CTRL_C_EVENT, signal.CTRL_BREAK_EVENT])
def test_the_console_ends_it_in_order(app: subprocess.Popen[bytes], paths: Paths, key: int) -> None:
    """Ctrl-C and Ctrl-Break: exit code 0, no `server.json`, no heartbeat, and the lock is free."""

    pressed = subprocess.run([sys.executable, "-c", PRESS, str(app.pid), str(int(key))], timeout=LIMIT, check=False)
    if pressed.returncode == REFUSED and key == signal.CTRL_BREAK_EVENT:
        pytest.skip("Wine lets nobody press Ctrl-Break in the console of another program")
    assert pressed.returncode in (0, ENDED_BY_KEY)  # Ctrl-Break ends who pressed it, too
    assert 0 == app.wait(LIMIT)
    assert read(paths.runtime_dir) is None
    assert not paths.alive_file.exists()
    assert not is_held(paths.lock_file)


def test_in_the_background(paths: Paths, tmp_path: Path) -> None:
    """Started without a console, out of the starter's job, with a handle of its own for its words; `quit` waits for its end."""

    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from trayapp.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "run", "--no-tray"]  # PYTHONPATH isn't passed on
    begun = starter.Starter(paths, command)
    assert (True, starter.STARTING) == begun.ensure()
    until(paths.server_file.exists)
    running = holder(paths.lock_file)
    assert running is not None
    assert running.pid != os.getpid()
    quit_ = subprocess.run(
        [sys.executable, "-m", "trayapp", "quit"], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (0, True) == (quit_.returncode, "Amberlight has quit." in quit_.stdout), quit_.stdout + quit_.stderr
    assert not is_held(paths.lock_file)
    until(lambda: not process_exists(running.pid))
    assert paths.quit_file.exists()
    assert paths.background_log_file.exists()
