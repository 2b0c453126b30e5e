"""A client that is open is recognised by its name, if it belongs to this user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trayapp.system import running
from trayapp.system.running import runs

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
