"""Where lost logins come from: how the answer got lost, and what stood in the way while the server's grace lasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.truth import Call, Doubt, Truth

if TYPE_CHECKING:
    from tests.simulation.world import World

STRANDED = 20.0  # s of sleep that no connection survives

ENDED = "the program ended with the request in flight"
SLEPT = "the laptop slept with the request in flight"
MOVED = "the network changed with the request in flight"
ONE_WAY = "the network let the request pass, and not the answer"
FORGOTTEN = "a NAT had forgotten the connection"
BROKE_OFF = "the server's answer broke off or never came"
GATEWAY = "a gateway's error or a broken body in place of the answer"
SLOW = "the answer took longer than an attempt may"
UNSTORED = "a crash between answer and store"
UNSTORABLE = "the keyring failed, and the program ended"


class Obstacles:
    """What stands in each workload's way, and for how long of each grace."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world = world
        self._truths = truths
        self._since = 0.0
        self._kinds: dict[str, str] = {}

    def changed(self) -> None:
        """Something in the world changed: count what was until now."""
        t = self._world.clocks.t
        for name, truth in self._truths.items():
            kind = self._kinds.get(name, "")
            for doubt in truth.doubts.values():
                lasted = min(t, doubt.acted_t + doubt.grace) - max(self._since, doubt.acted_t)
                if lasted > 0.0:
                    doubt.blocked[kind] = doubt.blocked.get(kind, 0.0) + lasted
            self._kinds[name] = self._kind(truth)
        self._since = t

    def _kind(self, truth: Truth) -> str:
        world = self._world
        if world.asleep:
            return "asleep"
        if world.process is None:
            return "not running"
        if truth.paused:
            return "paused"
        net = world.network
        if net.down or net.dns or net.portals or net.hidden or (truth.server.vpn and net.vpn_down):
            return "no network"
        if world.keyring.troubled:
            return "keyring in trouble"
        return (
            "server in trouble" if truth.server.storms or truth.server.blunders or net.hangs(truth.server.host) else ""
        )


def fate(world: World, call: Call) -> str:
    """How a request without a complete answer ended."""
    if world.process is None:
        return ENDED
    if world.clocks.slept - call.slept > STRANDED:
        return SLEPT
    return MOVED if world.network.epoch != call.epoch else SLOW


def cause(truth: Truth, doubt: Doubt) -> str:
    """Why this login was lost, in one line."""
    how = doubt.call.fate or UNSTORED
    if doubt.grace <= 0.0:
        return f"{how}; no grace"
    kind, lasted = max(doubt.blocked.items(), key=lambda item: item[1], default=("", 0.0))
    return f"{how}; grace spent {kind}" if kind and lasted > doubt.grace / 2.0 else f"{how}; grace spent on retries"
