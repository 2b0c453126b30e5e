"""`amberlight stdio` while the app runs: what it adds to a client's start and to a call, and the memory of its process.

    .venv/bin/python packaging/bench/stdio.py [--runs 10] [--quick] [--json]

A start is measured from the process to the answer to `initialize`, less the same request sent straight to the app in the
same run; Python's own start is part of it. The server is the official SDK's behind a sign-in, and app and server run in
one process, so that only differences mean something. Memory is read after twenty calls, as in `memory.py`.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from figures import Figure, options, show
from memory import memory
from peer import own_python

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CALLS = 20
SETTLE = 1.0  # s until memory is read
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
BIG = 20 << 20  # bytes of one answer

Json = dict[str, Any]


def main() -> None:
    """Measure and print."""
    given = options(__doc__, runs=10).parse_args()
    show(measure(2 if given.quick else given.runs), given)


def measure(runs: int) -> list[Figure]:
    """Starts and calls through the bridge and without it, in turns; the first of each only warms up."""
    from tests.real.clients.site import Site

    found: dict[str, list[float]] = {
        what: [] for what in ("start", "bare", "processor", "call", "memory", "big", "after")
    }
    with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root, Site(Path(root, "app")) as site:
        site.start()
        site.becomes("running")
        environment = places(Path(root), site.root)
        for number in range(runs + 1):
            direct = Direct(site.url, dict(site.headers))
            began = time.perf_counter()
            direct.ask("initialize", INITIALIZE)
            hello = time.perf_counter() - began
            direct.tell()
            began = time.perf_counter()
            bridge = Bridge(environment)
            bridge.ask("initialize", INITIALIZE)
            start = time.perf_counter() - began
            used_time = processor_time(bridge.process.pid)
            bridge.tell()
            calls = [seconds(ask.call) for _ in range(CALLS) for ask in (direct, bridge)]
            time.sleep(SETTLE)
            used = memory(bridge.process.pid)["PSS alone"]
            site.upstream.more = BIG // 2  # the answer has it twice: as text and as structured content
            big = seconds(bridge.call)
            site.upstream.more = 0
            time.sleep(SETTLE)
            after = memory(bridge.process.pid)["PSS alone"]
            bridge.end()
            began = time.perf_counter()
            subprocess.run([own_python(), "-c", "pass"], check=True)
            bare = time.perf_counter() - began
            if number:
                found["start"].append((start - hello) * 1000)
                found["bare"].append(bare * 1000)
                found["processor"].append(used_time)
                found["call"].append(1000 * (sum(calls[1::2]) - sum(calls[::2])) / CALLS)
                found["memory"].append(used)
                found["big"].append(big)
                found["after"].append(after)
    return [
        Figure("stdio: start, beyond an initialize without it", "ms", tuple(found["start"]), budget=150, stretch=100),
        Figure("of this, Python's own start", "ms", tuple(found["bare"])),
        Figure("processor time until then", "ms", tuple(found["processor"])),
        Figure("stdio: a call, beyond one without it", "ms", tuple(found["call"])),
        Figure("stdio: memory after 20 calls (PSS alone)", "MB", tuple(found["memory"]), budget=24, stretch=18),
        Figure("stdio: an answer of 20 MB", "s", tuple(found["big"])),
        Figure("stdio: memory after it", "MB", tuple(found["after"])),
    ]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor_time(pid: int) -> float:
    """Milliseconds, of all threads."""
    tasks = Path("/proc", str(pid), "task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e6


def places(root: Path, app: Path) -> dict[str, str]:
    """The environment in which the command finds the app, whose files are all below one directory."""
    for name in ("state", "run"):
        (root / name).mkdir(mode=0o700)
        (root / name / "amberlight").symlink_to(app / name)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    own = {"HOME": str(root), "XDG_STATE_HOME": str(root / "state"), "XDG_RUNTIME_DIR": str(root / "run")}
    return {**kept, **own, "PYTHONPATH": str(ROOT)}


class Asks:
    """A client. `_exchange` sends a message and returns the response, if there is one."""

    number = 0

    def _exchange(self, message: Json) -> Json:
        raise NotImplementedError

    def ask(self, method: str, params: Json) -> Json:
        self.number += 1
        return self._exchange({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})

    def tell(self) -> None:
        self._exchange({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self) -> None:
        answer = self.ask("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        assert "result" in answer, str(answer)[:500]
        assert answer["result"]["content"][0]["text"].startswith("echo: x")


class Bridge(Asks):
    """Over stdin and stdout."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [own_python(), "-m", "trayapp", "stdio", "lab"]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=environment["HOME"]
        )

    def _exchange(self, message: Json) -> Json:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        while "id" in message:
            line = json.loads(self.process.stdout.readline())
            if line.get("id") == message["id"]:
                return dict(line)
        return {}

    def end(self) -> None:
        self.process.communicate(timeout=30)


class Direct(Asks):
    """Over HTTP, with one connection."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        address = urlsplit(url)
        self._path = address.path
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port)
        self._headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **headers}

    def _exchange(self, message: Json) -> Json:
        self._connection.request("POST", self._path, json.dumps(message), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if (session := answer.headers.get("Mcp-Session-Id")) is not None:
            self._headers["Mcp-Session-Id"] = session
        for line in text.splitlines():
            if line.startswith((b"{", b"data:")):
                return dict(json.loads(line.removeprefix(b"data:")))
        return {}


if __name__ == "__main__":
    main()
