"""The events that every operating system reports, and what a source of them looks like. Values and protocols only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The network has changed. `digest` names its present state, `reasons` says in plain words what changed."""

    offline: bool  # the kernel has no default route or no global address
    portal: bool = False  # a hint only: something that probes the internet suspects a captive portal
    digest: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkChangeHint:
    """The network may have changed. What it was, and whether it matters, only a new snapshot shows (`network.py`)."""


@dataclass(frozen=True, slots=True)
class PortalHint:
    """A service that probes the internet suspects a captive portal, or no longer does."""

    suspected: bool


@dataclass(frozen=True, slots=True)
class WakeDetected:
    """The machine is awake after `slept` seconds of sleep (0: unknown), or an announced sleep was called off."""

    slept: float = 0.0


def _no_hold() -> None:
    """The default of `SleepImminent.done`: the source does not delay the sleep."""


@dataclass(frozen=True, slots=True)
class SleepImminent:
    """The machine is about to sleep. Call `done` from the loop as soon as no response is pending: it lets the sleep begin."""

    done: Callable[[], None] = field(default=_no_hold, compare=False)


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock was set, by so many seconds; positive is forward. It only hints that the machine may have slept."""

    by: float


OsEvent: TypeAlias = NetworkState | NetworkChangeHint | PortalHint | WakeDetected | SleepImminent | ClockStepped


class Source(Protocol):
    """A native source of events: it waits for the system's own messages and needs no timer."""

    @property
    def name(self) -> str: ...

    @property
    def power(self) -> bool:
        """Whether it reports every sleep and wake that concerns a person, so that its silence means something."""
        ...

    @property
    def network(self) -> bool:
        """Whether it reports every change of the network, so that frequent polling is unnecessary."""
        ...

    @property
    def live(self) -> bool:
        """Whether its messages are arriving now."""
        ...

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit events until cancelled. Raises `OSError` when the system stops reporting; polling continues."""
        ...


@runtime_checkable
class DarkWakeAware(Protocol):
    """A source that also knows DarkWake: the machine runs for maintenance, with nobody in front of it."""

    def in_dark_wake(self) -> bool: ...
