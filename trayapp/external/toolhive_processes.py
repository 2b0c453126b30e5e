"""Whether the processes of a record still run, and are still that program's: process numbers are used again."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Collection

from trayapp.system.running import names_of

CONNECT_LIMIT = 0.2  # s; a loopback address answers within a millisecond
CONNECTS_LIMIT = 2.0  # s for all of one reading: Windows takes its time to say that nobody listens
OURS = ("thv", "toolhive")  # in the names of ToolHive's programs


class Liveness:
    """What runs of these processes, as it was when this was made. `processes` are those that are ToolHive's."""

    def __init__(self, recorded: Collection[int]) -> None:
        self._names = names_of({pid for pid in recorded if pid > 0})
        self._spent = 0.0  # s
        self.processes = frozenset(pid for pid, name in self._names.items() if _is_of(name))

    def stranger(self, pid: int) -> str:
        """The name of a process that runs and isn't ToolHive's; empty if it is, or has ended."""
        return "" if pid in self.processes else self._names.get(pid, "")

    def listens(self, host: str, port: int) -> bool:
        """Whether anything listens there. False for what can't be found out within the limit."""
        if not port or self._spent >= CONNECTS_LIMIT:
            return False
        began = time.monotonic()
        try:
            with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), port), CONNECT_LIMIT):
                return True
            return False
        finally:
            self._spent += time.monotonic() - began


def _is_of(name: str) -> bool:
    return any(part in name.lower() for part in OURS)
