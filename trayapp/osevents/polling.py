"""The backend that works everywhere: look at clocks and network when asked, and say what changed since the last time.

It has no timer and no thread. The owner of the one timer calls `poll` at its wake-ups, which come at least every 30 s; so a
sleep of three days is noticed within 30 s of the wake, and a new network as soon, with no message from the system.
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
from trayapp.osevents.network import compare as compare_pictures
from trayapp.osevents.socket_snapshot import read_by_sockets

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0  # s; however often the owner's timer wakes it, the network is looked at no more often than this


def reader(platform: str = sys.platform) -> Callable[[], NetworkSnapshot]:
    """How the network is looked at on this system."""
    return read_kernel_tables if platform == "linux" else read_by_sockets


class Polling:
    """Remembers the last look. `poll` takes about a fifth of a millisecond, belongs to one thread and never raises."""

    name = "polling"

    def __init__(self, read: Callable[[], NetworkSnapshot] | None = None, every: float = LOOK_EVERY) -> None:
        self._read = read or reader()
        self._every = every
        self._last: Moment | None = None
        self._looked_at: float | None = None
        self._picture: NetworkSnapshot | None = None
        self._blind = False

    @property
    def offline(self) -> bool:
        """Whether the last look found no way out."""
        return self._picture is not None and self._picture.offline

    def poll(self, now: Moment, *, stirred: bool = False) -> list[OsEvent]:
        """What happened since the last call: a wake, a step of the clock, a change of the network; usually nothing.

        `stirred`: somebody heard of a change, so that the network is looked at however short ago the last look was.
        The very first look tells only what a gate would not assume by itself: that there is no network.
        """
        jump = compare_clocks(self._last, now) if self._last is not None else None
        self._last = now
        events = jump.events() if jump is not None else []
        if jump is not None:
            log.info("os events: slept %.0f s, wall clock stepped by %.0f s", jump.slept, jump.stepped)
        due = self._looked_at is None or now.at - self._looked_at >= self._every
        if due or stirred or jump is not None:
            events += self._look(now)
        return events

    def _look(self, now: Moment) -> list[OsEvent]:
        self._looked_at = now.at
        try:
            picture = self._read()
        except (OSError, ValueError, struct.error) as error:
            if not self._blind:
                log.warning("os events: the network cannot be looked at (%s); it is taken as unchanged", error)
            self._blind = True
            return []
        self._blind = False
        before, self._picture = self._picture, picture
        if before is None:
            return [NetworkState(True, digest=picture.digest(), reasons=("start",))] if picture.offline else []
        delta = compare_pictures(before, picture)
        if not delta.matters:
            return []
        reasons = delta.reasons()
        log.info("os events: network changed (%s)%s", ", ".join(reasons), "; offline" if picture.offline else "")
        return [NetworkState(picture.offline, digest=picture.digest(), reasons=reasons)]
