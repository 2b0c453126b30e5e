"""The process: what it is told by its standard input, what it serves, and when it ends.

One line of JSON comes in (`ProcessSetup`), one goes out (`{"port": N}`). After that the standard input says only one thing, by
its end: the app is gone, or does not need this process any more. A thread of its own waits for that, so that it is
heard even by a process whose loop hangs. Nothing secret is in the arguments or in the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)

from trayapp.aggregate.client_sessions import ClientSessions
from trayapp.aggregate.endpoint import server
from trayapp.aggregate.feed import Feed
from trayapp.aggregate.hub import ChangeListener, Hub
from trayapp.aggregate.listing import CachedListings
from trayapp.core.model import Secret

GOODBYE = 2.0  # s between the end of the standard input and that of this process, whatever still runs
BACKLOG = 128
LARGEST = 64 * 1024  # bytes of the first line
_EVENTS: dict[str, ServerEvent] = {
    "tools": ToolsListChanged(),
    "prompts": PromptsListChanged(),
    "resources": ResourcesListChanged(),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSetup:
    """What the app tells. `url` is its own address, `kept` where the listings are, `secret` what its requests show.

    `app_key` opens the app's API, but for access tokens.
    """

    url: str
    app_key: Secret
    secret: Secret
    kept: Path
    log_level: str

    @classmethod
    def read(cls, line: bytes) -> ProcessSetup:
        """Raises `ValueError` for anything else."""
        match json.loads(line):
            case {
                "url": str(url),
                "app_key": str(app_key),
                "secret": str(secret),
                "kept": str(kept),
                "log_level": str(level),
            }:
                return cls(url, Secret(app_key), Secret(secret), Path(kept), level)
        raise ValueError("the first line is not what Amberlight sends")


def main() -> int:
    """From the first line to the end of the standard input."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        setup = ProcessSetup.read(_first_line())
    except ValueError:
        sys.stderr.write("amberlight: this process is started by Amberlight itself, not by hand.\n")
        return 2
    logging.getLogger("trayapp").setLevel(setup.log_level.upper())
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # what concerns us is told by its exceptions
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(setup))
    return 0


async def serve(setup: ProcessSetup) -> None:
    """Until the standard input ends."""
    bus = InMemorySubscriptionBus()
    listen = ListenHandler(bus)
    clients: ClientSessions

    async def changed(kinds: frozenset[str]) -> None:
        await clients.changed(kinds)
        for kind in sorted(kinds):
            await bus.publish(_EVENTS[kind])

    async def logged(name: str, line: types.LoggingMessageNotificationParams) -> None:
        await clients.logged(name, line)

    feed = Feed(setup.url, setup.app_key, lambda before, row: hub.changed(before, row))
    hub = Hub(feed.rows, feed.ready, feed.access, CachedListings(setup.kept), ChangeListener(changed, logged))
    made = server(hub, listen)
    clients = ClientSessions(made, setup.secret, hub.summary)

    async def set_level(context: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        session_id = context.request.headers.get("mcp-session-id") if context.request is not None else None
        await hub.log_level(clients.set_level(session_id, params.level))  # type: ignore[arg-type]
        return types.EmptyResult()

    made.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)
    http = uvicorn.Server(
        uvicorn.Config(
            clients,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
    )
    over = asyncio.Event()
    _watch_input(over)
    # Named as TCP: only then asyncio sends at once what is written, and not 40 ms later (Nagle).
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        async with clients.run():
            listening = asyncio.create_task(feed.run(), name="listen to Amberlight")
            pruning = asyncio.create_task(hub.prune(), name="forget what was removed")
            serving = asyncio.create_task(http.serve([listener]), name="serve")
            _say({"port": listener.getsockname()[1]})
            ending = asyncio.create_task(over.wait(), name="wait for the end")
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            listen.close()
            for task in (listening, pruning):
                task.cancel()
            await hub.close()
            http.should_exit = True
            await serving


def _say(facts: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _watch_input(over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(over.set)
        threading.Event().wait(GOODBYE)
        os._exit(0)  # something does not end; nothing here is worth waiting for

    threading.Thread(target=wait, name="wait for the app's end", daemon=True).start()


def _first_line() -> bytes:
    """By plain reads: nothing of what follows may be buffered."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1)
        if not chunk or len(line) > LARGEST:
            break
        line += chunk
    return line
