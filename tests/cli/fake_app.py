"""A small HTTP server in place of the running app: checks each request and answers as a test says."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from trayapp.core.model import Secret
from trayapp.server.serverfile import ServerInfo, publish

KEY = "canary-api-key"
Reply = tuple[int, Any]


def row(name: str = "github", status: str = "running", detail: str = "ok", **auth: Any) -> dict[str, Any]:
    """One row of the list as the app sends it."""
    return {
        "name": name,
        "package": "",
        "url": f"https://{name}.example.com/mcp",
        "port": 8765,
        "transport_type": "streamable-http",
        "status": status,
        "status_context": "",
        "created_at": "2026-01-02T03:04:05.000Z",
        "remote": True,
        "started_at": "2026-01-02T03:04:05.000Z",
        "health": "healthy",
        "auth": {
            "detail": detail,
            "since": "2026-01-02T03:04:05.000Z",
            "attempts": 0,
            "last_outcome": None,
            "last_error": None,
            "last_trigger": None,
            "next_attempt_at": None,
            "ceiling_at": None,
            "usable": status == "running",
            "token_expires_at": None,
            "retrying_since": None,
            "last_refreshed_at": None,
            "lost_rotations": 0,
            "signing_in": False,
        }
        | auth,
    }


@dataclass
class FakeApp:
    """Scripted responses by `METHOD /path`; the last one of a list is repeated. Records the requests."""

    replies: dict[str, Reply | list[Reply] | Callable[[Any], Reply]] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, what: str, body: Any) -> Reply:
        self.requests.append((what, body))
        reply = self.replies.get(what)
        if reply is None:
            return 404, {"error": "unknown_workload", "message": "There's no workload of this name."}
        if callable(reply):
            return reply(body)
        if isinstance(reply, list):
            return reply.pop(0) if len(reply) > 1 else reply[0]
        return reply

    def bodies(self, what: str) -> list[Any]:
        """The bodies of the requests to this method and path."""
        return [body for asked, body in self.requests if asked == what]


@contextmanager
def running(runtime_dir: Path, *, key: str = KEY) -> Iterator[FakeApp]:
    """Run the fake app, with its `server.json` (which names `key`) in this directory."""
    app = FakeApp()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            super().handle_one_request()

        def respond(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body: Any
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                status, body = 403, {"error": "forbidden", "message": "no"}
            else:
                path = self.path.replace("/api/v1beta", "", 1)
                status, body = app.answer(f"{self.command} {path}", json.loads(content) if content else None)
            data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = respond

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="fake app")
    thread.start()
    app.url = f"http://127.0.0.1:{server.server_address[1]}"
    publish(runtime_dir, ServerInfo(app.url, os.getpid(), Secret(key), "2026-01-02T03:04:05Z", "0.1.0"))
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
