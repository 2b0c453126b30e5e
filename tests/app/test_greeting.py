"""The greeting of `run`: one line at a terminal, nothing elsewhere."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from trayapp.app.launch import _greet


@pytest.mark.linux("pseudo-terminals")
def test_a_terminal_gets_one_line(tmp_path: Path) -> None:
    """Once everything runs, with the command that shows more and the key that ends it."""

    places = {f"XDG_{name}": str(tmp_path) for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR")}
    tmp_path.chmod(0o700)
    (tmp_path / "amberlight").mkdir()
    (tmp_path / "amberlight/config.toml").write_text("[settings]\nport = 0\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **places}
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "trayapp", "run", "--no-tray"]
    program = subprocess.Popen(command, env=environment, stderr=slave, stdin=subprocess.DEVNULL, cwd=tmp_path)
    os.close(slave)
    try:
        with os.fdopen(master) as terminal:
            assert "Amberlight is running. Run `amberlight list`. To quit, press Ctrl-C." == terminal.readline().strip()
            program.send_signal(signal.SIGINT)
            assert 0 == program.wait(15)
    finally:
        program.kill()
        program.wait()


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_without_a_terminal_nothing_is_printed(stream: io.StringIO | None) -> None:
    """A start at login prints nothing, and a program without streams doesn't fail."""

    _greet(stream, tray=True)

    assert stream is None or "" == stream.getvalue()


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_what_keeps_clients_away_is_always_printed(stream: io.StringIO | None) -> None:
    """Also where nobody looks at it now: a start at login leaves it in the journal."""

    _greet(stream, ("Port 8765 is in use.", "config.toml:3 is wrong."), tray=True)

    wanted = "amberlight: Port 8765 is in use.\namberlight: config.toml:3 is wrong.\n"
    assert stream is None or wanted == stream.getvalue()
