"""Programs that use the workloads during a soak (`soak.py`): what they get doesn't matter, what they leave behind does."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.desktop.program import Program


class Clients:
    """Calls, MCP sessions and event streams from a thread of their own, about fifteen a second."""

    def __init__(self, program: Program, names: Sequence[str], abandoned: int) -> None:
        """`abandoned` MCP sessions are left behind in the beginning: from then on each new one displaces one of these."""
        self._program = program
        self._abandoned = abandoned
        self._names = names
        self._random = random.Random(2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="clients")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _work(self) -> None:
        api = self._program.client()
        access = {name: api.client(name) for name in self._names}
        for number in range(self._abandoned):
            if self._over.is_set():
                return
            name = self._names[number % len(self._names)]
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._session(urlsplit(access[name]["url"]), access[name]["headers"], leaves=False)
        uses = (self._call, self._call, self._session, self._stream)
        while not self._over.wait(0.05):
            name = self._random.choice(self._names)
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._random.choice(uses)(urlsplit(access[name]["url"]), access[name]["headers"])

    def _call(self, url: Any, headers: dict[str, str]) -> None:
        """One call by a plain program."""
        self._ask(url, headers, "POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})

    def _session(self, url: Any, headers: dict[str, str], leaves: bool | None = None) -> None:
        """An MCP client that comes, calls a tool and leaves; every other one without a word."""
        accepts = {**headers, "Accept": "application/json, text/event-stream"}
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
        session = self._ask(url, accepts, "POST", rpc("initialize", about))
        accepts |= {"Mcp-Session-Id": session or "", "Mcp-Protocol-Version": "2025-06-18"}
        self._ask(url, accepts, "POST", rpc("tools/call", {"name": "echo", "arguments": {"message": "hello"}}))
        if self._random.random() < 0.5 if leaves is None else leaves:
            self._ask(url, accepts, "DELETE", None)

    def _stream(self, url: Any, headers: dict[str, str]) -> None:
        """A dashboard that opens the event stream, and is closed in the middle."""
        api = self._program.client()
        connection = http.client.HTTPConnection(url.netloc, timeout=2)
        connection.request("GET", "/api/v1beta/events", headers={"Authorization": f"Bearer {api.key.reveal()}"})
        connection.getresponse().read(64)
        connection.close()

    @staticmethod
    def _ask(url: Any, headers: dict[str, str], method: str, body: dict[str, Any] | None) -> str | None:
        """One request on a connection of its own; the session id of the response."""
        connection = http.client.HTTPConnection(url.netloc, timeout=10)
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, url.path, sent, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.headers.get("Mcp-Session-Id")
        finally:
            connection.close()


def rpc(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
