"""Poll clocks, network and configuration files in every pass of the engine, and translate changes for it.

What a change means is decided in `osevents` and in the core, not here.
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

WRITTEN_AFTER = 1.0  # s without a change, after which a configuration file counts as completely written


@dataclass(frozen=True, slots=True)
class Reactions:
    """Callbacks for what the watcher notices. Each only posts, or begins a task."""

    poll_soon: Callable[[], None]  # the engine is to call `poll` soon
    file_changed: Callable[[], None]  # a configuration file has changed and is completely written
    user_is_back: Callable[[], None]  # the machine woke
    time_passed: Callable[[Moment], None]  # in every pass of the engine
    sleep_imminent: Callable[[Callable[[], None]], None]  # gets the function that lets the machine sleep
    connections_stale: Callable[[], None]  # the network has changed or the machine slept: idle connections are dead


class SystemWatcher:
    """Compares each poll with the one before, on the engine's loop. `files` are the configuration files."""

    def __init__(self, now: Callable[[], Moment], files: tuple[Path, ...], react: Reactions) -> None:
        self._now = now
        self._paths = files
        self._react = react
        self.watch = Watch(react.poll_soon, now)
        self._files: tuple[tuple[int, ...], ...] = ()

    def first_gate(self) -> Gate:
        """The gate at the start, by the state of the network; nothing has to settle."""
        now = self._now()
        offline = any(isinstance(event, NetworkState) and event.offline for event in self.watch.poll(now))
        return Gate(offline=offline, closed_since=now.at if offline else None)

    @property
    def announces_network(self) -> bool:
        """Whether the system reports a network that returns."""
        return self.watch.network

    def poll(self, now: Moment) -> SystemChange | None:
        """What has changed since the previous poll; None if nothing has."""
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
        """React to a changed file. An editor may still be writing: one younger than `WRITTEN_AFTER` is polled once more."""
        age = wall - self._last_written()
        if 0.0 <= age < WRITTEN_AFTER:
            asyncio.get_running_loop().call_later(WRITTEN_AFTER, self._react.poll_soon)
            return
        log.info("the configuration file changed")
        self._react.file_changed()

    def _last_written(self) -> float:
        """When a configuration file was last written, in wall seconds."""
        return max((stamp[0] / 1e9 for stamp in self._file_stamps()), default=0.0)

    def remember_files(self) -> None:
        """The files are read now: only later changes count."""
        self._files = self._file_stamps()

    def files_changed(self) -> bool:
        """Whether a configuration file has changed since it was read."""
        return self._files != self._file_stamps()

    def _file_stamps(self) -> tuple[tuple[int, ...], ...]:
        """Modification time, size and inode of each file that exists."""
        stamps: list[tuple[int, ...]] = []
        for path in self._paths:
            with contextlib.suppress(OSError):
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)
