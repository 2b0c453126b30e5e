"""The workloads' lists (tools, prompts, resources) as last fetched, cached in memory and on disk.

So the tools of a workload that can't be reached are known even after a restart. The file holds what servers tell every
client about themselves, and nothing of a login. It is private like our other files, and losing it costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import mcp_types as types
from mcp.shared.exceptions import MCPError

from trayapp.aggregate.upstream_session import RAW, OpenSession, UpstreamSession
from trayapp.system.private_files import NotPrivateError, private_file, write_private

PAGES_MAX = 100  # per list; ends a server that always names a next page
FILE_MAX = 64 << 20  # bytes

Item: TypeAlias = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a workload at `url` offers, in the protocol's own form. `at` is monotonic; 0 means an earlier run."""

    url: str
    tools: list[Item] = field(default_factory=list)
    prompts: list[Item] = field(default_factory=list)
    resources: list[Item] = field(default_factory=list)
    templates: list[Item] = field(default_factory=list)
    instructions: str = ""
    at: float = 0.0

    def same(self, other: Listing | None) -> bool:
        """Whether a client would see no difference."""
        return other is not None and asdict(self) | {"at": 0} == asdict(other) | {"at": 0}


async def discover(session: UpstreamSession, url: str) -> Listing:
    """Fetch all lists. Raises `Blocked` or `MCPError`."""

    async def ask(open_session: OpenSession) -> Listing:
        can, client = open_session.capabilities, open_session.session
        tools: list[Item] = []
        if can.tools is not None:  # by the session's own method, which notes the tools' headers (2026-07-28)
            cursor: str | None = None
            for _ in range(PAGES_MAX):
                page = await client.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
                tools += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
                cursor = page.next_cursor
                if not cursor:
                    break
        return Listing(
            url,
            tools=tools,
            prompts=await _pages(open_session, types.ListPromptsRequest, "prompts", can.prompts is not None),
            resources=await _pages(open_session, types.ListResourcesRequest, "resources", can.resources is not None),
            templates=await _pages(
                open_session, types.ListResourceTemplatesRequest, "resourceTemplates", can.resources is not None
            ),
            instructions=client.instructions or "",
            at=time.monotonic(),
        )

    return await session.use(ask)


async def _pages(open_session: OpenSession, request: Any, key: str, offered: bool) -> list[Item]:
    """One list, all pages; empty if the server doesn't offer it or turns out not to know the method."""
    found: list[Item] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX if offered else 0):
        try:
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await open_session.session.send_request(request(params=params), RAW)
        except MCPError as error:
            if error.code != types.METHOD_NOT_FOUND:
                raise
            break
        found += [each for each in page.get(key, []) if isinstance(each, dict)]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    return found


class CachedListings:
    """The lists by workload, and their file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saving: asyncio.Task[None] | None = None
        self._dirty = False
        self.by_name: dict[str, Listing] = self._read()

    def put(self, name: str, listing: Listing) -> bool:
        """Store new lists; True if they differ from the old ones."""
        before = self.by_name.get(name)
        self.by_name[name] = listing
        if listing.same(before):
            return False
        self._save()
        return True

    def drop(self, name: str) -> None:
        """Forget the lists of a workload."""
        if self.by_name.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        self._dirty = True
        if self._saving is None:
            self._saving = asyncio.create_task(self._write(), name="write the listings")

    async def _write(self) -> None:
        try:
            while self._dirty:
                self._dirty = False
                data = {name: asdict(listing) | {"at": 0} for name, listing in self.by_name.items()}
                await asyncio.to_thread(_store, self._path, data)
        finally:
            self._saving = None

    def _read(self) -> dict[str, Listing]:
        try:
            private_file(self._path)
            with self._path.open("rb") as file:
                data = json.loads(file.read(FILE_MAX + 1))
            return {str(name): Listing(**each) for name, each in data["listings"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, NotPrivateError) as error:
            log.warning("%s cannot be read (%s); it is written anew", self._path, type(error).__name__)
            return {}


def _store(path: Path, data: dict[str, Any]) -> None:
    try:
        write_private(path, json.dumps({"version": 1, "listings": data}) + "\n")
    except (OSError, NotPrivateError) as error:
        log.warning("%s cannot be written (%s)", path, type(error).__name__)
