"""The MCP server that clients see: every request is somebody's, and is passed on with that one's own names.

A tool of a workload that cannot be asked returns an error *result*, which a language model reads and can tell its user;
resources and prompts have no such thing, so there it is a protocol error with the same words and facts.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError

from trayapp import __version__
from trayapp.aggregate import names
from trayapp.aggregate.hub import PROMPTS, TOOLS, Hub
from trayapp.aggregate.states import Blocked, BlockedReason

NAME = "amberlight"
FACTS = "amberlight/unavailable"  # in `_meta` of an error result: why, for programs
RESERVED = "io.modelcontextprotocol/"  # of one hop: version, client and capabilities of who asks
_HOP = ("progressToken", "progress_token", "traceparent", "tracestate", "baggage")  # the session sets its own

Context = Any  # ServerRequestContext: its two parameters are of no use here


def server(hub: Hub, listen: ListenHandler) -> Server[Any]:
    """The server; `listen` serves clients of 2026-07-28 that want to hear of changed lists."""
    handlers = _Handlers(hub)
    made: Server[Any] = Server(
        NAME,
        version=__version__,
        title="Amberlight: all workloads",
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
        on_completion=handlers.complete,
        on_subscriptions_listen=listen,
    )
    return made


class _Handlers:
    """One method for each request."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def list_tools(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _ours({"tools": self._hub.listed(TOOLS)})

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        try:
            name, own = await self._hub.find(TOOLS, params.name)
            asked = params.model_copy(update={"name": own, "meta": _meta(params.meta)})
            progress = context.session.report_progress
            result = await self._hub.ask(name, types.CallToolRequest(params=asked), progress)
        except Blocked as blocked:
            return _error_result(blocked.why)
        for block in result.get("content", ()):
            _readdress(name, block)
        return _theirs(result)

    async def list_resources(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _ours({"resources": self._hub.addressed("resources", "uri")})

    async def list_templates(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _ours({"resourceTemplates": self._hub.addressed("templates", "uriTemplate")})

    async def read_resource(self, context: Context, params: types.ReadResourceRequestParams) -> Any:
        name, own = self._hub.find_resource(str(params.uri))
        asked = params.model_copy(update={"uri": own, "meta": _meta(params.meta)})
        result = await self._ask(name, types.ReadResourceRequest(params=asked), context)
        for content in result.get("contents", ()):
            if isinstance(content, dict) and isinstance(content.get("uri"), str):
                content["uri"] = names.uri(name, content["uri"])
        return _ours(result)

    async def list_prompts(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _ours({"prompts": self._hub.listed(PROMPTS)})

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> Any:
        name, own = await self._find_prompt(params.name)
        asked = params.model_copy(update={"name": own, "meta": _meta(params.meta)})
        result = await self._ask(name, types.GetPromptRequest(params=asked), context)
        for message in result.get("messages", ()):
            _readdress(name, message.get("content") if isinstance(message, dict) else None)
        return _theirs(result)

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> Any:
        ref: types.PromptReference | types.ResourceTemplateReference
        if isinstance(params.ref, types.PromptReference):
            name, own = await self._find_prompt(params.ref.name)
            ref = params.ref.model_copy(update={"name": own})
        else:
            name, own = self._hub.find_resource(params.ref.uri)
            ref = params.ref.model_copy(update={"uri": own})
        asked = params.model_copy(update={"ref": ref, "meta": _meta(params.meta)})
        return _theirs(await self._ask(name, types.CompleteRequest(params=asked), context))

    async def _find_prompt(self, public: str) -> names.Owned:
        try:
            return await self._hub.find(PROMPTS, public)
        except Blocked as blocked:
            raise _error(blocked.why) from None

    async def _ask(self, name: str, request: types.ClientRequest, context: Context) -> dict[str, Any]:
        try:
            return await self._hub.ask(name, request, context.session.report_progress)
        except Blocked as blocked:
            raise _error(blocked.why) from None


def _theirs(result: dict[str, Any]) -> dict[str, Any]:
    """What 2026-07-28 wants in every result; for older clients the SDK leaves it out."""
    return {"resultType": "complete", **result}


def _ours(result: dict[str, Any]) -> dict[str, Any]:
    """What it wants in lists and contents besides: nobody may keep them, as any workload may change at any time."""
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **result}


def _error_result(why: BlockedReason) -> types.CallToolResult:
    text = types.TextContent(type="text", text=why.text)
    return types.CallToolResult(content=[text], is_error=True, _meta={FACTS: why.facts()})


def _error(why: BlockedReason) -> MCPError:
    return MCPError(types.INTERNAL_ERROR, why.text, why.facts())


def _meta(meta: Any) -> Any:
    """What of the request's `_meta` is meant for the server behind."""
    kept = {key: value for key, value in (meta or {}).items() if key not in _HOP and not key.startswith(RESERVED)}
    return kept or None


def _readdress(name: str, block: object) -> None:
    """Links to resources, and resources in place, get their public addresses."""
    if not isinstance(block, dict):
        return
    place = block.get("resource") if block.get("type") == "resource" else block
    if isinstance(place, dict) and block.get("type") in ("resource", "resource_link"):
        with contextlib.suppress(KeyError):
            place["uri"] = names.uri(name, str(place["uri"]))


async def soon(job: Any, limit: float) -> None:
    """A message to a client that may not read: it is given up after `limit` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await job
