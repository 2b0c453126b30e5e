"""The gate (M10): whether an attempt may leave now. One for all workloads, kept by the engine, decided here.

Offline is the kernel's word; a portal is only a hint. A workload on a loopback endpoint is held by sleep alone. The
keyring is each workload's own matter and not part of this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trayapp.core.snapshot import Detail

SETTLE = 3.0  # s of quiet after a network change or a wake: DNS and DHCP need about so long (FIELD.md, tailscale: 1 s)
SETTLE_MAX = 15.0  # s; a network that never rests must not hold attempts back for ever


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known of machine and network. Times are `.at` seconds."""

    sleeping: bool = False
    offline: bool = False
    portal: bool = False
    changed_at: float | None = None  # the latest change or wake, until settled
    unsettled_since: float | None = None  # the first of the changes that have not settled yet
    closed_since: float | None = None  # offline, portal or asleep since then; settling does not count
    settle: float = SETTLE
    settle_max: float = SETTLE_MAX

    def settles_at(self) -> float | None:
        """When the current restlessness ends, if nothing else happens."""
        if self.changed_at is None or self.unsettled_since is None:
            return None
        return min(self.changed_at + self.settle, self.unsettled_since + self.settle_max)

    def reason(self, at: float, loopback: bool = False) -> Detail | None:
        """Why nothing may leave at this instant; None when the gate is open."""
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
        """Closed by something that no deadline opens."""
        return self.sleeping or (not loopback and (self.offline or self.portal))

    def opens_at(self, at: float, loopback: bool = False) -> float | None:
        """The instant from which attempts may leave; `at` itself when open; None when only an event can open it."""
        if self.blocked(loopback):
            return None
        settles = None if loopback else self.settles_at()
        return at if settles is None else max(at, settles)


def _unsettled(gate: Gate, at: float) -> Gate:
    settles = gate.settles_at()
    fresh = settles is None or at >= settles
    return replace(gate, changed_at=at, unsettled_since=at if fresh else gate.unsettled_since)


def _with_closed_since(gate: Gate, at: float) -> Gate:
    """Keep `closed_since` true to the three hard reasons."""
    if gate.blocked():
        return gate if gate.closed_since is not None else replace(gate, closed_since=at)
    return replace(gate, closed_since=None)


def with_settling_times(gate: Gate, settle: float, settle_max: float) -> Gate:
    """The same gate with other settling times."""
    return replace(gate, settle=settle, settle_max=settle_max)


def network(gate: Gate, at: float, *, offline: bool, portal: bool = False) -> Gate:
    """The network changed: it is online, offline or behind a portal now."""
    return _with_closed_since(_unsettled(replace(gate, offline=offline, portal=portal), at), at)


def woke(gate: Gate, at: float) -> Gate:
    """The machine woke up, or its sleep was called off."""
    return _with_closed_since(_unsettled(replace(gate, sleeping=False), at), at)


def sleep_soon(gate: Gate, at: float) -> Gate:
    """The machine is about to sleep."""
    return _with_closed_since(replace(gate, sleeping=True), at)


def answered(gate: Gate, at: float) -> Gate:
    """A server answered, whatever the kernel or a hint says: the network carries (M10)."""
    if not (gate.offline or gate.portal):
        return gate
    return _with_closed_since(replace(gate, offline=False, portal=False), at)
