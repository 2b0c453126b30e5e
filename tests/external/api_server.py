"""`ApiServer`: ToolHive's API with the answers of a test, on a loopback port or a Unix socket."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NONCE = "nonce"


@dataclass
class Answer:
    """One answer. `hold` is waited for before its body is complete."""

    status: int = 202
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    raw: bytes | None = None  # in place of everything


class ApiServer:
    """`answers` by method and path; 404 otherwise. `asked` are the requests so far; `on_request` sees each of them."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"GET /health": Answer(204, headers={"X-Toolhive-Nonce": NONCE})}
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.on_request: Callable[[str], None] = lambda _: None
        self.url = ""

    def lists(self, *rows: Mapping[str, object]) -> None:
        body = json.dumps({"workloads": list(rows) or None}).encode()
        self.answers["GET /api/v1beta/workloads?all=true"] = Answer(200, body)

    def acts(self, name: str, verb: str, answer: Answer | None = None) -> None:
        self.answers[f"POST /api/v1beta/workloads/{name}/{verb}"] = answer or Answer()

    @contextlib.contextmanager
    def on_port(self) -> Iterator[ApiServer]:
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            yield from self._running(server)

    @contextlib.contextmanager
    def on_socket(self, path: Path) -> Iterator[ApiServer]:
        """Linux alone."""

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        with Server(str(path), self._handler()) as server:
            self.url = f"unix://{path}"
            yield from self._running(server)

    def _running(self, server: socketserver.BaseServer) -> Iterator[ApiServer]:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for answer in self.answers.values():
                if answer.hold is not None:
                    answer.hold.set()
            server.shutdown()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self) -> str:
                return ""

            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                what = f"{self.command} {self.path}"
                api.asked.append(what)
                api.headers.append(dict(self.headers))
                api.on_request(what)
                answer = api.answers.get(what, Answer(404, b"404 page not found"))
                self.close_connection = True
                if answer.raw is not None:
                    self.wfile.write(answer.raw)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[:1])
                if answer.hold is not None:
                    answer.hold.wait(10)
                with contextlib.suppress(OSError):
                    self.wfile.write(answer.body[1:])

            do_GET = do_POST = answer

        return Handler
