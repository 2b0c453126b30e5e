"""Processes of our own: which program runs a module of ours, and what asyncio leaves open when one is not waited for."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

FROZEN = bool(getattr(sys, "frozen", False))
NO_WINDOW = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW: no console flashes up


def interpreter(executable: str = sys.executable, *, frozen: bool = FROZEN) -> str:
    """What takes `-m MODULE`: this Python, or the frozen program itself (packaging/pyinstaller/frozen.py).

    On Windows that is the one with a console: the other one, which a login starts, has no standard input and output.
    """
    path = Path(executable)
    if frozen and path.name.lower() == "amberlightw.exe":
        return str(path.with_name("amberlight.exe"))
    return executable


def close_process(process: asyncio.subprocess.Process) -> None:
    """Close the pipes and end the process, if that has not happened: for the `finally` of whoever waits for its end.

    A wait that is cancelled (the program quits) would leave both to the garbage collector. asyncio has no public way.
    """
    process._transport.close()  # type: ignore[attr-defined]
