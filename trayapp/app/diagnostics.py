"""Health checks that only the running app can make, for `doctor`: keyring, state.db, network and event sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from trayapp.core.checks import Check, Report, keyring_check
from trayapp.core.external import GONE
from trayapp.core.gate import Gate
from trayapp.core.model import Moment, Trouble, Workload
from trayapp.core.outages import BY_COMMAND, fact, remedy
from trayapp.core.sentences import PROBLEMS, REMEDIES
from trayapp.core.snapshot import External, Snapshot
from trayapp.osevents.watch import Watch

EVENTS = "network and sleep"
POLLING = "polling"


class KeyringHealth(Protocol):
    """What the checks need of the keystore."""

    async def status(self) -> Trouble | None:
        """The keyring's problem now, if any."""
        ...

    async def describe(self) -> str:
        """Which keyring it is, in words."""
        ...


class EngineHealth(Protocol):
    """What the checks need of the engine."""

    @property
    def workloads(self) -> Mapping[str, Workload]: ...

    @property
    def gate(self) -> Gate: ...

    def snapshot(self) -> Snapshot: ...

    def now(self) -> Moment: ...


class Diagnostics:
    """Makes the report, on the engine's loop. `journal` says what is wrong with state.db, if anything.

    `others` are the checks of other programs that are watched, `urls` their workloads' full addresses, and `taken_over`
    has the `OWNER/NAME` of each workload of ours that took one's place.
    """

    def __init__(
        self,
        engine: EngineHealth,
        keyring: KeyringHealth,
        journal: Callable[[], Awaitable[str | None]],
        watch: Watch,
        warnings: Callable[[], Mapping[str, str]],
        tray: Callable[[], bool],
        others: Callable[[], Iterable[Check]] = tuple,
        urls: Callable[[], Mapping[str, str]] = dict,
        taken_over: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._journal = journal
        self._watch = watch
        self._warnings = warnings
        self._tray = tray
        self._others = others
        self._urls = urls
        self._taken_over = taken_over

    async def report(self) -> Report:
        """All checks, whether there is a tray icon, and the token endpoints by workload."""
        logins = {name: workload.login for name, workload in self._engine.workloads.items()}
        endpoints = {name: login.token_endpoint for name, login in logins.items() if login is not None}
        return Report(tuple(await self._checks()), self._tray(), endpoints)

    def sources(self) -> list[str]:
        """The event sources that report network and sleep now; polling is always among them."""
        return [*self._watch.live, POLLING]

    async def _checks(self) -> list[Check]:
        keyring = keyring_check(await self._keyring.status(), await self._keyring.describe())
        problem = await self._journal()
        state = Check("state", "ok", "state.db can be written.")
        if problem:
            state = Check("state", "warning", problem, "No login is lost. Check that the disk isn't full.")
        reason = self._engine.gate.reason(self._engine.now().at)
        network = Check("network", "ok", "Connected to a network.")
        if reason is not None:
            network = Check("network", "warning", PROBLEMS[reason], REMEDIES[reason])
        others = (Check("app", "warning", line) for topic, line in self._warnings().items() if topic != "keyring")
        return [self._port(), keyring, state, network, self._events(), *self._others(), *await self._twice(), *others]

    async def _twice(self) -> list[Check]:
        """A check for each server that another program runs while it's signed in here as well."""
        running = [view for view in self._engine.snapshot().external.values() if view.status not in GONE]
        if not running:
            return []
        from trayapp.clients.connections import comparable_url

        ours: dict[str, list[str]] = {}
        for name, each in self._engine.workloads.items():
            ours.setdefault(comparable_url(each.spec.url), []).append(name)
        urls, taken = self._urls(), await self._taken_over() if self._taken_over else {}
        checks = []
        for view in running:
            url = urls.get(view.name, "")
            # One that took another workload's place is probably for another account.
            same = [name for name in ours.get(comparable_url(url), ()) if taken.get(name, view.name) == view.name]
            if url and same and view.external is not None:
                checks.append(_twice_check(view.external, view.name, same[0]))
        return checks

    def _port(self) -> Check:
        """The check that clients can connect."""
        if (outage := self._engine.snapshot().outage) is None:
            return Check("port", "ok", "Clients can connect.")
        return Check("port", "problem", fact(outage), remedy(outage, how=BY_COMMAND))

    def _events(self) -> Check:
        """The check of how changes of network and sleep are noticed."""
        watch = self._watch
        if not watch.live:
            return Check(
                EVENTS,
                "warning",
                "This system doesn't announce them. Amberlight checks every 30 seconds.",
                "It may notice them up to 30 seconds late.",
            )
        sleep = "" if watch.power else " Sleep isn't announced on this system; a refresh in progress may be lost."
        return Check(EVENTS, "ok", f"Announced by {', '.join(watch.live)}.{sleep}")


def _twice_check(theirs: External, their_name: str, name: str) -> Check:
    text = f"{theirs.owner} runs {theirs.name}, and {name} keeps the same server signed in."
    remedy = f"Their logins are separate, so both work. To keep only {name}: amberlight take-over {their_name}"
    return Check(their_name.partition("/")[0], "warning", text, remedy)
