"""MCP servers of other projects that require a sign-in: FastMCP with remote auth, and those of the official SDKs.

Each is a process of its own on a free port and announces its authorization server itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.real import node

START_LIMIT = 60.0  # s; FastMCP imports for a few seconds on a busy machine
HERE = Path(__file__).resolve().parent


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def fastmcp(issuer: str) -> Iterator[str]:
    """Run it; yields its URL. It accepts tokens of `issuer` made for it, with the scope mcp."""
    port = free_port()
    with _running([sys.executable, str(HERE / "fastmcp_server.py"), issuer, str(port)], {}, (port,)):
        yield f"http://127.0.0.1:{port}/mcp"


def fastmcp_missing() -> str:
    """What isn't installed, or ""."""
    return (
        "" if importlib.util.find_spec("fastmcp") else "the Python package fastmcp-slim: pip install 'amberlight[test]'"
    )


@contextlib.contextmanager
def sdk_server(issuer: str) -> Iterator[str]:
    """The same with the official Python SDK alone."""
    port = free_port()
    with _running([sys.executable, str(HERE / "sdk_server.py"), issuer, str(port)], {}, (port,)):
        yield f"http://127.0.0.1:{port}/mcp"


@contextlib.contextmanager
def sdk_example() -> Iterator[str]:
    """The URL of the TypeScript SDK's example server, which has its own authorization server."""
    script = node.packages() / "node_modules/@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js"
    port, auth = free_port(), free_port()
    ports = {"MCP_PORT": str(port), "MCP_AUTH_PORT": str(auth)}
    with _running([str(node.node()), str(script), "--oauth", "--oauth-strict"], ports, (port, auth)):
        yield f"http://localhost:{port}/mcp"


@contextlib.contextmanager
def _running(command: Sequence[str], more: Mapping[str, str], ports: Sequence[int]) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=os.environ | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + START_LIMIT
        for port in ports:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1.0):
                    break
                assert process.poll() is None, f"{Path(command[1]).name} ended"
                assert time.monotonic() < end, f"{Path(command[1]).name} did not start"
                time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()
