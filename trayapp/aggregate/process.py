"""Main program of the process: reads its setup from standard input, serves, and ends with that input.

One line of JSON comes in (`ProcessSetup`), one goes out (`{"port": N}`). After that, only the end of standard input
matters: the app is gone, or no longer needs this process. A thread of its own waits for it, so that even a process
whose event loop hangs notices. Nothing secret is in the arguments or the environment.
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
from starlette.requests import ClientDisconnect

from trayapp.aggregate.client_sessions import ClientSessions
from trayapp.aggregate.endpoint import server
from trayapp.aggregate.feed import Feed
from trayapp.aggregate.hub import ChangeListener, Hub
from trayapp.core.model import Secret

EXIT_LIMIT = 2.0  # s from the end of standard input to the end of this process, whatever still runs
BACKLOG = 128
LINE_MAX = 64 * 1024  # bytes of the first line
_EVENTS: dict[str, ServerEvent] = {
    "tools": ToolsListChanged(),
    "prompts": PromptsListChanged(),
    "resources": ResourcesListChanged(),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSetup:
    """The app's first line. `url` is the loopback server's.

    `app_key` opens the app's API, access tokens excepted; `secret` is what the app's requests must show.
    """

    url: str
    app_key: Secret
    secret: Secret
    log_level: str

    @classmethod
    def read(cls, line: bytes) -> ProcessSetup:
        """Parse the line. Raises `ValueError` for anything else."""
        match json.loads(line):
            case {
                "url": str(url),
                "app_key": str(app_key),
                "secret": str(secret),
                "log_level": str(level),
            }:
                return cls(url, Secret(app_key), Secret(secret), level)
        raise ValueError("the first line isn't what Amberlight sends")


def main() -> int:
    """Run until standard input ends; the exit code."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        setup = ProcessSetup.read(_first_line())
    except ValueError:
        sys.stderr.write("amberlight: this process is started by Amberlight itself, not by hand.\n")
        return 2
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_worth_logging)
    logging.getLogger("trayapp").setLevel(setup.log_level.upper())
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # its exceptions say all that matters here
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(setup))
    return 0


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether the line is about anything but a client that hung up, which the SDK calls an error."""
    return record.exc_info is None or not isinstance(record.exc_info[1], ClientDisconnect | ConnectionError)


async def serve(setup: ProcessSetup) -> None:
    """Serve until standard input ends."""
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
    hub = Hub(feed.rows, feed.ready, feed.access, ChangeListener(changed, logged))
    endpoint = server(hub, listen)
    clients = ClientSessions(endpoint, setup.secret, hub.summary)

    async def set_level(context: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        session_id = context.request.headers.get("mcp-session-id") if context.request is not None else None
        await hub.log_level(clients.set_level(session_id, params.level))  # type: ignore[arg-type]
        return types.EmptyResult()

    endpoint.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)
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
    ended = asyncio.Event()
    _watch_input(ended)
    # IPPROTO_TCP is given because asyncio sets TCP_NODELAY only then; Nagle would delay responses by 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform == "win32":  # without it, another program could take over the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        async with clients.run():
            listening = asyncio.create_task(feed.run(), name="listen to Amberlight")
            serving = asyncio.create_task(http.serve([listener]), name="serve")
            _report({"port": listener.getsockname()[1]})
            ending = asyncio.create_task(ended.wait(), name="wait for the end")
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            listen.close()
            listening.cancel()
            await hub.close()
            http.should_exit = True
            await serving


def _report(facts: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _watch_input(ended: asyncio.Event) -> None:
    """Set `ended` when standard input ends, from a thread; ends the process if the loop doesn't in time."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(ended.set)
        threading.Event().wait(EXIT_LIMIT)
        os._exit(0)  # something doesn't end, and nothing here is worth waiting for

    threading.Thread(target=wait, name="wait for the app's end", daemon=True).start()


def _first_line() -> bytes:
    """Byte by byte: nothing that follows may be buffered."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1)
        if not chunk or len(line) > LINE_MAX:
            break
        line += chunk
    return line
