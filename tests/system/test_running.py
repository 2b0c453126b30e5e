"""A client that is open is recognised by its name, if it belongs to this user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trayapp.system import running
from trayapp.system.running import names_of, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="tells nothing there")


def test_a_program_that_runs(tmp_path: Path) -> None:
    """As long as it does."""

    sleep = shutil.which("sleep")
    assert sleep is not None
    program = tmp_path / "amberclient"
    shutil.copy(sleep, program)
    assert not runs(("amberclient",))
    with subprocess.Popen([program, "60"]) as process:
        until = time.monotonic() + 10
        while not runs(("other", "amberclient")):  # its name appears a moment after it has been started
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not runs(())
        if shutil.which("/bin/ps"):
            assert "amberclient" in running._by_ps()
        process.kill()
    assert not runs(("amberclient",))


@pytest.mark.linux("needs /proc")
def test_a_system_that_hides_processes(tmp_path: Path) -> None:
    """Then nothing runs, and nothing fails."""

    assert not runs(("claude",), tmp_path / "none")
    (tmp_path / "12").mkdir()
    (tmp_path / "self").mkdir()
    assert not runs(("claude",), tmp_path)
    (tmp_path / "12/comm").write_text("claude\n")
    assert runs(("claude",), tmp_path)


def test_the_program_of_a_process() -> None:
    """By its name, for as long as it runs: not for one that has ended and is only not waited for yet."""

    sleep = shutil.which("sleep")
    assert sleep is not None
    with subprocess.Popen([sleep, "60"]) as process:
        until = time.monotonic() + 10
        while names_of({process.pid, 1 << 30}) != {process.pid: "sleep"}:
            assert time.monotonic() < until
            time.sleep(0.01)
        if shutil.which("/bin/ps"):
            assert {process.pid: "sleep"} == running._named_by_ps({process.pid, 1 << 22})
        process.kill()
        while names_of({process.pid}):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert {} == running._named_by_ps({process.pid})
    assert {} == names_of(())


@pytest.mark.linux("needs /proc")
def test_a_name_with_brackets(tmp_path: Path) -> None:
    """A program may be called anything."""

    (tmp_path / "7").mkdir()
    (tmp_path / "7/stat").write_text("7 (a) b) S 1 7 7\n")
    (tmp_path / "8").mkdir()
    (tmp_path / "8/stat").write_text("")
    assert {7: "a) b"} == names_of({7, 8}, tmp_path)
