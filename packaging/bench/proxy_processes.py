"""The processes of `proxy.py`: upstream, Amberlight, the httpx2 proxy and the load generator.

Each is a function here, run as `proxy_processes.py NAME ARGUMENT...`. What serves prints its address and ends with stdin.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import selectors
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

TREE = "AMBERLIGHT_BENCH_TREE"  # the checkout to measure; this one if it isn't set
ROOT = Path(os.environ.get(TREE) or Path(__file__).resolve().parents[2])
sys.path.insert(0, str(ROOT))

KEY = "a-local-key-of-the-bench-0123456789"
QUESTION = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x" * 240}}).encode()
ANSWER = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "y" * 970}}).encode()
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(ANSWER)
REPLY = JSON_HEAD + b"\r\n" + ANSWER
HELLO = JSON_HEAD + b"Mcp-Session-Id: 5f0c8b1e-93a7-4d62-8a55-1c7e0f6b2d94\r\n\r\n" + ANSWER
NO_TOKEN = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="bench"\r\nContent-Length: 0\r\n\r\n'
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
            self._buffer = self._buffer[end + 4 + length :]
            answer = REPLY if b"mcp-session-id: " in head else HELLO
            self._transport.write(answer if b"authorization: bearer " in head else NO_TOKEN)


def upstream() -> None:
    """Answers every request that has a token with the same JSON."""

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
    from trayapp.cli.client import ApiClient
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
        client = ApiClient.find(paths.runtime_dir)
        while client.status("bench")["status"] != "running":  # a session begun without a token is not the upstream's
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
    """The header of an MCP session, begun as every client does."""
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}})
    with socket.create_connection((name, port)) as sock:
        sock.sendall(_request(path, host, hello.encode()))
        head = sock.recv(65536).decode().lower()
    found = [line for line in head.split("\r\n") if line.startswith("mcp-session-id:")]
    assert found, head[:200]
    return f"{found[0]}\r\n"


def _whole(data: bytes) -> bool:
    """Whether the answer is complete; all three end in the same body, by length or as the last chunk."""
    assert data.startswith(b"HTTP/1.1 200"), data[:200]
    return data.endswith((ANSWER, ANSWER + b"\r\n0\r\n\r\n"))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
