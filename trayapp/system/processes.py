"""Child processes of our own: the program that runs one of our modules, and an end that leaves nothing open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

BATCH = (".bat", ".cmd")
_BATCH_UNSAFE = frozenset('"%!^&|<>\r\n')
FROZEN = bool(getattr(sys, "frozen", False))
NO_WINDOW = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW: no console flashes up


def interpreter(executable: str = sys.executable, *, frozen: bool = FROZEN) -> str:
    """The program that takes `-m MODULE`: this Python, or the frozen program itself (packaging/pyinstaller/frozen.py).

    On Windows that is the console program: the other one, which starts at login, has no standard input and output.
    """
    path = Path(executable)
    if frozen and path.name.lower() == "amberlightw.exe":
        return str(path.with_name("amberlight.exe"))
    return executable


def findable(command: Sequence[str]) -> list[str]:
    """The command as Windows finds it: npx, code and many others are .cmd files. Raises `OSError` for a batch file with
    arguments that the command processor would read in its own way."""
    program = shutil.which(command[0]) or command[0]
    if program.lower().endswith(BATCH) and any(_BATCH_UNSAFE.intersection(word) for word in command[1:]):
        raise OSError(errno.EINVAL, "it's a batch file, which can't be given these arguments safely")
    return [program, *command[1:]]


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Kill the process if it still runs, close its pipes and wait for its end.

    A cancellation meanwhile (the program quits) is raised afterwards: a process that was killed ends within
    milliseconds, and one that nobody waited for would be left to the garbage collector.
    """
    transport = process._transport  # type: ignore[attr-defined]  # asyncio has no public way to close the pipes
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    for number in range(3):
        if (pipe := transport.get_pipe_transport(number)) is not None:
            pipe.close()
    cancelled: asyncio.CancelledError | None = None
    ended = False
    while not ended:
        try:
            await process.wait()
            ended = True
        except asyncio.CancelledError as error:
            cancelled = error
    transport.close()
    if cancelled is not None:
        raise cancelled
