"""The cost of the proxy: requests to an upstream directly, through Amberlight, and through an httpx2 proxy of the same job.

    .venv/bin/python packaging/bench/proxy.py [--quick] [--json] [--stream GB]

A 330-byte POST with a client's headers, 1,023 bytes of JSON back, keep-alive, at 1, 8 and 32 connections. The upstream
and the load generator are the same for all three and share the second processor; the measured process has the first to
itself. The rounds are short and the three take turns, so that other load affects all of them; each figure is the median.
On a busy machine, requests per second and times say little about the proxies; `cpu_us`, the processor time of one request
in the measured process, is reliable even then. Amberlight is the whole program without its tray, with engine, key check
and audit line in a log file; the httpx2 proxy has the same server, checks and log line.

`--stream` instead sends so many GB through Amberlight in each direction, and reports its memory meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import logging
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CONNECTIONS = (1, 8, 32)
ROUNDS, SECONDS = 9, 1.0
STACKS = ("direct", "amberlight", "httpx2")
KEY = "a-local-key-of-the-bench-0123456789"
QUESTION = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x" * 240}}).encode()
ANSWER = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "y" * 970}}).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
HEAD = """POST {path} HTTP/1.1\r
Host: {host}\r
Authorization: Bearer {key}\r
Accept: application/json, text/event-stream\r
Content-Type: application/json\r
{session}Mcp-Protocol-Version: 2025-11-25\r
User-Agent: bench\r
Content-Length: {length}\r
\r
"""

Figures = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    """Measure and print, or run as one of the processes of the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="one short round")
    options.add_argument("--json", action="store_true")
    options.add_argument("--stream", type=float, metavar="GB")
    options.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.role:
        globals()[given.role[0]](*given.role[1:])
        return
    with Scene() as scene:
        if given.stream:
            print(json.dumps(scene.stream(int(given.stream * (1 << 30)))))
            return
        found = scene.measure(rounds=1 if given.quick else ROUNDS)
    print(json.dumps(found) if given.json else table(found))


def table(found: Figures) -> str:
    """A readable table; ratios are to the httpx2 proxy."""
    lines = [f"{'':12}{'conn':>5}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'x httpx2':>10}{'by CPU':>9}"]
    for stack, rows in found.items():
        for count, row in rows.items():
            other = found["httpx2"][count]
            ratio, by_cpu = row["rps"] / other["rps"], other["cpu_us"] / max(row["cpu_us"], 1.0)
            times = f"{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row['cpu_us']:9.0f}"
            lines.append(f"{stack:12}{count:>5}{row['rps']:9.0f}{times}{ratio:10.2f}{by_cpu:9.2f}")
    return "\n".join(lines)


class Scene:
    """The benchmark's processes, in temporary directories, for the length of a `with` block."""

    def __enter__(self) -> Scene:
        from trayapp.oauthtest import OAuthServer

        self._stack = ExitStack()
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")))
        self._server = self._stack.enter_context(OAuthServer(check=False))
        self._upstream = self._start("upstream", cpu=1)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _start(self, *role: str, cpu: int, facts: dict[str, str | None] | None = None) -> str:
        """Start a role on this processor; returns its first line. It reads `facts` from stdin and ends with stdin."""
        process = self._stack.enter_context(_process(*role, cpu=cpu))
        assert process.stdin is not None
        assert process.stdout is not None
        if facts is not None:
            process.stdin.write(json.dumps(facts) + "\n")
            process.stdin.flush()
        line = process.stdout.readline().strip()
        assert line, f"{role[0]} did not start; see {self._root}"
        self.pid = process.pid
        return line

    def _amberlight(self, upstream: str) -> str:
        grant = self._server.issue(scope="mcp")
        facts = {
            "root": str(self._root / f"app-{time.monotonic_ns()}"),
            "url": f"http://{upstream}/mcp",
            "refresh_token": grant.refresh_token,
            "token_endpoint": self._server.token_endpoint,
            "client_id": self._server.client_id,
            "issuer": self._server.issuer,
        }
        return self._start("amberlight", cpu=0, facts=facts)

    def measure(self, *, rounds: int) -> Figures:
        """The figures of all three at every number of connections."""
        addresses = {
            "direct": (self._upstream, "/mcp", self.pid),
            "amberlight": (self._amberlight(self._upstream), "/w/bench", self.pid),
            "httpx2": (self._start("httpx2_proxy", self._upstream, str(self._root), cpu=0), "/w/bench", self.pid),
        }
        rows: dict[str, dict[str, list[dict[str, float]]]] = {s: {str(c): [] for c in CONNECTIONS} for s in STACKS}
        for number in range(-1, rounds):  # the first one only warms up
            for count in CONNECTIONS:
                for stack, (host, path, pid) in addresses.items():
                    before = _spent(pid)
                    with _process("load", host, path, str(count), str(SECONDS), cpu=1) as load:
                        assert load.stdout is not None
                        row = json.loads(load.stdout.readline())
                    row["cpu_us"] = (_spent(pid) - before) / (row["rps"] * SECONDS)
                    if number >= 0:
                        rows[stack][str(count)].append(row)
        return {s: {c: _median(found) for c, found in by_count.items()} for s, by_count in rows.items()}

    def stream(self, size: int) -> dict[str, float]:
        """Send `size` bytes down and up; returns resident memory before and at its peak, in MB, and the seconds taken."""
        from tests.proxy.streaming import sink_and_source

        found: dict[str, float] = {}
        with sink_and_source() as port:
            host = self._amberlight(f"127.0.0.1:{port}")
            for way in ("down", "up"):
                _transfer(host, way, 64 << 20)
            for way in ("down", "up"):
                before, began = _resident(self.pid), time.monotonic()
                peak = [before]
                done = threading.Event()
                watcher = threading.Thread(target=_watch, args=(self.pid, peak, done))
                watcher.start()
                assert size == _transfer(host, way, size)
                done.set()
                watcher.join()
                found |= {f"{way}_s": time.monotonic() - began, f"{way}_before_mb": before, f"{way}_peak_mb": peak[0]}
        return {name: round(value, 2) for name, value in found.items()}


@contextmanager
def _process(*role: str, cpu: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--role", *role]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(process.pid, {sorted(os.sched_getaffinity(0))[cpu]})
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.kill()
            process.wait()


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}


def _spent(pid: int) -> float:
    """Microseconds of processor time of its main thread, which runs the loop; 0 without /proc."""
    found = Path(f"/proc/{pid}/schedstat")
    return int(found.read_text().split()[0]) / 1000 if found.exists() else 0.0


def _resident(pid: int) -> float:
    """Resident memory, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _watch(pid: int, peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.02):
        peak[0] = max(peak[0], _resident(pid))


def _transfer(host: str, way: str, size: int) -> int:
    """One request through the proxy over a plain socket; returns the bytes that arrived at the other end."""
    name, _, port = host.partition(":")
    piece = bytes(1 << 18)
    with socket.create_connection((name, int(port))) as sock:
        method, path, length = ("GET", f"/w/bench/{size}", 0) if way == "down" else ("PUT", "/w/bench", size)
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n"
        sock.sendall(head.encode())
        for _ in range(length // len(piece)):
            sock.sendall(piece)
        with sock.makefile("rb") as reader:
            assert b" 200 " in reader.readline()
            left = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    left = int(line[15:])
            if way == "up":
                return int(reader.read(left))
            got = 0
            while got < left:
                got += len(reader.read1(1 << 18))
            return got


# --- the processes ---------------------------------------------------------------------------------------------------


def ready(address: str) -> None:
    """Print the address that this process listens on, and exit when stdin is closed."""
    print(address, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()


class UpstreamProtocol(asyncio.Protocol):
    """The minimum of HTTP that these requests need."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            assert b"authorization: bearer " in head
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(REPLY)


def upstream() -> None:
    """Answers every request with the same JSON."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(UpstreamProtocol, "127.0.0.1", 0)
        ready(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()

    asyncio.run(serve())


def amberlight() -> None:
    """The whole program without a tray, signed in; the login comes by stdin, never as an argument."""
    from trayapp.app import memory
    from trayapp.app.app import App
    from trayapp.app.logs import log_to_file
    from trayapp.app.parts import Parts
    from trayapp.config.loader import Config, Settings
    from trayapp.config.paths import Paths
    from trayapp.core.model import Login, Secret, Spec
    from trayapp.system.private_files import write_private
    from trayapp.vault.keystore import MemoryKeystore

    memory.single_heap()  # as `amberlight run` does: without it the cost of a read depends on what malloc has seen
    facts: dict[str, str] = json.loads(sys.stdin.readline())
    paths = Paths.under(Path(facts["root"]))
    paths.make()
    log_to_file(paths.log_file, "info")
    write_private(paths.keys_file, json.dumps({"version": 1, "keys": {"bench": KEY}}))
    shared: dict[str, Any] = {name: facts[name] for name in ("token_endpoint", "client_id", "issuer")}
    spec = Spec("bench", facts["url"], **shared)
    login = Login(1, "bench", Secret(facts["refresh_token"]), time.time(), scope="mcp", **shared)
    keystore = MemoryKeystore()
    asyncio.run(keystore.store("bench", login))
    parts = Parts(keystore=lambda: keystore, notifications=False, on_start=lambda control: memory.freeze_loaded())

    def announce() -> None:
        while not paths.server_file.exists():
            time.sleep(0.05)
        ready(json.loads(paths.server_file.read_text())["url"].removeprefix("http://"))

    threading.Thread(target=announce, daemon=True).start()
    App(paths, lambda: Config(Settings(port=0), {"bench": spec}), parts).run(tray=False)


def httpx2_proxy(upstream: str, root: str) -> None:
    """A straightforward proxy: the same server and the same checks, with httpx2 towards the upstream."""
    import httpx2
    from aiohttp import web

    from trayapp.app.logs import log_to_file
    from trayapp.proxy import headers

    log_to_file(Path(root) / "httpx2.log", "info")
    audit = logging.getLogger("audit")

    own = ""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False)

    async def handle(request: web.Request) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.headers.get("Host") != own or not hmac.compare_digest(shown, KEY):
            return web.Response(status=403)
        url = f"http://{upstream}/mcp" + request.raw_path.removeprefix("/w/bench")
        head = headers.to_upstream(request.headers.items(), request.headers.getall("Connection", ()), upstream, "token")
        sent = client.build_request(request.method, url, headers=list(head.items()), content=await request.read())
        answer = await client.send(sent, stream=True)
        try:
            audit.info("bench %s %s %d", request.method, upstream, answer.status_code)
            kept = headers.to_client(answer.headers.items(), answer.headers.get_list("connection"))
            response = web.StreamResponse(status=answer.status_code, headers=kept)
            await response.prepare(request)
            async for chunk in answer.aiter_raw():
                await response.write(chunk)
            return response
        finally:
            await answer.aclose()

    async def serve() -> None:
        nonlocal own
        app = web.Application()
        app.router.add_route("*", "/w/bench{rest:.*}", handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        own = f"127.0.0.1:{runner.addresses[0][1]}"
        ready(own)
        await asyncio.Event().wait()

    asyncio.run(serve())


def load(host: str, path: str, count: str, seconds: str) -> None:
    """Keep `count` connections busy for `seconds`, with one request at a time on each."""
    name, _, port = host.partition(":")
    request = _request(path, host, QUESTION, _session(name, int(port), path, host))
    poll = selectors.DefaultSelector()
    sent: dict[socket.socket, float] = {}
    got: dict[socket.socket, bytes] = {}
    for _ in range(int(count)):
        sock = socket.create_connection((name, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(sock, selectors.EVENT_READ, sock)
        got[sock], sent[sock] = b"", time.perf_counter()
        sock.sendall(request)
    took: list[float] = []
    began = time.perf_counter()
    until = began + float(seconds)
    while (now := time.perf_counter()) < until:
        for key, _ in poll.select(1.0):
            sock = key.data
            data = sock.recv(65536)
            assert data, "the connection was closed"
            got[sock] += data
            if not _whole(got[sock]):
                continue
            now = time.perf_counter()
            took.append(now - sent[sock])
            got[sock], sent[sock] = b"", now
            sock.sendall(request)
    lasted = time.perf_counter() - began
    took.sort()
    p50, p99 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
    print(json.dumps({"rps": len(took) / lasted, "p50_ms": p50, "p99_ms": p99}), flush=True)


def _request(path: str, host: str, body: bytes, session: str = "") -> bytes:
    return HEAD.format(path=path, host=host, key=KEY, length=len(body), session=session).encode() + body


def _session(name: str, port: int, path: str, host: str) -> str:
    """The header of an MCP session, begun as every client does; the stand-ins that have none get a made-up one."""
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}})
    with socket.create_connection((name, port)) as sock:
        sock.sendall(_request(path, host, hello.encode()))
        head = sock.recv(65536).decode().lower()
    found = [line for line in head.split("\r\n") if line.startswith("mcp-session-id:")]
    return f"{found[0] if found else 'Mcp-Session-Id: 0123456789abcdef'}\r\n"


def _whole(data: bytes) -> bool:
    """Whether the answer is complete; all three end in the same body, by length or as the last chunk."""
    assert data.startswith(b"HTTP/1.1 200"), data[:200]
    return data.endswith((ANSWER, ANSWER + b"\r\n0\r\n\r\n"))


if __name__ == "__main__":
    main()
