"""Audit log: one line for every request that was given a token, with time, workload, method, host and status.

No path, which may hold the local key, and no query (SECURITY.md 35). Lines are written in batches, within a second: a
log record for each request would cost a fifth of the proxy's throughput.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

FLUSH_AFTER = 1.0  # s until a line is in the log
BATCH_MAX = 500  # lines in one record; a larger one would hold up the loop noticeably

log = logging.getLogger("trayapp.audit")


class Audit:
    """Collects lines and writes them in batches. Belongs to the server's loop; `close` of the proxy flushes it."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lines: list[str] = []
        self._second = -1
        self._clock = ""  # that second as text: formatting it for each line would cost more than the rest
        self._timer: asyncio.TimerHandle | None = None

    def note(self, name: str, method: str, host: str, status: int) -> None:
        """Record that the upstream answered a request."""
        second = int(self._wall())
        if second != self._second:
            self._second, self._clock = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        self._lines.append(f"\n    {self._clock} {name} {method} {host} {status}")
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self.flush)
        elif len(self._lines) >= BATCH_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected."""
        if self._timer is not None:
            self._timer.cancel()
        lines, self._lines, self._timer = self._lines, [], None
        if lines and log.isEnabledFor(logging.INFO):
            log.info("requests passed on:%s", "".join(lines))
