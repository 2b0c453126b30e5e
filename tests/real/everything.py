"""npm's server-everything as a process, and a guard in front of it that requires the tokens of an `OAuthServer`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.real import node
from tests.requirements import skip_or_fail
from trayapp.oauthtest import OAuthServer

START_LIMIT = 30.0  # s; it is up in a second on an idle machine
HOP = {"host", "authorization", "connection", "transfer-encoding", "content-length", "keep-alive"}


@contextlib.contextmanager
def everything(transport: str) -> Iterator[str]:
    """Its URL; `transport` is streamableHttp or sse."""
    script = node.packages() / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [node.node(), script, transport],
        env=os.environ | {"PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + START_LIMIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1.0):
                break
            assert process.poll() is None, "server-everything ended"
            assert time.monotonic() < end, "server-everything did not start"
            time.sleep(0.05)
        yield f"http://localhost:{port}/{'sse' if transport == 'sse' else 'mcp'}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def everything_by(transports: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The URLs by name of one server for each transport; the test is skipped where npm's packages are missing."""
    try:
        node.packages()
    except node.NodeMissing as error:
        skip_or_fail(str(error))
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(everything(transport)) for name, transport in transports.items()}


@dataclass
class Guard:
    """What the guard has seen. `rejections` counts 401s; `asked` holds every method and path."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    rejections: int = 0
    distrust: int = 0  # so many further requests are rejected, however good their tokens


@contextlib.asynccontextmanager
async def guarded(server: OAuthServer, url: str) -> AsyncIterator[Guard]:
    """Let requests with a valid token through to `url`; answer any other with a challenge (RFC 9728)."""
    guard = Guard()
    origin, _, path = url.rpartition("/")

    async def handle(request: web.Request) -> web.StreamResponse:
        guard.asked.append(f"{request.method} {request.path}")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path.startswith("/.well-known/"):
            return web.json_response({"resource": guard.url, "authorization_servers": [server.issuer]})
        if guard.distrust or not server.valid_access(token):
            guard.distrust = max(0, guard.distrust - 1)
            guard.rejections += 1
            metadata = f"{guard.url.rpartition('/')[0]}/.well-known/oauth-protected-resource"
            challenge = f'Bearer error="invalid_token", resource_metadata="{metadata}"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        body = await request.read()
        async with client.request(request.method, origin + request.raw_path, headers=headers, data=body) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    guard.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{path}"
    try:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as client:
            yield guard
    finally:
        await runner.cleanup()
