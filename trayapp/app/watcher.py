"""Poll clocks and network in every pass of the engine, and translate changes for it.

What a change means is decided in `osevents` and in the core, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from trayapp.core.gate import Gate
from trayapp.core.model import Moment
from trayapp.engine.ports import SystemChange
from trayapp.osevents.events import ClockStepped, NetworkState, SleepImminent, WakeDetected
from trayapp.osevents.watch import Watch


@dataclass(frozen=True, slots=True)
class Reactions:
    """Callbacks for what the watcher notices. Each only posts, or begins a task."""

    poll_soon: Callable[[], None]  # the engine is to call `poll` soon
    user_is_back: Callable[[], None]  # the machine woke
    time_passed: Callable[[Moment], None]  # in every pass of the engine
    sleep_imminent: Callable[[Callable[[], None]], object]  # gets the function that lets the machine sleep
    connections_stale: Callable[[], None]  # the network has changed or the machine slept: idle connections are dead


class SystemWatcher:
    """Compares each poll with the one before, on the engine's loop."""

    def __init__(self, now: Callable[[], Moment], react: Reactions) -> None:
        self._now = now
        self._react = react
        self.watch = Watch(react.poll_soon, now)

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
