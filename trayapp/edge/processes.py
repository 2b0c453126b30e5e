"""What asyncio leaves open when the wait for a child process is itself given up."""

from __future__ import annotations

import asyncio


def let_go(process: asyncio.subprocess.Process) -> None:
    """Close the pipes and end the process, if that has not happened: for the `finally` of whoever waits for its end.

    A wait that is cancelled (the program quits) would leave both to the garbage collector. asyncio has no public way.
    """
    process._transport.close()  # type: ignore[attr-defined]
