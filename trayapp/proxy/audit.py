"""One line for every request that was given a token: when, workload, method, host and status (SECURITY 35).

No path (it may hold the local key) and no query. The lines are written together, within a second: a record of its own
for each would cost a fifth of the proxy's speed (PROTOTYPES.md section 3).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

EVERY = 1.0  # s until a line is in the log
MOST = 500  # lines in one record; writing more of them would be felt

log = logging.getLogger("trayapp.audit")


class Audit:
    """Belongs to the server's loop. `close` writes what is left."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lines: list[tuple[float, str, str, str, int]] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, name: str, method: str, host: str, status: int) -> None:
        """The upstream answered."""
        self._lines.append((self._wall(), name, method, host, status))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self.flush)
        elif len(self._lines) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write now."""
        if self._timer is not None:
            self._timer.cancel()
        lines, self._lines, self._timer = self._lines, [], None
        if lines and log.isEnabledFor(logging.INFO):
            log.info("requests passed on:%s", "".join(_text(*line) for line in lines))


def _text(at: float, name: str, method: str, host: str, status: int) -> str:
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"\n    {clock}Z {name} {method} {host} {status}"
