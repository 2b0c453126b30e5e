"""The simulated laptop: its three clocks, its network, and what its operating system reports of them.

True time `t` is seconds since the world began and never stops. `at` counts sleep and restarts at a reboot, `awake` stops
in sleep, `wall` is whatever it was set to.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.simulation.network_plan import IN_THE_WAY
from trayapp.core.model import Moment
from trayapp.engine.ports import SystemChange
from trayapp.osevents.events import NetworkState
from trayapp.osevents.network import NetworkSnapshot
from trayapp.osevents.polling import READ_INTERVAL, Polling

EPOCH = 1_800_000_000.0  # s; the wall clock when the world begins
BOOTED = 20.0  # s; what the monotonic clocks show when the program can first look at them


@dataclass
class Clocks:
    """Three clocks over the loop's own."""

    loop: asyncio.AbstractEventLoop
    slept: float = 0.0
    stepped: float = 0.0
    booted_t: float = 0.0
    booted_awake: float = 0.0
    _kept: tuple[tuple[float, float, float], Moment] | None = None

    @property
    def t(self) -> float:
        """True time."""
        return self.loop.time() + self.slept

    def now(self) -> Moment:
        """The three clocks; asked several times at most instants, so the last answer is kept."""
        read = (self.loop.time(), self.slept, self.stepped)
        if self._kept is not None and self._kept[0] == read:
            return self._kept[1]
        t = self.t
        at, awake = t - self.booted_t + BOOTED, t - self.slept - self.booted_awake + BOOTED
        now = Moment(at, awake, EPOCH + t + self.stepped)
        self._kept = (read, now)
        return now

    def reboot(self) -> None:
        """The monotonic clocks start over."""
        self._kept = None
        self.booted_t, self.booted_awake = self.t, self.loop.time()


@dataclass
class Network:
    """The network between the laptop and the servers. A counter above zero means that this trouble is present."""

    place: int = 0
    down: int = 0  # no default route
    hinted: int = 0  # the kernel shows no default route although packets leave
    dns: int = 0  # names can't be resolved yet
    portals: list[str] = field(default_factory=list)  # html, redirect, tls
    vpn_down: int = 0
    epoch: int = 0  # connections of an older epoch are dead
    troubles: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # of network_plan.py
    hidden: str = ""  # one of these that keeps requests from succeeding

    @property
    def offline(self) -> bool:
        """Whether the kernel reports offline."""
        return self.down > 0 or self.hinted > 0

    def trouble(self, kind: str, target: str, *, over: bool) -> None:
        """A trouble that the operating system doesn't report begins or is over."""
        self.troubles[kind].remove(target) if over else self.troubles[kind].append(target)
        everywhere = (
            each for each in IN_THE_WAY if (found := self.troubles[each]) and (each != "tlshang" or "" in found)
        )
        self.hidden = next(everywhere, "")

    def hangs(self, host: str) -> bool:
        """Whether TLS handshakes with this server never end."""
        found = self.troubles["tlshang"]
        return bool(found) and ("" in found or host in found)

    def lies(self, how: str) -> bool:
        """Whether the resolver lies like this."""
        return how in self.troubles["lie"][-1:]

    def nat_forgets(self) -> float:
        """Seconds of silence after which a connection is forgotten on the way."""
        return min(map(float, self.troubles["nat"]), default=float("inf"))

    def snapshot(self) -> NetworkSnapshot:
        """The network as the operating system shows it."""
        if self.offline:
            return NetworkSnapshot()
        ways: tuple[str, ...] = (f"wlan0 10.{self.place}.0.1",)
        addresses: tuple[str, ...] = (f"wlan0 10.{self.place}.0.7/24",)
        if not self.vpn_down:
            ways, addresses = (*ways, "tun0 10.99.0.1"), (*addresses, "tun0 10.99.0.7/24")
        return NetworkSnapshot(ways, (), addresses, (), f"ns-{self.place}")


class Watcher:
    """The engine's watcher (`ports.Watcher`): the real polling, and native messages if the system sends any."""

    def __init__(self, network: Network, native: bool, told: Callable[[SystemChange], None]) -> None:
        self.native = native
        self._network = network
        self._on_noticed = told
        self._polling = Polling(network.snapshot, 0.0 if native else READ_INTERVAL)
        self._pending = SystemChange()

    def first(self, now: Moment) -> bool:
        """Whether the kernel reports offline at the start."""
        return any(isinstance(event, NetworkState) and event.offline for event in self._polling.poll(now))

    @property
    def network_changed(self) -> bool:
        """Whether the network has changed since the last poll."""
        return self._polling._snapshot != self._network.snapshot()

    def tell(self, message: SystemChange) -> None:
        """A native message."""
        sleep = (self._pending.sleep_soon or message.sleep_soon) and not message.woke
        self._pending = replace(
            self._pending,
            woke=self._pending.woke or message.woke,
            sleep_soon=sleep,
            network=self._pending.network or message.network,
            offline=message.offline if message.network else self._pending.offline,
        )

    announces_network = False

    def poll(self, now: Moment) -> SystemChange | None:
        seen, self._pending = self._pending, SystemChange()
        for event in self._polling.poll(now):
            if isinstance(event, NetworkState):
                seen = replace(seen, network=True, offline=event.offline)
            else:
                seen = replace(seen, woke=True)  # a jump of the clocks
        if seen == SystemChange():
            return None
        self._on_noticed(seen)
        return seen
