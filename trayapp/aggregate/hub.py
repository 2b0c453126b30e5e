"""All workloads as one: what is offered by which public name, whose it is, and who is asked for it.

A workload that begins to run is asked for its lists in the background, and whoever listens is told that they changed. A
list that is older than half a minute is asked for again before it is given out, as not every server tells of changes;
nobody waits long for that, and nobody at all for a workload that cannot answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError

from trayapp.aggregate import names
from trayapp.aggregate.backend import UpstreamSession
from trayapp.aggregate.feed import ProxyAccess
from trayapp.aggregate.listing import CachedListings, Listing, Thing, discover
from trayapp.aggregate.names import Owned
from trayapp.aggregate.states import Blocked, WorkloadRow, blocked, gone

AT_ONCE = 8  # workloads that are asked for their lists at the same time
FRESH = 30.0  # s that a list is given out without asking again
FAILED = 5.0  # s until a workload whose lists could not be had is asked again
FIRST = 8.0  # s that a client waits for lists that nobody has seen yet
RENEWED = 1.5  # s that it waits for newer ones
GATHER = 0.05  # s; changes that come together are told once

TOOLS, PROMPTS, RESOURCES = "tools", "prompts", "resources"
ALL = frozenset({TOOLS, PROMPTS, RESOURCES})
_CHANGES: dict[type, str] = {
    types.ToolListChangedNotification: TOOLS,
    types.PromptListChangedNotification: PROMPTS,
    types.ResourceListChangedNotification: RESOURCES,
}

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class ChangeListener:
    """Who is told: that lists changed, and what a server wrote into its log."""

    changed: Callable[[frozenset[str]], Awaitable[None]]
    logged: Callable[[str, types.LoggingMessageNotificationParams], Awaitable[None]]


class Hub:
    """`rows` is the feed's; `access` tells how a workload is reached."""

    def __init__(
        self,
        rows: dict[str, WorkloadRow],
        ready: asyncio.Event,
        access: Callable[[str], Awaitable[ProxyAccess]],
        kept: CachedListings,
        listener: ChangeListener,
    ) -> None:
        self._rows = rows
        self._ready = ready
        self._access = access
        self._kept = kept
        self._listener = listener
        self._backends: dict[str, UpstreamSession] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, float] = {}  # monotonic; when the lists could not be had
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._changes: set[str] = set()
        self._telling: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._level: types.LoggingLevel | None = None
        self._public: dict[str, dict[str, tuple[Owned, Thing]]] = {}  # by kind; made anew when something changed

    def changed(self, before: WorkloadRow | None, row: WorkloadRow | None) -> None:
        """The feed heard of a workload."""
        name = row.name if row is not None else before.name if before is not None else ""
        if row is None or before is None or before.url != row.url:
            self._public.clear()
        moved = before is not None and row is not None and before.url != row.url
        if row is None or moved:
            self._forget(name, for_good=row is None)
        if row is None:
            self._tell(ALL)
            return
        was_listed = before is not None and before.listed
        if was_listed != row.listed:
            self._tell(ALL)
        if row.status == "running" and (before is None or before.status != "running" or moved):
            self._failed.pop(name, None)
            self._look(name, tell=True)

    async def prune(self) -> None:
        """What was removed while nobody was here to hear of it is forgotten."""
        await self._ready.wait()
        for name in self._kept.by_name.keys() - self._rows.keys():
            self._kept.drop(name)

    async def close(self) -> None:
        """End every session."""
        for task in [*self._asking.values(), *self._jobs, *([self._telling] if self._telling else [])]:
            task.cancel()
        await asyncio.gather(*(backend.close() for backend in self._backends.values()), return_exceptions=True)

    # --- what there is -----------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Before a list is given out: have all that can be had soon."""
        await self._heard_of_all()
        now = time.monotonic()
        first: list[asyncio.Task[None]] = []
        newer: list[asyncio.Task[None]] = []
        for name, row in list(self._rows.items()):
            known = self._listing(name)
            if row.status != "running" or now - self._failed.get(name, -FAILED) < FAILED:
                continue
            if known is None:
                first.append(self._look(name))
            elif now - known.at > FRESH or known.at == 0:
                newer.append(self._look(name))
        if first:
            await asyncio.wait(first, timeout=FIRST)
        if newer:
            await asyncio.wait(newer, timeout=RENEWED)

    async def _heard_of_all(self) -> None:
        """A process that has just begun knows nobody yet."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST):
                await self._ready.wait()

    def things(self, kind: str, key: str) -> dict[str, tuple[Owned, Thing]]:
        """Everything of a kind (`tools`, `prompts`) by its public name, of every workload that was ever asked."""
        if (known := self._public.get(kind)) is not None:
            return known
        owned: dict[Owned, Thing] = {}
        for name in self._rows:
            if (listing := self._listing(name)) is not None:
                for thing in getattr(listing, kind):
                    owned[name, str(thing.get(key, ""))] = thing
        found = {public: (owner, owned[owner]) for public, owner in names.published(owned).items()}
        self._public[kind] = found
        return found

    def listed(self, kind: str) -> list[Thing]:
        """What clients are shown of tools or prompts, with their public names."""
        found = self.things(kind, "name").items()
        return [{**thing, "name": public} for public, ((name, _), thing) in found if self._rows[name].listed]

    def addressed(self, kind: str, key: str) -> list[Thing]:
        """What clients are shown of `resources` or `templates`, with their public addresses (`uri`, `uriTemplate`)."""
        return [
            {**thing, key: names.uri(name, str(thing.get(key, "")))}
            for name, row in self._rows.items()
            if row.listed and (listing := self._listing(name)) is not None
            for thing in getattr(listing, kind)
        ]

    async def find(self, kind: str, public: str) -> Owned:
        """Whose it is. Raises `Blocked` for what belongs to a workload that cannot be asked, `MCPError` for nobody's."""
        await self._heard_of_all()
        for attempt in (1, 2):
            if (found := self.things(kind, "name").get(public)) is not None:
                return found[0]
            if attempt == 1:
                await self._look_again(public)
        for row in self._meant(public):
            if (why := blocked(row, time.time())) is not None:
                raise Blocked(why)
        raise MCPError(types.INVALID_PARAMS, f"There is nothing named {public[:200]} here; list the {kind} again.")

    def find_resource(self, address: str) -> Owned:
        """Whose it is: by our prefix, or the one workload that lists this address. Raises `MCPError`."""
        if (found := names.of_uri(address)) is not None:
            return found
        owners = [
            name
            for name in self._rows
            if (listing := self._listing(name)) is not None
            and any(resource.get("uri") == address for resource in listing.resources)
        ]
        if len(owners) != 1:
            raise MCPError(types.INVALID_PARAMS, f"No resource, or several, with this address: {address[:200]}")
        return owners[0], address

    def summary(self) -> str:
        """For a language model: what these tools are, and which of them cannot be used now."""
        lines = [
            "Tools of several servers through Amberlight; each name begins with its server's. A call that cannot be "
            "made now returns an error that says how long to wait or what the user has to do.",
        ]
        for name, row in sorted(self._rows.items()):
            why = blocked(row, time.time())
            listing = self._kept.by_name.get(name)
            words = why.text if why is not None else (listing.instructions if listing is not None else "")
            lines.append(f"- {name}: {row.health}. {words[:2000]}".rstrip())
        return "\n".join(lines)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ask(self, name: str, request: types.ClientRequest, progress: ProgressFnT | None = None) -> dict[str, Any]:
        """One request to one workload. Raises `Blocked`, at once where it is known, or the server's `MCPError`."""
        await self._heard_of_all()
        row = self._rows.get(name)
        if row is None:
            raise Blocked(gone(name))
        if (why := blocked(row, time.time())) is not None:
            raise Blocked(why)
        return await self._backend(name).ask(request, progress)

    async def log_level(self, level: types.LoggingLevel) -> None:
        """The most talkative level that any client wants."""
        self._level = level
        await asyncio.gather(*(backend.level(level) for backend in self._backends.values()), return_exceptions=True)

    def _backend(self, name: str) -> UpstreamSession:
        if name not in self._backends:
            self._backends[name] = UpstreamSession(name, self._access, self._heard)
            self._backends[name].log_level = self._level
        return self._backends[name]

    async def _heard(self, name: str, message: types.ServerNotification) -> None:
        if isinstance(message, types.LoggingMessageNotification):
            await self._listener.logged(name, message.params)
        elif type(message) in _CHANGES:
            if name in self._asking:  # its answer may be older than the change
                await asyncio.wait([self._asking[name]])
            self._look(name, tell=True)

    def _listing(self, name: str) -> Listing | None:
        """What is known of it, if it is the same server still."""
        listing, row = self._kept.by_name.get(name), self._rows.get(name)
        return listing if listing is not None and row is not None and listing.url == row.url else None

    def _meant(self, public: str) -> Iterable[WorkloadRow]:
        """The workloads that a public name may belong to, the longest name first."""
        rows = [row for name, row in self._rows.items() if public.startswith(f"{name}_")]
        return sorted(rows, key=lambda row: -len(row.name))

    async def _look_again(self, public: str) -> None:
        """It may be new: ask those that it may belong to, unless their list is of this moment."""
        fresh = time.monotonic() - 1.0
        stale = [row.name for row in self._meant(public) if row.status == "running"]
        tasks = [self._look(name) for name in stale if (known := self._listing(name)) is None or known.at < fresh]
        if tasks:
            await asyncio.wait(tasks, timeout=FIRST)

    # --- asking for lists --------------------------------------------------------------------------------------------

    def _look(self, name: str, *, tell: bool = False) -> asyncio.Task[None]:
        """Ask a workload for its lists, or join who does; `tell`: clients hear of it though nothing changed."""
        if name not in self._asking:
            task = asyncio.create_task(self._discover(name, tell), name=f"lists of {name}")
            self._asking[name] = task
            task.add_done_callback(lambda done: self._asked(name, done))
        return self._asking[name]

    def _asked(self, name: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(name) is task:
            del self._asking[name]

    async def _discover(self, name: str, tell: bool) -> None:
        row = self._rows.get(name)
        if row is None:
            return
        async with self._slots:
            try:
                listing = await discover(self._backend(name), row.url)
            except (Blocked, MCPError) as error:
                log.info("%s: its lists could not be had (%s)", name, type(error).__name__)
                self._failed[name] = time.monotonic()
                return
            except Exception:
                log.exception("%s: its lists could not be had", name)
                self._failed[name] = time.monotonic()
                return
        if (now := self._rows.get(name)) is None or now.url != row.url:
            return
        different = self._kept.put(name, listing)
        if different:
            self._public.clear()
        if different or tell:
            self._tell(ALL)

    def _forget(self, name: str, *, for_good: bool) -> None:
        if (asking := self._asking.pop(name, None)) is not None:
            asking.cancel()
        self._failed.pop(name, None)
        if (backend := self._backends.pop(name, None)) is not None:
            self._job(backend.close())
        self._public.clear()
        if for_good:
            self._kept.drop(name)

    def _tell(self, kinds: Iterable[str]) -> None:
        self._changes.update(kinds)
        if self._telling is None:
            self._telling = asyncio.create_task(self._told(), name="tell of changed lists")

    async def _told(self) -> None:
        await asyncio.sleep(GATHER)
        kinds = frozenset(self._changes)
        self._changes.clear()
        self._telling = None
        await self._listener.changed(kinds)

    def _job(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
