"""How a workload's lists are fetched: all pages, without end in no case, and only what the server knows."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from trayapp.aggregate.listing import PAGES_MAX, discover
from trayapp.aggregate.upstream_session import OpenSession, UpstreamSession

ALL: dict[str, Any] = {"tools": {}, "prompts": {}, "resources": {}}


class Server:
    """In the place of a session: `pages` are the results by method; one page is the last word of each."""

    def __init__(self, capabilities: dict[str, Any], **pages: list[Any]) -> None:
        self.pages = pages
        self.asked: list[str] = []
        self.server_capabilities = types.ServerCapabilities.model_validate(capabilities)
        self.server_info = types.Implementation(name="server", version="1")
        self.instructions = "Be kind."

    async def use(self, job: Any) -> Any:
        return await job(OpenSession(cast(Any, self), cast(Any, None), closed=asyncio.Event()))

    async def list_tools(self, *, params: Any) -> Any:
        return types.ListToolsResult.model_validate(self._page("tools/list", params))

    async def send_request(self, request: Any, kind: Any) -> Any:
        return self._page(request.method, request.params)

    def _page(self, method: str, params: Any) -> dict[str, Any]:
        self.asked.append(method)
        pages = self.pages.get(method.removesuffix("/list").replace("/", "_"))
        if pages is None:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found")
        cursor = None if params is None else params.cursor
        return dict(pages[0 if cursor is None else int(cursor)])


async def listing(server: Server) -> Any:
    return await discover(cast(UpstreamSession, server), "http://one")


async def test_all_pages_of_all_lists() -> None:
    """In order, in the protocol's own form."""

    tools: list[Any] = [
        {"tools": [{"name": "a", "inputSchema": {}}], "nextCursor": "1"},
        {"tools": [{"name": "b", "inputSchema": {}}]},
    ]
    prompts: list[Any] = [{"prompts": [{"name": "p"}], "nextCursor": "1"}, {"prompts": [{"name": "q"}]}]
    resources = [{"resources": [{"uri": "memo://1"}]}]
    templates = [{"resourceTemplates": [{"uriTemplate": "memo://{x}"}, "odd"]}]
    found = await listing(Server(ALL, tools=tools, prompts=prompts, resources=resources, resources_templates=templates))
    assert ["a", "b"] == [tool["name"] for tool in found.tools]
    assert {} == found.tools[0]["inputSchema"]
    assert ["p", "q"] == [prompt["name"] for prompt in found.prompts]
    assert ([{"uri": "memo://1"}], [{"uriTemplate": "memo://{x}"}]) == (found.resources, found.templates)
    assert ("http://one", "Be kind.") == (found.url, found.instructions)


async def test_only_what_the_server_offers_is_asked_for() -> None:
    """And nothing of it is missing because of a list that it turns out not to know, be it that of the tools."""

    server = Server({"tools": {}}, tools=[{"tools": []}])
    await listing(server)
    assert ["tools/list"] == server.asked
    found = await listing(Server(ALL, prompts=[{"prompts": [{"name": "p"}]}]))
    assert ([], [{"name": "p"}], [], []) == (found.tools, found.prompts, found.resources, found.templates)


@pytest.mark.parametrize("kind", ["tools", "prompts"])
async def test_pages_that_loop_end(kind: str) -> None:
    """A server that always names a next page is asked a hundred times."""

    server = Server({kind: {}}, **{kind: [{kind: [], "nextCursor": "0"}]})
    await listing(server)
    assert PAGES_MAX == len(server.asked)


async def test_the_time_is_no_difference() -> None:
    """Clients are told of lists that differ, not of lists that were asked for again."""

    first = await listing(Server({"tools": {}}, tools=[{"tools": []}]))
    again = await listing(Server({"tools": {}}, tools=[{"tools": []}]))
    other = await listing(Server({"tools": {}}, tools=[{"tools": [{"name": "a", "inputSchema": {}}]}]))
    assert (True, False, False) == (again.same(first), again.same(other), first.same(None))
