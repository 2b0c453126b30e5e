"""Child processes of our own: the program that runs one of our modules, and closing what asyncio leaves open."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

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


def close_process(process: asyncio.subprocess.Process) -> None:
    """Close the pipes and end the process if it still runs; for the `finally` of whoever waits for it.

    A cancelled wait (the program quits) would leave both to the garbage collector. asyncio has no public way to do
    this.
    """
    process._transport.close()  # type: ignore[attr-defined]
