"""The MCP server that clients see: forwards each request to its workload, under the workload's own names.

A tool call to a workload that can't be reached returns an error *result*, which a language model reads and can explain
to its user. Resources and prompts have no error results; there it is a protocol error with the same text and facts.
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
from trayapp.aggregate import public_names
from trayapp.aggregate.availability import BlockedError
from trayapp.aggregate.hub import PROMPTS, TOOLS, Hub
from trayapp.aggregate.request_traces import caller
from trayapp.core.activity import client_header
from trayapp.mcp import answers
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.revisions import TABLE

NAME = "amberlight"
RESERVED = "io.modelcontextprotocol/"  # hop-by-hop: version, client and capabilities of the requester
_HOP_BY_HOP = ("progressToken", "progress_token", "traceparent", "tracestate", "baggage")  # each session sets its own

Context = Any  # ServerRequestContext, whose two type parameters are of no use here


def server(hub: Hub, listen: ListenHandler) -> Server[Any]:
    """The server. `listen` serves subscriptions to changed lists, for clients of revision 2026-07-28."""
    handlers = _Handlers(hub)
    created: Server[Any] = Server(
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
    return created


class _Handlers:
    """One method per MCP request."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def list_tools(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _uncacheable({"tools": self._hub.listed(TOOLS)})

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        caller.set(_client(context))
        try:
            name, own_name = await self._hub.find(TOOLS, params.name)
            forwarded = params.model_copy(update={"name": own_name, "meta": _forwarded_meta(params.meta)})
            progress = context.session.report_progress
            result = await self._hub.ask(name, types.CallToolRequest(params=forwarded), progress)
        except BlockedError as blocked:
            return answers.refused_call(TABLE[-1], blocked.why)  # the SDK removes what older clients don't know
        for block in result.get("content", ()):
            _publish_uris(name, block)
        return _complete(result)

    async def list_resources(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _uncacheable({"resources": self._hub.addressed("resources", "uri")})

    async def list_templates(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _uncacheable({"resourceTemplates": self._hub.addressed("templates", "uriTemplate")})

    async def read_resource(self, context: Context, params: types.ReadResourceRequestParams) -> Any:
        name, own_name = self._hub.find_resource(str(params.uri))
        forwarded = params.model_copy(update={"uri": own_name, "meta": _forwarded_meta(params.meta)})
        result = await self._ask(name, types.ReadResourceRequest(params=forwarded), context)
        for content in result.get("contents", ()):
            if isinstance(content, dict) and isinstance(content.get("uri"), str):
                content["uri"] = public_names.public_uri(name, content["uri"])
        return _uncacheable(result)

    async def list_prompts(self, context: Context, params: Any) -> Any:
        await self._hub.settle()
        return _uncacheable({"prompts": self._hub.listed(PROMPTS)})

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> Any:
        name, own_name = await self._find_prompt(params.name)
        forwarded = params.model_copy(update={"name": own_name, "meta": _forwarded_meta(params.meta)})
        result = await self._ask(name, types.GetPromptRequest(params=forwarded), context)
        for message in result.get("messages", ()):
            _publish_uris(name, message.get("content") if isinstance(message, dict) else None)
        return _complete(result)

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> Any:
        ref: types.PromptReference | types.ResourceTemplateReference
        if isinstance(params.ref, types.PromptReference):
            name, own_name = await self._find_prompt(params.ref.name)
            ref = params.ref.model_copy(update={"name": own_name})
        else:
            name, own_name = self._hub.find_resource(params.ref.uri)
            ref = params.ref.model_copy(update={"uri": own_name})
        forwarded = params.model_copy(update={"ref": ref, "meta": _forwarded_meta(params.meta)})
        return _complete(await self._ask(name, types.CompleteRequest(params=forwarded), context))

    async def _find_prompt(self, public: str) -> public_names.QualifiedName:
        try:
            return await self._hub.find(PROMPTS, public)
        except BlockedError as blocked:
            raise _error(blocked.why) from None

    async def _ask(self, name: str, request: types.ClientRequest, context: Context) -> dict[str, Any]:
        caller.set(_client(context))
        try:
            return await self._hub.ask(name, request, context.session.report_progress)
        except BlockedError as blocked:
            raise _error(blocked.why) from None


def _client(context: Context) -> str:
    """How the client introduced itself, for the activity; empty if this process doesn't know."""
    params = context.session.client_params
    return "" if params is None else client_header(params.client_info.name, params.client_info.version)


def _complete(result: dict[str, Any]) -> dict[str, Any]:
    """Add what revision 2026-07-28 requires in every result; the SDK removes it for older clients."""
    return {"resultType": "complete", **result}


def _uncacheable(result: dict[str, Any]) -> dict[str, Any]:
    """The same for lists and contents, which must not be cached: any workload may change at any time."""
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **result}


def _error(why: Blocked) -> MCPError:
    return MCPError(types.INTERNAL_ERROR, why.text, why.facts())


def _forwarded_meta(meta: Any) -> Any:
    """The part of the request's `_meta` that is meant for the upstream server."""
    forwarded = {
        key: value for key, value in (meta or {}).items() if key not in _HOP_BY_HOP and not key.startswith(RESERVED)
    }
    return forwarded or None


def _publish_uris(name: str, block: object) -> None:
    """Replace the URIs of resource links and embedded resources by their public ones."""
    if not isinstance(block, dict):
        return
    resource = block.get("resource") if block.get("type") == "resource" else block
    if isinstance(resource, dict) and block.get("type") in ("resource", "resource_link"):
        with contextlib.suppress(KeyError):
            resource["uri"] = public_names.public_uri(name, str(resource["uri"]))


async def with_limit(job: Any, limit: float) -> None:
    """Await the job, but give up after `limit` seconds: the client may not be reading."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await job
