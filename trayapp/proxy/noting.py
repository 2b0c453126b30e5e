"""What the activity records of a request: gathered while it is served, recorded when it has ended.

Bodies are not kept for it, and no request waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from trayapp.core.activity import CLIENT_HEADER, MCP_AGENT, Request, client_info, target_name
from trayapp.mcp.messages import Message
from trayapp.mcp.revisions import CLIENT_META
from trayapp.mcp.sessions import Session
from trayapp.proxy.steady_call import MESSAGE

BATCH_MAX = 50  # messages of one batch that are recorded
RAW_MAX = 256  # characters of each text before it is cleaned
AGENT_MAX = 100


class Recorder(Protocol):
    """Where requests are recorded: `storage.activity.Activity`."""

    def takes(self) -> bool:
        """Whether a request that begins now can be recorded; one that can't is counted."""
        ...

    def record(self, request: Request) -> None:
        """Keep it; never waits."""
        ...


class NoRecorder:
    """Of a proxy whose requests are not recorded."""

    def takes(self) -> bool:
        """None."""
        return False

    def record(self, request: Request) -> None:
        """Nothing to do."""


class Introduced(Protocol):
    """Whoever remembers how a client of the legacy SSE transport introduced itself."""

    client_info: object


@dataclass(slots=True)
class Noted:
    """What is known of one request so far. `status` is that of a response that has begun."""

    began: float = field(default_factory=time.perf_counter)
    mcp: bool = False
    session: Session | None = None
    stream: Introduced | None = None
    shared: Mapping[str, str] | None = None  # the client of `/mcp`, in place of that of the session
    called: str = ""  # the tool of a call that is not read otherwise
    batch: tuple[Message, ...] = ()
    status: int | None = None
    served: bool = False  # the workload's server answered

    def record(self, to: Recorder, request: web.Request, workload: str, path: str, status: int | None) -> None:
        """The request has ended; `status` None: without a response of ours."""
        duration = time.perf_counter() - self.began
        status = self.status if status is None else status
        agent, at = request.headers.get("User-Agent", "")[:AGENT_MAX], time.time() - duration
        if agent == MCP_AGENT:
            self.shared = client_info(request.headers.get(CLIENT_HEADER, "")[:RAW_MAX])
        mcp, served = self.mcp or self.stream is not None, self.served
        if self.called:  # as most are
            info, tool = self._info(None), self.called
            to.record(Request(at, workload, agent, info, mcp, "tools/call", tool, status, served, duration))
            return
        for info, method, target in self._uses(request, path[:RAW_MAX]):
            row = (at, workload, agent, info, mcp, method[:RAW_MAX], target[:RAW_MAX], status, served, duration)
            to.record(Request._make(row))

    def _uses(self, request: web.Request, path: str) -> Iterator[tuple[object, str, str]]:
        """Client info, method and target of each message that a client waits for; or of the HTTP request."""
        first = request.get(MESSAGE)
        if first is None:
            yield self._info(None), request.method, "" if self.mcp else path
            return
        for message in self.batch[:BATCH_MAX] or (first,):
            info = self._info(message)
            if message.request and message.method != "ping":
                yield info, message.method, target_name(message.method, message.params)

    def _info(self, message: Message | None) -> object:
        """How the client introduced itself: in this message, its session, or on its stream."""
        if self.shared is not None:
            return self.shared
        if message is not None and message.method == "initialize":
            info = message.params.get("clientInfo")
            if self.stream is not None:
                self.stream.client_info = info
            return info
        if self.session is not None:
            return self.session.params.get("clientInfo")
        if self.stream is not None:
            return self.stream.client_info
        return None if message is None else message.meta.get(CLIENT_META)


NOTED = web.RequestKey("what the activity records of the request", Noted)


def mcp_begins(request: web.Request, session: Session | None) -> Noted | None:
    """The request is an MCP client's; what is known of it, if it is recorded."""
    noted = request.get(NOTED)
    if noted is not None:
        noted.mcp, noted.session = True, session
    return noted


def response_begins(request: web.Request, status: int, *, served: bool = True) -> None:
    """This status is sent: the server's, or one of ours that is a stream."""
    noted = request.get(NOTED)
    if noted is not None:
        noted.status, noted.served = status, served
