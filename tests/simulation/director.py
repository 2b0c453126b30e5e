"""The director: carries out the plan, while the laptop is awake and while it sleeps.

During a sleep, time passes only in the world: the loop, which is the laptop's, stands still.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

from tests.simulation import login_plan
from tests.simulation.network_plan import IN_THE_WAY, KINDS, LASTING
from tests.simulation.plan import PlannedEvent
from trayapp.core.presentation import Verb
from trayapp.engine.ports import SystemChange

if TYPE_CHECKING:
    from tests.simulation.world import World

STRANDED = 20.0  # s of sleep that no connection survives


class Director:
    """Carries out planned events in order, and adds the ends of those that last."""

    def __init__(self, world: World) -> None:
        self.w = world
        self.well_since = float("-inf")  # true time of the keyring's latest change
        self._numbers = itertools.count()
        self._agenda: list[tuple[float, int, PlannedEvent]] = []
        self._unplanned: list[PlannedEvent] = []
        for event in world.plan.events:
            self._later(event)

    def quiet_for(self) -> float:
        """Seconds until something may happen next."""
        armed = self.w.network.troubles["midway"] or self.w.network.troubles["roam"]
        if armed and any(truth.flying is not None for truth in self.w.checks.truths.values()):
            return 0.0
        soon = min((event.t - self.w.clocks.t for event in self._unplanned), default=float("inf"))
        return min(max(soon, 0.0), self._until_planned())

    def _until_planned(self) -> float:
        return self._agenda[0][0] - self.w.clocks.t if self._agenda else float("inf")

    def _later(self, event: PlannedEvent) -> None:
        heapq.heappush(self._agenda, (event.t, next(self._numbers), event))

    def soon(self, delay: float, what: str) -> None:
        """Let something happen to the network that isn't in the plan."""
        event = PlannedEvent(self.w.clocks.t + delay, what)
        self._unplanned.append(event)
        asyncio.get_running_loop().call_later(delay, self._happens_now, event)

    def _happens_now(self, event: PlannedEvent) -> None:
        self._unplanned.remove(event)
        self.happen(event)

    async def run(self) -> None:
        """Run until the plan is over."""
        while self._agenda:
            wait = self._until_planned()
            if self.w.clocks.t + wait > self.w.plan.days:
                return
            if wait > 0.0:
                await asyncio.sleep(max(wait, 1e-4))
                continue  # an event that was added meanwhile may come first
            _, _, event = heapq.heappop(self._agenda)
            if event.what == "sleep":
                await self._sleep(event)
            else:
                self.happen(event)

    async def _sleep(self, event: PlannedEvent) -> None:
        end = event.t + event.duration
        dark = event.target == "dark"
        if self.w.native and self.w.process is not None:
            self.w.process.watcher.tell(SystemChange(sleep_soon=True))
            self.w.process.engine.set_app_fields()
            await asyncio.sleep(self.w.rng.uniform(0.1, 4.0))
        self.w.online()
        self.w.asleep = True
        began = self.w.clocks.t
        self.w.say("", "asleep for {:.0f} s", end - began)
        self.w.changes += 1
        self.w.checks.recovery.changed("asleep")
        for handle, act in list(self.w.acts.values()):
            handle.cancel()
            act()
        while self._agenda and self._agenda[0][0] <= end:
            t, _, meanwhile = heapq.heappop(self._agenda)
            if meanwhile.what == "sleep":
                end = max(end, meanwhile.t + meanwhile.duration)
                continue
            self.w.clocks.slept += max(0.0, t - self.w.clocks.t)
            self.happen(meanwhile)
        self.w.clocks.slept += max(0.0, end - self.w.clocks.t)
        if self.w.clocks.t - began > STRANDED:
            self.w.network.epoch += 1
        if dark and self.w.rng.random() < 0.5:
            self.w.network.down += 1
            self._later(PlannedEvent(self.w.clocks.t + 50.0, "link down over"))
        self.w.asleep = False
        self.w.say("", "awake{}{}", " in the dark" if dark else "", ", offline" if self.w.network.offline else "")
        self.w.checks.recovery.changed("awake", told=True)
        self._poke()

    def _poke(self) -> None:
        """Send a native message, which makes the engine poll."""
        process = self.w.process
        if self.w.native and process is not None:
            process.watcher.tell(
                SystemChange(woke=True) if self.w.checks.recovery.sleep_told and not self.w.asleep else SystemChange()
            )
            process.engine.set_app_fields()

    def happen(self, h: PlannedEvent) -> None:
        """Carry out one event."""
        self.w.online()
        self.w.say(
            h.target if h.target.startswith("w") else "",
            "{} {}{}",
            h.what,
            h.target,
            f" for {h.duration:.0f} s" if h.duration else "",
        )
        what, _, rest = h.what.partition(" ")
        over = h.what.endswith(" over")
        if h.duration and what in (
            "link",
            "dns",
            "portal",
            "vpn",
            "hint",
            "storm",
            "keyring",
            "disk",
            "pause",
            *LASTING,
            *login_plan.LASTING,
        ):
            self._later(PlannedEvent(h.t + h.duration, h.what + " over", 0.0, h.target))
        match what:
            case "move" | "link" | "dns" | "portal" | "vpn" | "hint":
                self._network(what, over, h.target)
            case _ if what in login_plan.EVENTS:
                self._login(what, h.target, over)
            case _ if what in KINDS:
                self.w.network.trouble(what, h.target, over=over)
                if what in IN_THE_WAY:
                    self.w.checks.recovery.changed(what)
            case "storm":
                host, kind = h.target.split()
                storms = next(server for server in self.w.servers if server.host == host).storms
                storms.remove(kind) if over else storms.append(kind)
                self.w.checks.recovery.changed(h.what)
            case "keyring":
                self._keyring(rest.removesuffix(" over"), over)
            case "disk":
                self._disk(rest.removesuffix(" over"), over)
            case "clock":
                self.w.clocks.stepped += h.duration * self.w.rng.choice((-1.0, 1.0))
            case "fuse":
                self.w.crash_countdown, self.w.crash_away = int(h.target), h.duration
            case "crash" | "quit" | "reboot":
                self.w.end(h)
            case _:
                self._concerning(h, over)

    def _network(self, what: str, over: bool, target: str) -> None:
        net, before = self.w.network, self.w.network.snapshot()
        step = -1 if over else 1
        match what:
            case "move":
                net.place += 1
            case "link":
                net.down = max(0, net.down + step)
            case "dns":
                net.dns += step
            case "portal":
                net.portals.remove(target) if over else net.portals.append(target)
            case "vpn":
                net.vpn_down += step
            case _:
                net.hinted += step
        told = net.snapshot() != before
        if what in ("move", "vpn") or (what == "link" and not over):
            net.epoch += 1
            self.w.checks.recovery.connections_lost()
        if told:
            self.w.changes += 1
        self.w.checks.recovery.changed(what, told=told)
        if told and self.w.native:
            asyncio.get_running_loop().call_later(0.25, self._poke)

    def _keyring(self, kind: str, over: bool) -> None:
        keyring = self.w.keyring
        setattr(keyring, kind, getattr(keyring, kind) + (-1 if over else 1))
        (keyring.free.clear if keyring.hang else keyring.free.set)()
        signal = over and kind in ("lock", "hang") and self.w.signals
        self.w.checks.recovery.changed(f"keyring {kind}", told=signal, keyring=True)
        if over and not keyring.troubled:
            process = self.w.process
            wait = 15.0 if signal else 960.0  # the longest pause of core/storing.py
            if process is not None:
                asyncio.get_running_loop().call_later(wait, self._all_stored, process.number, self.w.clocks.t)
        self.well_since = self.w.clocks.t
        if signal and self.w.process is not None:
            self.w.process.task("the keyring is up", self.w.process.engine.keyring_up())

    def _all_stored(self, run: int, since: float) -> None:
        process = self.w.process
        if process is not None and process.number == run and not self.w.keyring.troubled and self.well_since == since:
            self.w.checks.kept_in_memory(process)

    def _disk(self, kind: str, over: bool) -> None:
        setattr(self.w.disk, kind, getattr(self.w.disk, kind) + (-1 if over else 1))
        (self.w.disk.free.clear if self.w.disk.hang else self.w.disk.free.set)()
        self.w.disk.lost_at = self.w.clocks.t
        self.w.checks.recovery.changed(f"disk {kind}")

    def _login(self, what: str, target: str, over: bool) -> None:
        """Carry out an event of `login_plan.py`."""
        who, _, how = target.partition(" ")
        server = next((server for server in self.w.servers if server.host == who), None)
        truth = self.w.checks.truths.get(who)
        match what:
            case "err" if server is not None:
                server.errs_next.append(target)
                return
            case "forget" if server is not None:
                server.forgotten.remove(int(how)) if over else server.forgotten.append(int(how))
            case "blunder" if server is not None:
                server.blunders.remove(how) if over else server.blunders.append(how)
            case "stepup" if truth is not None:
                truth.wants.remove(how) if over else truth.wants.append(how)
            case "err" if truth is not None:
                truth.errs.remove(how) if over else truth.errs.append(how)
            case "withdraw" if truth is not None and not truth.server.renews:
                truth.family.dead_access.update(truth.family.access)
            case _:
                return
        self.w.checks.recovery.changed(what)

    def _concerning(self, h: PlannedEvent, over: bool) -> None:
        """Carry out an event that concerns one workload."""
        truth = self.w.checks.truths[h.target]
        match h.what:
            case "revoke":
                if self.w.rng.random() < 0.5:
                    truth.family.alive, truth.family.ended = False, "revoked"
                    self.w.checks.recovery.changed("revoked")
            case "upstream":
                truth.family.dead_access.update(truth.family.access)
            case "retry now":
                truth.person_asked_t = self.w.clocks.t
                self.w.click(Verb.RETRY, h.target)
                self.w.checks.refusals.asked_for(h.target)
                self.w.checks.access_only.asked_for(truth)
            case "pause" | "pause over":
                truth.paused = not over
                truth.person_asked_t = self.w.clocks.t
                self.w.click(Verb.RESUME if over else Verb.PAUSE, h.target)
                self.w.checks.recovery.changed(h.what)
            case "sign in unasked":
                self.w.click(Verb.REAUTHORIZE, h.target)
            case _:
                raise AssertionError(h)
