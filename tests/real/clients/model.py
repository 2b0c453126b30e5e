"""A scripted language model on loopback, so that agents call tools without an account.

It speaks the four interfaces that agents use (`dialects.py`). The prompt is the script: `CALL echo {"text": "a"}` calls the
offered tool of that name, and the tool's result is repeated as the answer; `SAY word` says the word. A tool that is not
offered is answered with `NO TOOL`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

from tests.real.clients.dialects import DIALECTS, Answer, Asked, Dialect

STEP = re.compile(r"^\s*(CALL|SAY)\s+(\S+)\s*(\{.*\})?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """What an agent asked: the tools that it offered, and the results that it sent back for this prompt."""

    body: Any
    offered: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


class Model:
    """Alive inside its `with`. `requests` are those that offered tools: others ask for titles and the like."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="model")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, body: Any, asked: Asked) -> Answer:
        """What is to be done now."""
        if not asked.tools:
            return Answer("a title")
        steps, results = _script(asked.turns)
        self.requests.append(Request(body, [tool.name for tool in asked.tools], results))
        if not steps:
            return Answer("ok")
        verb, word, arguments = steps[-1]
        if verb == "SAY":
            return Answer(word)
        if results:
            return Answer(f"RESULT {results[-1]}")
        for tool in asked.tools:
            if re.search(rf"(^|[_./-]){re.escape(word)}$", tool.name):
                return Answer(call=tool, arguments=json.loads(arguments or "{}"))
        return Answer(f"NO TOOL {word}")


def _script(turns: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The steps of the last prompt that has any, and the results that followed it."""
    for number in range(len(turns) - 1, -1, -1):
        who, text = turns[number]
        if who == "user" and (steps := STEP.findall(text)):
            return steps, [said for each, said in turns[number:] if each == "result"]
    return [], []


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    model: Model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Agents drop connections when they end."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._whole({})

    def do_GET(self) -> None:
        self._whole({"object": "list", "data": [], "models": []})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        dialect = next((each for each in DIALECTS if each.serves(path)), None)
        if dialect is None:
            self._whole({"input_tokens": 10, "totalTokens": 10})
            return
        body = json.loads(raw)
        answer = cast(_Server, self.server).model.answer(body, dialect.read(body))
        if dialect.streams(path, body):
            self._stream(dialect, answer)
        else:
            self._whole(dialect.whole(answer, body))

    def _whole(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, dialect: Dialect, answer: Answer) -> None:
        events = "".join(dialect.events(answer)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(events)))
        self.end_headers()
        self.wfile.write(events)
