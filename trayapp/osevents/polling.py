"""Polling, the fallback that works everywhere: read clocks and network when called, report what changed since.

It has no timer and no thread. The engine calls `poll` at its wake-ups, which come at least every 30 s. So a sleep of
three days is noticed within 30 s of the wake, and a new network as soon, without any message from the system.
"""

from __future__ import annotations

import logging
import struct
import sys
from collections.abc import Callable

from trayapp.core.model import Moment
from trayapp.osevents.clocks import compare as compare_clocks
from trayapp.osevents.events import NetworkState, OsEvent
from trayapp.osevents.linux_snapshot import read_kernel_tables
from trayapp.osevents.network import NetworkSnapshot
from trayapp.osevents.network import compare as compare_snapshots
from trayapp.osevents.socket_snapshot import read_by_sockets

log = logging.getLogger(__name__)

READ_INTERVAL = 5.0  # s; however often `poll` is called, the network is read no more often than this


def snapshot_reader(platform: str = sys.platform) -> Callable[[], NetworkSnapshot]:
    """The function that takes a network snapshot on this system."""
    return read_kernel_tables if platform == "linux" else read_by_sockets


class Polling:
    """Compares with its last reading. `poll` takes about 0.2 ms, belongs to one thread and never raises."""

    name = "polling"

    def __init__(self, read: Callable[[], NetworkSnapshot] | None = None, interval: float = READ_INTERVAL) -> None:
        self._read = read or snapshot_reader()
        self._interval = interval
        self._last: Moment | None = None
        self._read_at: float | None = None
        self._snapshot: NetworkSnapshot | None = None
        self._unreadable = False

    @property
    def offline(self) -> bool:
        """Whether the last snapshot was offline."""
        return self._snapshot is not None and self._snapshot.offline

    def poll(self, now: Moment, *, hinted: bool = False) -> list[OsEvent]:
        """What happened since the last call: a wake, a step of the clock, a change of the network; usually nothing.

        `hinted`: a source reported a possible change, so the network is read however recent the last snapshot is.
        The first snapshot is an event only if it is offline, because a gate starts open.
        """
        jump = compare_clocks(self._last, now) if self._last is not None else None
        self._last = now
        events = jump.events() if jump is not None else []
        if jump is not None:
            log.info("os events: slept %.0f s, wall clock stepped by %.0f s", jump.slept, jump.stepped)
        due = self._read_at is None or now.at - self._read_at >= self._interval
        if due or hinted or jump is not None:
            events += self._read_network(now)
        return events

    def _read_network(self, now: Moment) -> list[OsEvent]:
        self._read_at = now.at
        try:
            snapshot = self._read()
        except (OSError, ValueError, struct.error) as error:
            if not self._unreadable:
                log.warning("os events: the network cannot be looked at (%s); it is taken as unchanged", error)
            self._unreadable = True
            return []
        self._unreadable = False
        before, self._snapshot = self._snapshot, snapshot
        if before is None:
            return [NetworkState(True, digest=snapshot.digest(), reasons=("start",))] if snapshot.offline else []
        delta = compare_snapshots(before, snapshot)
        if not delta.matters:
            return []
        reasons = delta.reasons()
        log.info("os events: network changed (%s)%s", ", ".join(reasons), "; offline" if snapshot.offline else "")
        return [NetworkState(snapshot.offline, digest=snapshot.digest(), reasons=reasons)]
