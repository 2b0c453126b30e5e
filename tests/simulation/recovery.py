"""Recovery deadlines: how soon a workload must run again once nothing is in its way (M8, M10), with every exception.

`due` is the instant (true time) by which it must be green. After an event (a network change, a wake, a start) that is ten
seconds after the network has settled. What no event reports (a server that recovers) is due within a tick.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trayapp.core.gate import SETTLE_UNSTEADY, SETTLE_UNSTEADY_MAX, STEADY, UNSTEADY
from trayapp.core.model import Series, Trigger
from trayapp.core.presentation import Colour
from trayapp.core.snapshot import Status, WorkloadView
from trayapp.engine.ports import SystemChange

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.truth import Truth
    from tests.simulation.world import World

PROMISE = 10.0  # s of settled network
LATE = 2.0  # s; the queue of M11 and the answer itself
TICK = 660.0 + 35.0 + PROMISE  # s; M4 with its jitter, and an attempt that is in flight and will fail
STEP = 60.0 + 5.0 + PROMISE  # s; the longest pause of M8: of the burst, or where a portal is suspected
DENSE = 5.0  # s after the network settled in which no pause of a burst is longer than 4.8 s
BURST = 30.0  # s after an event in which the burst is certainly in progress
KEYRING = 900.0 + 40.0 + PROMISE  # s; where no signal reports the unlock
UNSEEN = 40.0  # s awake; how long a change may go unnoticed where the system sends no message
SEEN = 5.0  # s; and where it does


class RecoveryDeadlines:
    """Holds for each workload the time by which it must be green, and fails the world when one is missed."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self.world = world
        self._truths = truths
        self.good_since: dict[str, float] = {}
        self.due: dict[str, float] = {}
        self.settles = float("-inf")  # true times
        self._restless = float("-inf")
        self._noticed_t = self._came_t = self._lost_t = float("-inf")
        self._was_offline = False  # as the program was told
        self.notices = 0  # changes that the engine has noticed, and when it noticed the latest
        self.notice_t = float("-inf")
        self.sleep_told = False
        self.closed_t: float | None = None  # since when the program believes that it is offline
        self._failed_t: dict[str, float] = {}
        self._keyring_until = float("-inf")  # it works again, and no signal reported that
        self._announced_changes = 0  # changes that the system reports

    # --- changes of the world ------------------------------------------------------------------------------------------

    def changed(self, why: str, *, told: bool = False, keyring: bool = False) -> None:
        """Something in the world changed; `told`: an event will report it to the program."""
        self.world.checks.obstacles.changed()
        self.world.checks.refusals.changed()
        if keyring and not told:  # whatever else is in the way: it is tried after its own pauses only
            self._keyring_until = self.world.clocks.t + KEYRING
        for name in self._truths:
            good = self.world.good(name)
            if not good:
                if name in self.good_since:
                    self.world.checks.before_bad(name)
                    del self.good_since[name]
                self.due.pop(name, None)
            elif name not in self.good_since:
                self.good_since[name] = self.world.clocks.t
                self.world.say(name, "nothing is in its way any more ({})", why)
                if not self._green(name):
                    self._set(name, self._allowed(name, why, told, keyring))
        if told:
            self._must_notice()

    def _allowed(self, name: str, why: str, told: bool, keyring: bool) -> float:
        t = self.world.clocks.t
        if keyring and told and self._waits_for_keyring(name):
            if self.closed_t is not None:
                return t + TICK + 600.0  # while the kernel reports offline, one attempt is made per tick (M10)
            return t + max(PROMISE, self.settles + PROMISE - t)
        return max(self._keyring_until, self._in_a_while(name, why, told))

    def _waits_for_keyring(self, name: str) -> bool:
        """Whether an unlock concerns it; otherwise it waits for something else."""
        process = self.world.process
        return process is not None and process.engine.workloads[name].keyring is not None

    def _in_a_while(self, name: str, why: str, told: bool) -> float:
        t = self.world.clocks.t
        arriving = why in ("dns", "portal", "routes", "lie", "tlshang") and t - self._noticed_t < BURST
        if not told and arriving and self.closed_t is None:
            # The first pauses of a series that an event began are shorter than the promise; a bad certificate looks like
            # a portal, which has the longest.
            hurried = t - self.settles < DENSE and self._hurries(name)
            return t + PROMISE + LATE if hurried and why in ("routes", "tlshang") else t + STEP
        return t + TICK  # shortened when the event is noticed

    def _hurries(self, name: str) -> bool:
        """Whether it is in the series of a nudge (M8) or of a token in doubt (M9)."""
        process = self.world.process
        return process is not None and process.engine.workloads[name].series in (Series.BURST, Series.AGAIN)

    def _must_notice(self) -> None:
        process = self.world.process
        if process is None:
            return
        limit = SEEN if self.world.native else UNSEEN
        self._announced_changes += 1
        asyncio.get_running_loop().call_later(limit, self._check_noticed, process.number, self._announced_changes)

    def _check_noticed(self, run: int, told: int) -> None:
        process = self.world.process
        if process is None or process.number != run or told != self._announced_changes:
            return
        if process.watcher.network_changed and not self.world.asleep:
            self.world.broke("", "noticed", "the machine changed, and the engine did not look")

    def started(self) -> None:
        """A new run of the program: it knows nothing of the machine yet, and nothing has to settle."""
        self.settles = self._restless = self._noticed_t = self._came_t = self._lost_t = float("-inf")
        self.sleep_told = False
        self.world.checks.preflight.ways.started()
        process = self.world.process
        gate = process.engine.gate if process else None
        self._was_offline = gate is not None and gate.offline
        self.closed_t = self.world.clocks.t if gate is not None and gate.offline else None
        self.good_since.clear()
        self.due.clear()
        self.changed("started")
        for name in self.due:
            if self.closed_t is None:
                self._set(name, self.world.clocks.t + PROMISE + LATE)

    def noticed(self, process: Process, seen: SystemChange) -> None:
        """The engine has noticed a change."""
        t = self.notice_t = self.world.clocks.t
        self.notices += 1
        self.world.checks.preflight.noticed(seen)
        if seen.sleep_soon:
            self.sleep_told = True
        if seen.woke:
            self.sleep_told = False
        if seen.network:
            offline = seen.offline or seen.portal
            self.closed_t = (self.closed_t if self.closed_t is not None else t) if offline else None
        if not (seen.woke or seen.network):
            return
        if t >= self.settles:
            self._restless = t
        gate = process.engine.gate
        settle, most = gate.settle, gate.settle_max
        if self._unsteady(t, seen, gate.settle):
            settle, most = max(settle, SETTLE_UNSTEADY), max(most, SETTLE_UNSTEADY_MAX)
        self.settles = min(t + settle, self._restless + most)
        self._noticed_t = t
        self.world.say("", "the engine sees {}", seen)
        for name in self.good_since:
            # A new network does not help a workload that waits for the keyring: that has its own pauses.
            keyring = process.engine.workloads[name].keyring is not None and not seen.woke
            if not self._green(name) and not keyring:
                # Where the kernel reports offline although packets leave, one attempt per tick finds out (M10).
                self._set(name, self.settles + PROMISE if self.closed_t is None else t + TICK + 600.0)

    def _unsteady(self, t: float, seen: SystemChange, settle: float) -> bool:
        """Whether a network was lost soon after it came, and not long ago (M10)."""
        if seen.network:
            if seen.offline and settle <= t - self._came_t < STEADY:
                self._lost_t = t
            if seen.offline:
                self._came_t = float("-inf")
            elif self._was_offline:
                self._came_t = t
            self._was_offline = seen.offline
        return t - self._lost_t < UNSTEADY

    def answer_lost(self, name: str) -> None:
        """An answer was lost, or a token rejected, while nothing else was wrong: no event will report the end of that."""
        if name in self.good_since:
            self.world.checks.before_bad(name)
            self.good_since[name] = self.world.clocks.t
        self.failed(name, self.world.clocks.t)

    def failed(self, name: str, began: float) -> None:
        """An attempt that began while nothing was in its way failed; the rules say when the next one comes."""
        if began >= self.good_since.get(name, float("inf")):
            self._failed_t[name] = self.world.clocks.t

    def connections_lost(self) -> None:
        """All open connections died, but new ones work."""
        for name in self.good_since:
            self.world.checks.before_bad(name)
            self.good_since[name] = self.world.clocks.t
            if not self._green(name):
                self._set(name, max(self._keyring_until, self.world.clocks.t + TICK))

    # --- checking the deadlines ----------------------------------------------------------------------------------------

    def view_derived(self, name: str, view: WorkloadView) -> None:
        """The engine has just derived this view."""
        if view.status is Status.RUNNING and view.colour is Colour.GREEN:
            self.due.pop(name, None)
        elif name in self.good_since and name not in self.due:
            self._set(name, self.world.clocks.t + TICK)  # its token ended, or was rejected, after a failed attempt

    def _green(self, name: str) -> bool:
        process = self.world.process
        view = process.engine.view_of(name) if process else None
        return view is not None and view.status is Status.RUNNING and view.colour is Colour.GREEN

    def _set(self, name: str, due: float) -> None:
        self.due[name] = due
        delay = max(0.0, due - self.world.clocks.t)
        asyncio.get_running_loop().call_later(delay + 0.01, self._check, name, due)

    def _check(self, name: str, due: float) -> None:
        if self.due.get(name) != due or name not in self.good_since:
            return
        if self._green(name) or not self.world.good(name):
            del self.due[name]
            return
        later = self._excuse(name)
        if later is None:
            view = self.world.process.engine.view_of(name) if self.world.process else None
            word = f"{view.status} {view.auth.detail}" if view else "unknown"
            waited = self.world.clocks.t - self.good_since[name]
            self.world.broke(name, "recovery", f"nothing has been in its way for {waited:.0f} s, and it is {word}")
        elif later == float("inf"):
            del self.due[name]
        else:
            self._set(name, later)

    def _excuse(self, name: str) -> float | None:
        """Until when the rules themselves delay it; None if they do not."""
        t, truth, good = self.world.clocks.t, self._truths[name], self.good_since[name]
        process = self.world.process
        assert process is not None
        w = process.engine.workloads[name]
        # An attempt that was in flight when the trouble ended is waited for (M11), also if it is another workload's of
        # the same server, as its result counts here as well (M8).
        neighbours = [each for each in self._truths.values() if each.server is truth.server]
        if any(each.flying is not None and each.flying.t < good for each in neighbours):
            return t + 1.0
        for last in [each.calls[-1] for each in neighbours if each.calls]:
            if last.t < good <= (last.ended or t) and t <= (last.ended or t) + PROMISE + LATE:
                return (last.ended or t) + PROMISE + LATE + 0.1
        if t < (free := self.world.checks.preflight.ways.free_at(truth, good)):
            return free + 0.1
        if self.sleep_told:
            return t + TICK  # sleep is imminent, so nothing leaves (M10); the wake sets another deadline
        if truth.flying is not None and t - truth.flying.t < LATE + 36.0:
            return t + 1.0  # its server is slow
        if truth.asked_by == process.number and truth.not_before > t:
            return truth.not_before + PROMISE  # M12
        if truth.asked_by == process.number and t < truth.not_before + PROMISE:
            return truth.not_before + PROMISE
        opens = self.world.checks.preflight.opens_at(truth.server.host)
        if t < opens + PROMISE + LATE:
            return opens + PROMISE + LATE + 0.1  # M8's limit of attempts that sent nothing
        recent = [c.t for c in truth.calls if c.run == process.number and c.trigger is not Trigger.MANUAL and c.sent]
        if len(recent) >= 15 and t < recent[-15] + 600.0 + PROMISE:
            return recent[-15] + 600.0 + PROMISE + 0.1  # M8's limit of attempts
        failed = self._failed_t.get(name, float("-inf"))
        if failed >= good and t < failed + TICK:
            return failed + TICK + 0.1  # its answer was lost, or came from a trouble that has ended since
        if w.failing is not None and w.failing.gave_up:
            return float("inf")  # after the ceiling only an event or a person causes an attempt (M7)
        if w.strikes >= w.spec.policy.strikes and t < good + 600.0 + TICK:
            return good + 600.0 + TICK + 0.1  # M18
        return None
