"""All event sources merged into one: native sources while they run, polling beneath them, one ordered list of events.

Sources emit into `receive`, which queues the event and asks for a poll; the engine then calls `poll` and gets everything
in one list. Two judgements are made here for all systems. A burst of network hints makes one snapshot (`Debounce`). And
a sleep that only the clocks show counts immediately where no source reports power events, but where one does, only after
a minute awake: a Mac that wakes for seconds during the night (DarkWake) still counts as asleep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from trayapp.core.model import Moment
from trayapp.osevents.debounce import Debounce
from trayapp.osevents.events import (
    DarkWakeAware,
    NetworkChangeHint,
    NetworkState,
    OsEvent,
    PortalHint,
    SleepImminent,
    Source,
    WakeDetected,
)
from trayapp.osevents.polling import Polling
from trayapp.osevents.sources import native_sources

log = logging.getLogger(__name__)

AWAKE = 60.0  # s awake after which an unreported wake counts; maintenance wakes of a Mac last up to 55 s
DARK_WAKE_LIMIT = 1800.0  # s awake after which even a machine in DarkWake counts as in use: the gate must not stay shut
RESTART_PAUSES = (5.0, 30.0, 300.0)  # s until a source that ended is restarted; after the last it is given up
STABLE_AFTER = 60.0  # s; a source that ran this long gets all its restarts again
DEBOUNCE_SLACK = 0.001  # s beyond the debounce, so that the poll does not come a rounding error early


class Watch:
    """Belongs to the engine's loop. `request_poll` asks the engine to call `poll` soon; it must only post."""

    def __init__(
        self, request_poll: Callable[[], None], now: Callable[[], Moment], polling: Polling | None = None
    ) -> None:
        self._request_poll = request_poll
        self._now = now
        self._polling = polling or Polling()
        self._debounce = Debounce()
        self._timer: asyncio.TimerHandle | None = None
        self._pending: list[OsEvent] = []
        self._portal = False
        self._sources: list[Source] = []
        self._wake_owed_since: float | None = None  # by the `awake` clock: since when a report of the wake is missing
        self._logged: set[str] = set()

    @property
    def live(self) -> tuple[str, ...]:
        """The names of the sources whose messages are arriving."""
        return tuple(source.name for source in self._sources if source.live)

    @property
    def power(self) -> bool:
        """Whether a live source reports sleep and wake."""
        return any(source.power and source.live for source in self._sources)

    @property
    def network(self) -> bool:
        """Whether a live source reports network changes."""
        return any(source.network and source.live for source in self._sources)

    # --- listening ---------------------------------------------------------------------------------------------------

    async def run(self, found: Iterable[Source] | None = None) -> None:
        """Run all sources until cancelled."""
        self._sources = list(native_sources() if found is None else found)
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(self._supervise(source), name=f"listen to {source.name}")
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _supervise(self, source: Source) -> None:
        """Run a source, and restart it with growing pauses when it ends."""
        pauses = list(RESTART_PAUSES)
        while True:
            began = self._now().awake
            try:
                await source.run(lambda event: self.receive(event, power=source.power))
                self._log_once(f"{source.name} has nothing to tell")
            except OSError as error:
                self._log_once(f"{source.name} is not heard: {error}")
            except Exception:  # one failing source must not end the others (M13)
                log.exception("os events: %s failed", source.name)
            if self._now().awake - began > STABLE_AFTER:
                pauses = list(RESTART_PAUSES)
            if not pauses:
                return
            await asyncio.sleep(pauses.pop(0))

    def _log_once(self, sentence: str) -> None:
        """Log each sentence only once."""
        if sentence not in self._logged:
            self._logged.add(sentence)
            log.info("os events: %s; looking takes its place", sentence)

    def receive(self, event: OsEvent, *, power: bool = True) -> None:
        """Queue an event of a source, on this loop. `power`: the source is authoritative on sleep and wake."""
        if isinstance(event, NetworkChangeHint):
            self._on_network_hint()
        elif isinstance(event, WakeDetected) and not power and self.power:
            self._wake_owed_since = self._now().awake  # the authoritative source has not reported it yet
        else:
            self._pending.append(event)
            self._request_poll()

    def _on_network_hint(self) -> None:
        at = self._now().at
        self._debounce.hit(at)
        if self._timer is not None:
            self._timer.cancel()
        due = self._debounce.due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(due - at + DEBOUNCE_SLACK, self._request_poll)

    # --- polling -----------------------------------------------------------------------------------------------------

    def poll(self, now: Moment) -> list[OsEvent]:
        """What happened since the last call, in order, with at most one sleep or wake; the rest comes with the next."""
        events: list[OsEvent] = []
        for event in self._take_pending():
            match event:
                case PortalHint(suspected=suspected):
                    self._portal = suspected
                    reason = "a captive portal is suspected" if suspected else "no captive portal any more"
                    events.append(NetworkState(self._polling.offline, suspected, reasons=(reason,)))
                case SleepImminent():
                    self._wake_owed_since = now.awake
                    events.append(event)
                case WakeDetected():
                    self._wake_owed_since = None
                    events.append(event)
                case _:
                    events.append(event)
        already_woke = any(isinstance(event, WakeDetected) for event in events)
        for event in self._polling.poll(now, hinted=self._debounce.take(now.at)):
            match event:
                case NetworkState():
                    events.append(replace(event, portal=self._portal))
                case WakeDetected() if already_woke:
                    pass
                case WakeDetected() if self.power:
                    self._wake_owed_since = now.awake
                case _:
                    events.append(event)
        return [*events, *self._overdue_wake(now)]

    def _take_pending(self) -> list[OsEvent]:
        """The queued events up to and including the first sleep or wake."""
        boundaries = (
            number for number, event in enumerate(self._pending, 1) if isinstance(event, WakeDetected | SleepImminent)
        )
        end = next(boundaries, len(self._pending))
        taken, self._pending = self._pending[:end], self._pending[end:]
        if self._pending:
            self._request_poll()
        return taken

    def _overdue_wake(self, now: Moment) -> list[OsEvent]:
        """The wake that no source reported, once the machine has been awake long enough."""
        if self._wake_owed_since is None:
            return []
        awake = now.awake - self._wake_owed_since
        if awake < AWAKE or (awake < DARK_WAKE_LIMIT and self._in_dark_wake()):
            return []
        self._wake_owed_since = None
        log.info("os events: awake for %.0f s and nobody told of it; that is a wake", awake)
        return [WakeDetected()]

    def _in_dark_wake(self) -> bool:
        """Whether a source knows that the machine runs for maintenance only."""
        return any(
            isinstance(source, DarkWakeAware) and source.live and source.in_dark_wake() for source in self._sources
        )
