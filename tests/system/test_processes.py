"""The program that runs one of our modules, and the end of a child process."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests import ROOT
from trayapp.system.processes import end_process, interpreter

FROZEN = ROOT / "packaging/pyinstaller/frozen.py"


@pytest.mark.parametrize(
    ("executable", "frozen", "taken"),
    [
        ("bin/python3", False, "bin/python3"),
        ("app/amberlight", True, "app/amberlight"),
        ("app/amberlight.exe", True, "app/amberlight.exe"),
        ("app/amberlightw.exe", True, "app/amberlight.exe"),
        ("app/AMBERLIGHTW.EXE", True, "app/amberlight.exe"),
        ("app/amberlightw.exe", False, "app/amberlightw.exe"),
    ],
)
def test_the_console_program_is_chosen(executable: str, frozen: bool, taken: str) -> None:
    """Of the two programs of a frozen Windows build a login starts the one that has none."""

    assert Path(taken) == Path(interpreter(executable, frozen=frozen))


def test_the_frozen_program_runs_modules_of_ours_and_no_others() -> None:
    """What it is started with for a child; anything else is the command line, which refuses what it does not know."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, FROZEN, *arguments],
            input="{}",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert "unreadable" == run("-m", "trayapp.oauth.jose").stdout
    refused = run("-m", "this")
    assert (2, "") == (refused.returncode, refused.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="it starts a shell")
@pytest.mark.parametrize("cancels", [0, 1, 3])
def test_a_process_has_ended_however_often_its_end_is_cancelled(cancels: int) -> None:
    """The program quits meanwhile, and its loop closes: the garbage collector finds nothing left to warn about."""

    async def cancelled_end() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", "trap '' TERM; yes", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        ending = asyncio.create_task(end_process(process))
        for _ in range(cancels):
            await asyncio.sleep(0)
            ending.cancel()
        await asyncio.wait((ending,))
        assert ending.cancelled() == bool(cancels)
        return process

    process = asyncio.run(cancelled_end())
    assert process.returncode == -signal.SIGKILL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del process
        gc.collect()


def test_a_process_that_ended_itself_keeps_its_exit_code() -> None:
    """Ending it then only closes what is open."""

    async def ended() -> int | None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
        await process.wait()
        await end_process(process)
        return process.returncode

    assert 3 == asyncio.run(ended())
