"""What the operating system tells: network, sleep and clock. A backend here holds the OS call and no judgement.

Every backend makes the same few events and hands them to `emit`, which only posts. What counts as a change is decided
in `network.py` for all of them, what a jump of the clocks means in `clocks.py`, and what follows from an event (settling,
bursts, the gate) in the core. `polling.py` is always there, beneath any native backend: it needs nothing from the system
but files and sockets, and it notices what a native source missed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, TypeAlias, cast, runtime_checkable

log = logging.getLogger(__name__)

QUIET = 0.25  # s without a further message; one change of a link makes a burst of 5 to 10 (tailscale waits as long)
QUIET_MAX = 2.0  # s; a network that never rests is reported all the same


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The network is different now. `digest` names the state it is in, `reasons` what changed, in plain words."""

    offline: bool  # the kernel has no default route or no global address
    portal: bool = False  # a hint only: somebody thinks that a captive portal is in the way
    digest: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkStirred:
    """Something moved in the network. What it was, and whether it matters, only a look can tell (`network.py`)."""


@dataclass(frozen=True, slots=True)
class PortalHint:
    """Somebody who probes the internet thinks that a captive portal is in the way, or no longer."""

    there: bool


@dataclass(frozen=True, slots=True)
class WakeDetected:
    """The machine slept for so many seconds (0: not known) and is awake again, or its sleep was called off."""

    slept: float = 0.0


def _nothing() -> None:
    """Nobody holds the sleep up."""


@dataclass(frozen=True, slots=True)
class SleepImminent:
    """The machine is about to sleep. `done` lets it: call it once no answer is awaited any more, from the loop."""

    done: Callable[[], None] = field(default=_nothing, compare=False)


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """Somebody set the wall clock; positive is forward. A hint that the machine may have slept, and no more."""

    by: float


OsEvent: TypeAlias = NetworkState | NetworkStirred | PortalHint | WakeDetected | SleepImminent | ClockStepped


class Source(Protocol):
    """A native backend: it waits for the system's own messages and needs no timer."""

    @property
    def name(self) -> str: ...

    @property
    def power(self) -> bool:
        """Whether it tells of every sleep and wake that concerns a person, so that silence means something."""
        ...

    @property
    def network(self) -> bool:
        """Whether it tells of every change of the network, so that nobody has to look often."""
        ...

    @property
    def live(self) -> bool:
        """Whether its messages come now."""
        ...

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled. Ends by `OSError` if the system stops telling; the polling goes on."""
        ...


@runtime_checkable
class DarkWakeAware(Protocol):
    """A source that can also tell whether the machine runs with nobody before it: DarkWake."""

    def dark(self) -> bool: ...


class Debounce:
    """Many messages, one event: due after `quiet` seconds without a further one, or `longest` after the first.

    It is told the time and has no timer; its owner asks `due` and comes back then.
    """

    def __init__(self, quiet: float = QUIET, longest: float = QUIET_MAX) -> None:
        self._quiet = quiet
        self._longest = longest
        self._first: float | None = None
        self._last = 0.0

    def hit(self, at: float) -> None:
        """A message came."""
        self._first = at if self._first is None else self._first
        self._last = at

    def due(self) -> float | None:
        """When the event is to be made; None when there is nothing to tell."""
        return None if self._first is None else min(self._last + self._quiet, self._first + self._longest)

    def take(self, at: float) -> bool:
        """Whether the event is due; it is then taken as made."""
        due = self.due()
        if due is None or at < due:
            return False
        self._first = None
        return True


Backend: TypeAlias = Callable[[], Source]


def _lazily(module: str, name: str) -> Backend:
    """The backend of a file of its own, imported when it is made: nobody loads what only another system has."""

    def make() -> Source:
        return cast(Backend, getattr(import_module(f"trayapp.osevents.{module}"), name))()

    return make


NATIVE: Mapping[str, tuple[Backend, ...]] = {  # by the beginning of `sys.platform`
    "linux": (
        _lazily("linux", "RtNetlink"),
        _lazily("linux", "Logind"),
        _lazily("linux", "Timerfd"),
        _lazily("linux", "NetworkManager"),
    ),
    "darwin": (_lazily("macos", "MacNetwork"), _lazily("macos", "MacPower")),
    "win32": (_lazily("windows", "WindowsNetwork"), _lazily("windows", "WindowsPower")),
}


def sources(platform: str = sys.platform, native: Mapping[str, tuple[Backend, ...]] = NATIVE) -> list[Source]:
    """The native sources that work here. Where one is missing the log says why, and polling does its job."""
    backends = [backend for system, made in native.items() if platform.startswith(system) for backend in made]
    if not backends:
        log.info("os events: no native source for %s; polling notices changes within 30 s", platform)
    found: list[Source] = []
    for backend in backends:
        try:
            found.append(backend())
        except (OSError, ImportError) as error:
            log.warning("os events: a native source is not available (%s); polling takes its place", error)
    return found
