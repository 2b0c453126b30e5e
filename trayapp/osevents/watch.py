"""All that the operating system tells, as one: native sources while they live, looking beneath them, and when to look.

Sources emit into `heard`, which keeps the news and asks for a look; the engine then calls `poll`, and gets everything in
one list. Two judgements are made here for all systems. A burst of stirring makes one look at the network (`Debounce`).
And a sleep that only the clocks show counts at once where nobody tells of power events, but where somebody does, only
after a minute awake: a Mac that surfaces for seconds in the night (DarkWake) is asleep as far as people are concerned.
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

AWAKE = 60.0  # s awake after which a wake that nobody told of is one; maintenance wakes of a Mac last up to 55 s
DARK = 1800.0  # s awake after which even a machine that calls itself dark is in use: nothing waits for ever
AGAIN = (5.0, 30.0, 300.0)  # s until a source that ended is started anew; after the last it is left alone
LASTED = 60.0  # s; a source that worked so long has earned all its chances again
LATER = 0.001  # s beyond what the debounce asks for, so that the look does not come a rounding error early


class Watch:
    """Belongs to the engine's loop. `look` asks the engine to call `poll` soon; it must only post."""

    def __init__(self, look: Callable[[], None], now: Callable[[], Moment], polling: Polling | None = None) -> None:
        self._ask = look
        self._now = now
        self._polling = polling or Polling()
        self._debounce = Debounce()
        self._timer: asyncio.TimerHandle | None = None
        self._news: list[OsEvent] = []
        self._portal = False
        self._sources: list[Source] = []
        self._silent: float | None = None  # awake seconds since when a wake is owed to us
        self._said: set[str] = set()

    @property
    def live(self) -> tuple[str, ...]:
        """The names of the sources whose messages come."""
        return tuple(source.name for source in self._sources if source.live)

    @property
    def power(self) -> bool:
        """Whether somebody tells of sleep and wake now."""
        return any(source.power and source.live for source in self._sources)

    @property
    def network(self) -> bool:
        """Whether somebody tells of the network now."""
        return any(source.network and source.live for source in self._sources)

    # --- listening ---------------------------------------------------------------------------------------------------

    async def run(self, found: Iterable[Source] | None = None) -> None:
        """Listen to all sources until cancelled."""
        self._sources = list(native_sources() if found is None else found)
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(self._keep(source), name=f"listen to {source.name}")
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _keep(self, source: Source) -> None:
        """Run it, and again when it ends, with growing pauses."""
        pauses = list(AGAIN)
        while True:
            began = self._now().awake
            try:
                await source.run(lambda event: self.heard(event, power=source.power))
                self._say(f"{source.name} has nothing to tell")
            except OSError as error:
                self._say(f"{source.name} is not heard: {error}")
            except Exception:  # M13: one source must not end the others
                log.exception("os events: %s failed", source.name)
            if self._now().awake - began > LASTED:
                pauses = list(AGAIN)
            if not pauses:
                return
            await asyncio.sleep(pauses.pop(0))

    def _say(self, sentence: str) -> None:
        """Each once."""
        if sentence not in self._said:
            self._said.add(sentence)
            log.info("os events: %s; looking takes its place", sentence)

    def heard(self, event: OsEvent, *, power: bool = True) -> None:
        """A source's news, on this loop. `power`: it is one whose word on sleep and wake is the last."""
        if isinstance(event, NetworkChangeHint):
            self._stirred()
        elif isinstance(event, WakeDetected) and not power and self.power:
            self._silent = self._now().awake  # the one who knows has not said so yet
        else:
            self._news.append(event)
            self._ask()

    def _stirred(self) -> None:
        at = self._now().at
        self._debounce.hit(at)
        if self._timer is not None:
            self._timer.cancel()
        due = self._debounce.due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(due - at + LATER, self._ask)

    # --- looking -----------------------------------------------------------------------------------------------------

    def poll(self, now: Moment) -> list[OsEvent]:
        """What happened since the last call, in order, with at most one sleep or wake in it: the rest comes next time."""
        events: list[OsEvent] = []
        for event in self._next_news():
            match event:
                case PortalHint(suspected=suspected):
                    self._portal = suspected
                    reason = "a captive portal is suspected" if suspected else "no captive portal any more"
                    events.append(NetworkState(self._polling.offline, suspected, reasons=(reason,)))
                case SleepImminent():
                    self._silent = now.awake
                    events.append(event)
                case WakeDetected():
                    self._silent = None
                    events.append(event)
                case _:
                    events.append(event)
        woke = any(isinstance(event, WakeDetected) for event in events)
        for seen in self._polling.poll(now, stirred=self._debounce.take(now.at)):
            match seen:
                case NetworkState():
                    events.append(replace(seen, portal=self._portal))
                case WakeDetected() if woke:
                    pass
                case WakeDetected() if self.power:
                    self._silent = now.awake
                case _:
                    events.append(seen)
        return [*events, *self._owed(now)]

    def _next_news(self) -> list[OsEvent]:
        """The news up to the first sleep or wake."""
        turns = (
            number for number, event in enumerate(self._news, 1) if isinstance(event, WakeDetected | SleepImminent)
        )
        end = next(turns, len(self._news))
        news, self._news = self._news[:end], self._news[end:]
        if self._news:
            self._ask()
        return news

    def _owed(self, now: Moment) -> list[OsEvent]:
        """The wake that nobody told of, once we were awake for so long."""
        if self._silent is None:
            return []
        waited = now.awake - self._silent
        if waited < AWAKE or (waited < DARK and self._dark()):
            return []
        self._silent = None
        log.info("os events: awake for %.0f s and nobody told of it; that is a wake", waited)
        return [WakeDetected()]

    def _dark(self) -> bool:
        """Whether somebody knows that the machine runs for maintenance only."""
        return any(
            isinstance(source, DarkWakeAware) and source.live and source.in_dark_wake() for source in self._sources
        )
