"""All workloads as one: which tools, prompts and resources exist under which public names, and who is asked for them.

When a workload begins to run, its lists are fetched in the background and clients are notified of the change. A list
older than half a minute is fetched again before it is returned, because not every server announces changes. No client
waits long for that. A workload that can't be asked is listed as it was last known, here or by `/w/NAME`, which also says
what a call is told instead of an answer.
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

from trayapp.aggregate import public_names
from trayapp.aggregate.availability import BlockedError, WorkloadRow, blocked_by_state
from trayapp.aggregate.feed import ProxyAccess
from trayapp.aggregate.listing import Item, Listing, discover
from trayapp.aggregate.public_names import QualifiedName
from trayapp.aggregate.upstream_session import UpstreamSession
from trayapp.mcp.blocked import gone

FETCHES_MAX = 8  # workloads whose lists are fetched at the same time
FRESH_FOR = 30.0  # s that a list is returned without fetching it again
RETRY_AFTER = 5.0  # s after a failed fetch until the next
FIRST_WAIT = 8.0  # s that a client waits for lists that aren't known yet
REFRESH_WAIT = 1.5  # s that it waits for newer versions of known lists
GATHER = 0.05  # s; changes within that time are announced together

TOOLS, PROMPTS, RESOURCES = "tools", "prompts", "resources"
ALL = frozenset({TOOLS, PROMPTS, RESOURCES})
_LIST_OF_NOTIFICATION: dict[type, str] = {
    types.ToolListChangedNotification: TOOLS,
    types.PromptListChangedNotification: PROMPTS,
    types.ResourceListChangedNotification: RESOURCES,
}

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class ChangeListener:
    """Callbacks of the hub: lists of these kinds changed; a workload's server sent a log line."""

    changed: Callable[[frozenset[str]], Awaitable[None]]
    logged: Callable[[str, types.LoggingMessageNotificationParams], Awaitable[None]]


class Hub:
    """Everything clients can see. `rows` is the feed's own mapping; `access` returns how a workload is reached."""

    def __init__(
        self,
        rows: dict[str, WorkloadRow],
        ready: asyncio.Event,
        access: Callable[[str], Awaitable[ProxyAccess]],
        listener: ChangeListener,
    ) -> None:
        self._rows = rows
        self._ready = ready
        self._access = access
        self._listings: dict[str, Listing] = {}
        self._listener = listener
        self._sessions: dict[str, UpstreamSession] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._failed_fetches: dict[str, float] = {}  # monotonic time of the failure
        self._slots = asyncio.Semaphore(FETCHES_MAX)
        self._changes: set[str] = set()
        self._announcing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log_level: types.LoggingLevel | None = None
        self._by_public_name: dict[str, dict[str, tuple[QualifiedName, Item]]] = {}  # by kind; rebuilt after a change

    def changed(self, before: WorkloadRow | None, row: WorkloadRow | None) -> None:
        """The feed reports a change of a workload."""
        name = row.name if row is not None else before.name if before is not None else ""
        if row is None or before is None or before.url != row.url:
            self._by_public_name.clear()
        moved = before is not None and row is not None and before.url != row.url
        if row is None or moved:
            self._forget(name)
        if row is None:
            self._announce(ALL)
            return
        was_listed = before is not None and before.listed
        if was_listed != row.listed:
            self._announce(ALL)
        if row.status == "running" and (before is None or before.status != "running" or moved):
            self._failed_fetches.pop(name, None)
            if name in self._sessions:
                self._sessions[name].became_usable()
            self._fetch(name, announce=True)

    async def close(self) -> None:
        """End every session."""
        for task in [*self._fetching.values(), *self._tasks, *([self._announcing] if self._announcing else [])]:
            task.cancel()
        await asyncio.gather(*(session.close() for session in self._sessions.values()), return_exceptions=True)

    # --- lists -------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Before lists are returned: fetch what is missing or old, and wait for it briefly."""
        await self._rows_known()
        now = time.monotonic()
        missing: list[asyncio.Task[None]] = []
        outdated: list[asyncio.Task[None]] = []
        for name, row in list(self._rows.items()):
            known = self._listing(name)
            if not row.listed or now - self._failed_fetches.get(name, -RETRY_AFTER) < RETRY_AFTER:
                continue
            if known is None:
                missing.append(self._fetch(name))
            elif row.status == "running" and now - known.at > FRESH_FOR:
                outdated.append(self._fetch(name))
        if missing:
            await asyncio.wait(missing, timeout=FIRST_WAIT)
        if outdated:
            await asyncio.wait(outdated, timeout=REFRESH_WAIT)

    async def _rows_known(self) -> None:
        """Wait for the first full list: a new process knows no workload yet."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT):
                await self._ready.wait()

    def items_of(self, kind: str, key: str) -> dict[str, tuple[QualifiedName, Item]]:
        """All items of a kind (`tools`, `prompts`) by public name, from every workload whose lists are known."""
        if (known := self._by_public_name.get(kind)) is not None:
            return known
        items: dict[QualifiedName, Item] = {}
        for name in self._rows:
            if (listing := self._listing(name)) is not None:
                for item in getattr(listing, kind):
                    items[name, str(item.get(key, ""))] = item
        found = {public: (owner, items[owner]) for public, owner in public_names.assign(items).items()}
        self._by_public_name[kind] = found
        return found

    def listed(self, kind: str) -> list[Item]:
        """The tools or prompts that clients are shown, under their public names."""
        found = self.items_of(kind, "name").items()
        return [{**item, "name": public} for public, ((name, _), item) in found if self._rows[name].listed]

    def addressed(self, kind: str, key: str) -> list[Item]:
        """The `resources` or `templates` that clients are shown, with their public URIs (`uri`, `uriTemplate`)."""
        return [
            {**item, key: public_names.public_uri(name, str(item.get(key, "")))}
            for name, row in self._rows.items()
            if row.listed and (listing := self._listing(name)) is not None
            for item in getattr(listing, kind)
        ]

    async def find(self, kind: str, public_name: str) -> QualifiedName:
        """The workload and own name behind a public name. Raises `BlockedError` or, if there is none, `MCPError`."""
        await self._rows_known()
        for attempt in (1, 2):
            if (found := self.items_of(kind, "name").get(public_name)) is not None:
                return found[0]
            if attempt == 1:
                await self._fetch_for(public_name)
        for row in self._candidates(public_name):
            if (why := blocked_by_state(row, time.time())) is not None:
                raise BlockedError(why)
        raise MCPError(types.INVALID_PARAMS, f"There is nothing named {public_name[:200]} here; list the {kind} again.")

    def find_resource(self, address: str) -> QualifiedName:
        """The same for a resource, by our prefix or as the only workload that lists this URI. Raises `MCPError`."""
        if (found := public_names.parse_uri(address)) is not None:
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
        """Instructions for a language model: what these tools are, and which can't be used at present."""
        lines = [
            "Tools of several servers through Amberlight; each name begins with its server's. A call that can't be "
            "made now returns an error that says how long to wait or what the user has to do.",
        ]
        for name, row in sorted(self._rows.items()):
            why = blocked_by_state(row, time.time())
            listing = self._listings.get(name)
            words = why.text if why is not None else (listing.instructions if listing is not None else "")
            lines.append(f"- {name}: {row.health}. {words[:2000]}".rstrip())
        return "\n".join(lines)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ask(self, name: str, request: types.ClientRequest, progress: ProgressFnT | None = None) -> dict[str, Any]:
        """Send one request to one workload. Raises `BlockedError`, or the server's own `MCPError`."""
        await self._rows_known()
        if name not in self._rows:
            raise BlockedError(gone(name))
        return await self._session(name).ask(request, progress)

    async def log_level(self, level: types.LoggingLevel) -> None:
        """Set the most verbose level that any client wants."""
        self._log_level = level
        await asyncio.gather(
            *(session.set_log_level(level) for session in self._sessions.values()), return_exceptions=True
        )

    def _session(self, name: str) -> UpstreamSession:
        if name not in self._sessions:
            self._sessions[name] = UpstreamSession(name, self._access, self._on_notification)
            self._sessions[name].log_level = self._log_level
        return self._sessions[name]

    async def _on_notification(self, name: str, message: types.ServerNotification) -> None:
        if isinstance(message, types.LoggingMessageNotification):
            await self._listener.logged(name, message.params)
        elif type(message) in _LIST_OF_NOTIFICATION:
            if name in self._fetching:  # the fetch in progress may have begun before the change
                await asyncio.wait([self._fetching[name]])
            self._fetch(name, announce=True)

    def _listing(self, name: str) -> Listing | None:
        """The known lists of a workload, if it is still the same server."""
        listing, row = self._listings.get(name), self._rows.get(name)
        return listing if listing is not None and row is not None and listing.url == row.url else None

    def _candidates(self, public_name: str) -> Iterable[WorkloadRow]:
        """The workloads a public name may belong to, longest name first."""
        rows = [row for name, row in self._rows.items() if public_name.startswith(f"{name}_")]
        return sorted(rows, key=lambda row: -len(row.name))

    async def _fetch_for(self, public_name: str) -> None:
        """The item may be new: fetch the lists of the workloads it may belong to, unless they are a second old."""
        fresh_since = time.monotonic() - 1.0
        tasks = [
            self._fetch(row.name)
            for row in self._candidates(public_name)
            if (known := self._listing(row.name)) is None or (row.status == "running" and known.at < fresh_since)
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=FIRST_WAIT)

    # --- fetching lists ----------------------------------------------------------------------------------------------

    def _fetch(self, name: str, *, announce: bool = False) -> asyncio.Task[None]:
        """Fetch a workload's lists, or join the fetch in progress. `announce`: notify clients even without a change."""
        if name not in self._fetching:
            task = asyncio.create_task(self._discover(name, announce), name=f"lists of {name}")
            self._fetching[name] = task
            task.add_done_callback(lambda done: self._fetched(name, done))
        return self._fetching[name]

    def _fetched(self, name: str, task: asyncio.Task[None]) -> None:
        if self._fetching.get(name) is task:
            del self._fetching[name]

    async def _discover(self, name: str, announce: bool) -> None:
        row = self._rows.get(name)
        if row is None:
            return
        async with self._slots:
            try:
                listing = await discover(self._session(name), row.url)
            except (BlockedError, MCPError) as error:
                log.info("%s: its lists could not be had (%s)", name, type(error).__name__)
                self._failed_fetches[name] = time.monotonic()
                return
            except Exception:
                log.exception("%s: its lists could not be had", name)
                self._failed_fetches[name] = time.monotonic()
                return
        if (now := self._rows.get(name)) is None or now.url != row.url:
            return
        different = not listing.same(self._listings.get(name))
        self._listings[name] = listing
        if different:
            self._by_public_name.clear()
        if different or announce:
            self._announce(ALL)

    def _forget(self, name: str) -> None:
        if (fetch := self._fetching.pop(name, None)) is not None:
            fetch.cancel()
        self._failed_fetches.pop(name, None)
        if (session := self._sessions.pop(name, None)) is not None:
            self._start(session.close())
        self._listings.pop(name, None)
        self._by_public_name.clear()

    def _announce(self, kinds: Iterable[str]) -> None:
        self._changes.update(kinds)
        if self._announcing is None:
            self._announcing = asyncio.create_task(self._announce_soon(), name="tell of changed lists")

    async def _announce_soon(self) -> None:
        await asyncio.sleep(GATHER)
        kinds = frozenset(self._changes)
        self._changes.clear()
        self._announcing = None
        await self._listener.changed(kinds)

    def _start(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
