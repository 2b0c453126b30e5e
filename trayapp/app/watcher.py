"""What the engine's watcher looks at, at each of its wake-ups: clocks, network, and the configuration file.

It only looks and translates: what a change means is decided in `osevents` and in the core.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from trayapp.core.gate import Gate
from trayapp.core.model import Moment
from trayapp.engine.ports import SystemChange
from trayapp.osevents.events import ClockStepped, NetworkState, SleepImminent, WakeDetected
from trayapp.osevents.watch import Watch

if TYPE_CHECKING:
    from trayapp.app.runtime import Runtime

log = logging.getLogger(__name__)

WRITTEN = 1.0  # s without a change: then a configuration file counts as written


class SystemWatcher:
    """The engine's watcher: clocks, network, and the configuration file, at each of its wake-ups."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.watch = Watch(self._now, runtime.clock.now)
        self._files: tuple[tuple[int, ...], ...] = ()

    def first_gate(self) -> Gate:
        """How the network is at the start; nothing has to settle."""
        now = self._runtime.clock.now()
        offline = any(isinstance(event, NetworkState) and event.offline for event in self.watch.poll(now))
        return Gate(offline=offline, closed_since=now.at if offline else None)

    @property
    def told(self) -> bool:
        """Whether a network that returns is told of."""
        return self.watch.network

    def poll(self, now: Moment) -> SystemChange | None:
        """What changed since the last look; None if nothing did."""
        if self.files_changed():
            self._read_when_written(now.wall)
        seen = SystemChange()
        for event in self.watch.poll(now):
            match event:
                case NetworkState(offline=offline, portal=portal):
                    seen = replace(seen, network=True, offline=offline, portal=portal)
                case WakeDetected() | ClockStepped():  # a step of the wall clock is a wake hint (DESIGN.md section 3)
                    seen = replace(seen, woke=True)
                    self._runtime.notifier.user_is_back()
                case SleepImminent(done=done):
                    seen = replace(seen, sleep_soon=True)
                    self._runtime.engine.task("hold the sleep up", self._hold(done))
        self._runtime.notifier.time_passes()
        self._runtime.timeline.passes(now)
        if seen.network or seen.woke:
            self._runtime.engine.task("drop idle connections", self._runtime.proxy.renew())
        return None if seen == SystemChange() else seen

    async def _hold(self, done: Callable[[], None]) -> None:
        """The gate is closed when this begins; the machine sleeps when it ends."""
        try:
            await self._runtime.engine.suspend.settled()
        finally:
            done()

    def _read_when_written(self, wall: float) -> None:
        """An editor may be in the middle of it: a file that is younger than a moment is looked at once more."""
        age = wall - self._youngest()
        if 0.0 <= age < WRITTEN:
            asyncio.get_running_loop().call_later(WRITTEN, self._now)
            return
        log.info("the configuration file changed")
        self._runtime.read_configuration()

    def _youngest(self) -> float:
        """Wall; when a configuration file was last written."""
        return max((stamp[0] / 1e9 for stamp in self._stamps()), default=0.0)

    def _now(self) -> None:
        self._runtime.engine.look()

    def remember_files(self) -> None:
        """The files as they are now have been read."""
        self._files = self._stamps()

    def files_changed(self) -> bool:
        """Whether a configuration file is another one than what was read."""
        return self._files != self._stamps()

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        stamps: list[tuple[int, ...]] = []
        for path in (self._runtime.paths.site_config_file, self._runtime.paths.config_file):
            with contextlib.suppress(OSError):
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)
