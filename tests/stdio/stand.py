"""`amberlight stdio` in this process: a stand-in for the running app, and the client's end of its pipes."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from tests.access import make_private
from trayapp.config.paths import Paths
from trayapp.oauthtest.background import Background
from trayapp.stdio.bridge import Bridge
from trayapp.stdio.lines import Output, encode
from trayapp.stdio.place import Target
from trayapp.stdio.reach import Reach

Json = dict[str, Any]
KEY = "canary-local-key-0123456789"
LIMIT = 60.0  # s
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
MODERN = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
NOT_RUNNING = "Amberlight isn't running. Start it: amberlight run"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class App:
    """In the app's place: checks the key, and has `handler` answer `/w/lab`. `start` and `stop` as often as wanted."""

    def __init__(self, root: Path, handler: Handler) -> None:
        self.paths = Paths.under(root)
        self.paths.make()
        self._handler = handler
        self._server: Background | None = None
        self._ended: list[Background] = []
        self.key = KEY
        self.shown: list[str] = []
        self.write_keys(lab=KEY)

    def write_keys(self, **keys: str) -> None:
        self.paths.keys_file.write_text(json.dumps({"version": 1, "keys": keys}))
        make_private(self.paths.keys_file)

    def start(self) -> None:
        """Listen, on another port each time."""
        self._server = Background(self._made, name="app")
        self._server.start()
        info = {"url": self._server.url, "pid": os.getpid(), "api_key": "canary-api-key", "version": "1"}
        self.paths.server_file.write_text(json.dumps(info))
        make_private(self.paths.server_file)

    def stop(self) -> None:
        """As a quit does it."""
        self.crash()
        self.paths.server_file.unlink(missing_ok=True)

    def crash(self) -> None:
        """End without a word."""
        if self._server is not None:
            before = -1
            while before != self._server.connections:  # asyncio forgets one that is being accepted when it stops
                before = self._server.connections
                time.sleep(0.05)
            self._server.down()
            self._ended.append(self._server)
            self._server = None

    def close(self) -> None:
        """After the client: nobody may be connecting any more."""
        self.stop()
        for each in self._ended:
            each.stop()

    def _made(self) -> web.Application:
        made = web.Application(client_max_size=64 << 20)
        made.router.add_route("*", "/{rest:.*}", self._handle)
        return made

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.shown.append(request.headers.get("Authorization", ""))
        if self.shown[-1] != f"Bearer {self.key}":
            error = {"code": -32600, "message": "This needs the local key of a workload."}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=403)
        return await self._handler(request)


class Starter:
    """Starts nothing, unless the test says how."""

    def __init__(self) -> None:
        self.asked = 0
        self.start: Callable[[], None] | None = None

    def ensure(self) -> tuple[bool, str]:
        self.asked += 1
        if self.start is None:
            return False, NOT_RUNNING
        start, self.start = self.start, lambda: None
        start()
        return True, "Amberlight is starting."


class Client:
    """The client of a bridge. `lines` is everything that the bridge wrote."""

    def __init__(self, app: App, name: str | None = "lab") -> None:
        self.starter = Starter()
        self._read, self._write = os.pipe()
        self.bridge = Bridge(Reach(app.paths, Target.of(name), self.starter), Output(self._write, lambda: None))
        self.lines: list[Json] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._run, name="client", daemon=True)
        self._reader.start()
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bridge.close()
        os.close(self._write)
        self._reader.join(LIMIT)

    def _run(self) -> None:
        with os.fdopen(self._read, "rb") as file:
            for line in file:
                with self._news:
                    self.lines.append(json.loads(line))
                    self._news.notify_all()

    def send(self, method: str, params: Json | None = None, id_: int | str | None = None) -> None:
        message: Json = {"jsonrpc": "2.0", "method": method}
        message |= {} if id_ is None else {"id": id_}
        self.bridge.handle(encode(message | ({} if params is None else {"params": params})))

    def begin(self, method: str, params: Json | None = None) -> int:
        """Send a request; its id."""
        self._number += 1
        self.send(method, params, self._number)
        return self._number

    def answer(self, id_: int | str | None) -> Json:
        """The response to a request."""
        return self.wait(lambda line: line.get("id", "") == id_ and "method" not in line)

    def ask(self, method: str, params: Json | None = None) -> Json:
        return self.answer(self.begin(method, params))

    def call(self, **arguments: Any) -> str:
        """Call the tool; what the model reads."""
        said = self.ask("tools/call", {"name": "echo", "arguments": arguments})
        return str(said["result"]["content"][0]["text"])

    def connect(self) -> Json:
        """The handshake; the result of `initialize`."""
        result = self.ask("initialize", INITIALIZE)["result"]
        self.send("notifications/initialized")
        assert isinstance(result, dict)
        return result

    def notified(self, method: str) -> Json:
        return self.wait(lambda line: line.get("method") == method)

    def wait(self, wanted: Callable[[Json], bool]) -> Json:
        end = time.monotonic() + LIMIT
        with self._news:
            while (found := next((line for line in self.lines if wanted(line)), None)) is None:
                assert self._news.wait(end - time.monotonic()), self.lines
        return found


def until(holds: Callable[[], object], what: str = "") -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"gave up waiting for {what}"
        time.sleep(0.01)
