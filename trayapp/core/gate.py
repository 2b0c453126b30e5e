"""The gate (M10): whether attempts may leave this machine now, given sleep, network and settling.

There is one gate for all workloads; the engine keeps it, this module decides. Offline is the kernel's word; a portal is
only a hint. Endpoints on this machine are held back by sleep only. Keyring trouble is per workload and not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trayapp.core.snapshot import Detail

SETTLE = 0.25  # s of quiet after a network change or wake; a network that isn't there yet costs no token (M8)
SETTLE_MAX = 2.0  # s; a network that never settles must not hold attempts back for ever
STEADY = 5.0  # s; a network lost sooner after it came isn't steady: a request and its answer may not get through
UNSTEADY = 30.0  # s; how long that holds
SETTLE_UNSTEADY = 3.0  # s; instead of `settle`, at least
SETTLE_UNSTEADY_MAX = 15.0  # s; instead of `settle_max`, at least


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known about machine and network. Times are seconds on the clock `at`."""

    sleeping: bool = False
    offline: bool = False
    portal: bool = False
    disproved: bool = False  # the system last said offline, and a server has answered since
    changed_at: float | None = None  # the latest change or wake, until settled
    unsettled_since: float | None = None  # the first change that hasn't settled yet
    closed_since: float | None = None  # offline, portal or asleep since then; settling doesn't count
    came_at: float | None = None  # when the network was last reported to be there again; None: before this run, or gone
    lost_at: float | None = None  # when a network that had settled was last lost within `STEADY` of its coming
    settle: float = SETTLE
    settle_max: float = SETTLE_MAX

    def settles_at(self) -> float | None:
        """When the network counts as settled, if nothing else happens."""
        if self.changed_at is None or self.unsettled_since is None:
            return None
        settle, settle_max = self.settle, self.settle_max
        if self.lost_at is not None and self.changed_at - self.lost_at < UNSTEADY:
            settle, settle_max = max(settle, SETTLE_UNSTEADY), max(settle_max, SETTLE_UNSTEADY_MAX)
        return min(self.changed_at + settle, self.unsettled_since + settle_max)

    def reason(self, at: float, loopback: bool = False) -> Detail | None:
        """Why no attempt may leave at this instant; None if the gate is open."""
        if self.sleeping:
            return Detail.SLEEPING
        if loopback:
            return None
        if self.portal:
            return Detail.PORTAL
        if self.offline:
            return Detail.OFFLINE
        settles = self.settles_at()
        return Detail.SETTLING if settles is not None and at < settles else None

    def blocked(self, loopback: bool = False) -> bool:
        """Whether it is closed by something that only an event ends: sleep, offline, portal."""
        return self.sleeping or (not loopback and (self.offline or self.portal))

    def opens_at(self, at: float, loopback: bool = False) -> float | None:
        """The instant from which attempts may leave, at least `at`; None if only an event can open the gate."""
        if self.blocked(loopback):
            return None
        settles = None if loopback else self.settles_at()
        return at if settles is None else max(at, settles)


def _unsettled(gate: Gate, at: float) -> Gate:
    """A change at `at`; one that comes before the last has settled prolongs the wait."""
    settles = gate.settles_at()
    fresh = settles is None or at >= settles
    return replace(gate, changed_at=at, unsettled_since=at if fresh else gate.unsettled_since)


def _with_closed_since(gate: Gate, at: float) -> Gate:
    """The gate with `closed_since` brought up to date."""
    if gate.blocked():
        return gate if gate.closed_since is not None else replace(gate, closed_since=at)
    return replace(gate, closed_since=None)


def with_settling_times(gate: Gate, settle: float, settle_max: float) -> Gate:
    """The same gate with other settling times, from `[settings]`."""
    return replace(gate, settle=settle, settle_max=settle_max)


def network(gate: Gate, at: float, *, offline: bool, portal: bool = False) -> Gate:
    """The network changed: it is now online, offline or behind a portal."""
    came_at = None if offline else at if gate.offline or gate.disproved else gate.came_at
    # A loss before it has settled is one more message of the same storm: nothing was sent in between.
    lost = offline and gate.came_at is not None and gate.settle <= at - gate.came_at < STEADY
    changed = _unsettled(replace(gate, offline=offline, portal=portal, disproved=False, came_at=came_at), at)
    return _with_closed_since(replace(changed, lost_at=at) if lost else changed, at)


def woke(gate: Gate, at: float) -> Gate:
    """The machine woke up, or its sleep was called off."""
    return _with_closed_since(_unsettled(replace(gate, sleeping=False), at), at)


def sleep_soon(gate: Gate, at: float) -> Gate:
    """The machine is about to sleep."""
    return _with_closed_since(replace(gate, sleeping=True), at)


def answered(gate: Gate, at: float) -> Gate:
    """A server answered, so the network works, whatever kernel and hints say (M10)."""
    if not (gate.offline or gate.portal):
        return gate
    disproved = gate.disproved or gate.offline
    return _with_closed_since(replace(gate, offline=False, portal=False, disproved=disproved, came_at=None), at)
