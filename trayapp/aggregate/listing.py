"""The lists (tools, prompts, resources) of one workload, all pages.

They are asked for at `/w/NAME`, which notes what servers offer and says it again while they can't be asked, also after a
restart: nothing is kept here beyond the life of the process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import mcp_types as types
from mcp.shared.exceptions import MCPError

from trayapp.aggregate.upstream_session import RAW, OpenSession, UpstreamSession

PAGES_MAX = 100  # per list; ends a server that always names a next page

Item: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a workload at `url` offers, in the protocol's own form. `at` is monotonic."""

    url: str
    tools: list[Item] = field(default_factory=list)
    prompts: list[Item] = field(default_factory=list)
    resources: list[Item] = field(default_factory=list)
    templates: list[Item] = field(default_factory=list)
    instructions: str = ""
    at: float = 0.0

    def same(self, other: Listing | None) -> bool:
        """Whether a client would see no difference."""
        return other is not None and replace(other, at=self.at) == self


async def discover(session: UpstreamSession, url: str) -> Listing:
    """Fetch all lists. Raises `BlockedError` or `MCPError`."""

    async def ask(open_session: OpenSession) -> Listing:
        can = open_session.capabilities
        return Listing(
            url,
            tools=await _tools(open_session),
            prompts=await _pages(open_session, types.ListPromptsRequest, "prompts", can.prompts is not None),
            resources=await _pages(open_session, types.ListResourcesRequest, "resources", can.resources is not None),
            templates=await _pages(
                open_session, types.ListResourceTemplatesRequest, "resourceTemplates", can.resources is not None
            ),
            instructions=open_session.instructions,
            at=time.monotonic(),
        )

    return await session.use(ask)


async def _tools(open_session: OpenSession) -> list[Item]:
    """The tools, by the session's own method, which notes their headers (2026-07-28)."""
    found: list[Item] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX if open_session.capabilities.tools is not None else 0):
        try:
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await open_session.session.list_tools(params=params)
        except MCPError as error:
            if error.code != types.METHOD_NOT_FOUND:
                raise
            break
        found += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
        cursor = page.next_cursor
        if not cursor:
            break
    return found


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
