"""Which transport a workload's MCP server speaks: streamable HTTP, or HTTP with SSE (MCP 2024-11-05).

A client's file has to name it. It is known once a client has been there. Before that, a server whose address speaks of
MCP is asked once, with an `initialize` of ours whose session is ended at once; other APIs are left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re

from multidict import CIMultiDict

from trayapp.core.model import AccessToken
from trayapp.mcp import messages
from trayapp.mcp.revisions import LATEST_HANDSHAKE
from trayapp.proxy import mapping
from trayapp.proxy.bodies import Body
from trayapp.proxy.exchange import UpstreamResponse
from trayapp.proxy.forwarding import UPSTREAM_ERRORS, Forwarder, NoTokenError, SendAgainError
from trayapp.proxy.headers import Headers
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.proxy.sse import EndpointRewriter
from trayapp.proxy.steady_headers import JSON, SESSION, SSE
from trayapp.proxy.steady_store import SteadyStore

LIMIT = 5.0  # s for all of it
NOT_STREAMABLE = frozenset((400, 404, 405, 406, 415))  # the specification's words on older servers

_OF_MCP = re.compile(r"\bmcp\b|\bsse\b")

log = logging.getLogger(__name__)


class Transports:
    """Asks servers and remembers what they said. Belongs to the server's loop."""

    def __init__(self, forwarder: Forwarder, store: SteadyStore) -> None:
        self._forwarder = forwarder
        self._tokens = forwarder.tokens
        self._store = store
        self._asked: set[str] = set()  # workloads whose servers speak streamable HTTP, or no MCP at all

    async def speaks_sse(self, name: str) -> bool:
        """Whether the workload's server speaks HTTP with SSE; False as long as nobody knows. Takes at most `LIMIT`."""
        notes = await self._store.notes(name)
        if notes.legacy or notes.account is not None or name in self._asked:
            return notes.legacy
        spec, token = self._tokens.spec(name), self._tokens.peek(name)
        if spec is None or not isinstance(token, AccessToken) or spec.mcp == "off":
            return False
        if spec.mcp != "on" and not _OF_MCP.search(spec.url.lower()):
            return False
        upstream = mapping.split_upstream(spec.url)
        try:
            async with asyncio.timeout(LIMIT):
                if await self._answers_initialize(name, upstream, spec.url, token):
                    self._asked.add(name)
                elif await self._announces_endpoint(name, upstream, spec.url, token):
                    self._store.legacy(name)
                    return True
        except (NoTokenError, SendAgainError, TimeoutError, *UPSTREAM_ERRORS) as error:
            log.info("%s: its transport could not be found out (%s)", name, type(error).__name__)
        return False

    async def _answers_initialize(self, name: str, upstream: UpstreamUrl, url: str, token: AccessToken) -> bool:
        params = {
            "protocolVersion": LATEST_HANDSHAKE.version,
            "capabilities": {},
            "clientInfo": {"name": "amberlight", "version": "1"},
        }
        hello = Body(whole=messages.encode({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
        head = {"Accept": f"{JSON}, {SSE}", "Content-Type": JSON}
        with await self._send(name, "POST", upstream, url, head, hello, token) as response:
            status, session = response.status, response.headers.get(SESSION)
        if session:
            with contextlib.suppress(*UPSTREAM_ERRORS):
                ended = await self._send(name, "DELETE", upstream, url, {SESSION: session}, Body(), token)
                with ended:
                    pass
        return status not in NOT_STREAMABLE

    async def _announces_endpoint(self, name: str, upstream: UpstreamUrl, url: str, token: AccessToken) -> bool:
        found: list[str] = []

        def announced(path: str) -> str:
            found.append(path)
            return path

        rewriter = EndpointRewriter(announced)
        with await self._send(name, "GET", upstream, url, {"Accept": SSE}, Body(), token) as response:
            if response.status != 200 or response.content_type != SSE:
                return False
            async for chunk in response.content.iter_any():
                rewriter.feed(chunk)
                if found or rewriter.passed:
                    break
        return bool(found)

    async def _send(
        self,
        name: str,
        method: str,
        upstream: UpstreamUrl,
        url: str,
        head: dict[str, str],
        body: Body,
        token: AccessToken,
    ) -> UpstreamResponse:
        def headers(token: AccessToken) -> Headers:
            secret = token.value.reveal()
            return CIMultiDict({**head, "Host": upstream.authority, "Authorization": f"Bearer {secret}"})

        return await self._forwarder.send(name, method, upstream, url, headers, body, token, counts=False)
