"""The engine's watcher: clocks, network and the configuration file, looked at whenever the engine wakes.

It only looks and translates: what a change means is decided in `osevents` and in the core.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trayapp.core.gate import Gate
from trayapp.core.model import Moment
from trayapp.engine.ports import SystemChange
from trayapp.osevents.events import ClockStepped, NetworkState, SleepImminent, WakeDetected
from trayapp.osevents.watch import Watch

log = logging.getLogger(__name__)

WRITTEN = 1.0  # s without a change: then a configuration file counts as written


@dataclass(frozen=True, slots=True)
class Reactions:
    """Who is told of what the watcher saw. Each only posts, or begins a task."""

    look_soon: Callable[[], None]  # the engine is to call `poll` soon
    file_changed: Callable[[], None]  # config.toml is another one, and written to its end
    user_is_back: Callable[[], None]
    time_passed: Callable[[Moment], None]
    sleep_imminent: Callable[[Callable[[], None]], None]  # gets what lets the machine sleep
    connections_stale: Callable[[], None]  # the network is another one: idle connections lead nowhere


class SystemWatcher:
    """Compares each look with the one before. `files` are the configuration files. On the engine's loop."""

    def __init__(self, now: Callable[[], Moment], files: tuple[Path, ...], react: Reactions) -> None:
        self._clock = now
        self._paths = files
        self._react = react
        self.watch = Watch(react.look_soon, now)
        self._files: tuple[tuple[int, ...], ...] = ()

    def first_gate(self) -> Gate:
        """How the network is at the start; nothing has to settle."""
        now = self._clock()
        offline = any(isinstance(event, NetworkState) and event.offline for event in self.watch.poll(now))
        return Gate(offline=offline, closed_since=now.at if offline else None)

    @property
    def announces_network(self) -> bool:
        """Whether the system announces a network that returns."""
        return self.watch.network

    def poll(self, now: Moment) -> SystemChange | None:
        """What changed since the last look; None if nothing did."""
        if self.files_changed():
            self._read_when_written(now.wall)
        change = SystemChange()
        for event in self.watch.poll(now):
            match event:
                case NetworkState(offline=offline, portal=portal):
                    change = replace(change, network=True, offline=offline, portal=portal)
                case WakeDetected() | ClockStepped():  # a step of the wall clock hints at a wake (RULES.md section 3)
                    change = replace(change, woke=True)
                    self._react.user_is_back()
                case SleepImminent(done=done):
                    change = replace(change, sleep_soon=True)
                    self._react.sleep_imminent(done)
        self._react.time_passed(now)
        if change.network or change.woke:
            self._react.connections_stale()
        return None if change == SystemChange() else change

    def _read_when_written(self, wall: float) -> None:
        """An editor may still be writing: a file younger than `WRITTEN` is looked at once more."""
        age = wall - self._youngest()
        if 0.0 <= age < WRITTEN:
            asyncio.get_running_loop().call_later(WRITTEN, self._react.look_soon)
            return
        log.info("the configuration file changed")
        self._react.file_changed()

    def _youngest(self) -> float:
        """Wall; when a configuration file was last written."""
        return max((stamp[0] / 1e9 for stamp in self._stamps()), default=0.0)

    def remember_files(self) -> None:
        """The files as they are now have been read."""
        self._files = self._stamps()

    def files_changed(self) -> bool:
        """Whether a configuration file is another one than what was read."""
        return self._files != self._stamps()

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        stamps: list[tuple[int, ...]] = []
        for path in self._paths:
            with contextlib.suppress(OSError):
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)
