"""`amberlight exec` on Windows, where the command is a child in the same console: its code and its keys are its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("elsewhere the command replaces the process", allow_module_level=True)

import signal

from tests import ROOT

LIMIT = 240.0  # s
PROGRAM = "import sys; from trayapp.cli.exec_command import replace_process; from trayapp.core.model import Secret; {}"
EXEC = PROGRAM.format("sys.exit(replace_process(sys.argv[1:], 'T', Secret('x')))")
END = "import ctypes; ctypes.windll.kernel32.ExitProcess({:#x})"
WAIT = """
import sys, time
open(sys.argv[1], "w").close()
try:
    time.sleep(200)
except KeyboardInterrupt:
    sys.exit(5)
"""


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize("code", [0, 77, 259, 0x7FFFFFFF, 0x80000000, 0xC0000005, 0xC000013A, 0xFFFFFFFF])
def test_every_code_is_handed_on(code: int) -> None:
    """A crash has one of 32 bits: an access violation, an end by Ctrl-C."""

    command = [sys.executable, "-c", EXEC, sys.executable, "-c", END.format(code)]
    assert code == subprocess.run(command, timeout=LIMIT, check=False).returncode


def test_a_batch_file_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As npx and npm are."""

    (tmp_path / "tool.cmd").write_text("@echo %T% %1\r\n@exit 7\r\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=";")
    done = subprocess.run(
        [sys.executable, "-c", EXEC, "tool", "word"], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (7, "x word") == (done.returncode, done.stdout.strip()), done.stderr


def test_ctrl_c_is_the_commands(tmp_path: Path) -> None:
    """It reaches both; the command decides what it means, and its code is ours."""

    from tests.app.test_windows_end import PRESS

    begun = tmp_path / "begun"
    command = [sys.executable, "-c", EXEC, sys.executable, "-c", WAIT, str(begun)]
    with subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_CONSOLE) as process:
        until = time.monotonic() + LIMIT
        while not begun.exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        key = str(int(signal.CTRL_C_EVENT))
        subprocess.run([sys.executable, "-c", PRESS, str(process.pid), key], timeout=LIMIT, check=True)
        assert 5 == process.wait(LIMIT)
