"""ToolHive's `thv` as an optional peer: workloads of its own that are signed in and serve the same upstream.

Nothing here builds or installs it: the scripts take a program from `--thv` or AMBERLIGHT_BENCH_THV, and README.md says how
to build one. It wants a container runtime even for remote workloads, so it gets one without containers. Its home, its
configuration and its state lie below the benchmark's directory, and its logins stay in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from peer import PeerMissingError, free_ports

if TYPE_CHECKING:
    from trayapp.oauthtest import OAuthServer

VARIABLE = "AMBERLIGHT_BENCH_THV"
START_LIMIT = 60.0  # s until a workload is signed in and serves
LIFETIME = 86400  # s of an access token: none is refreshed meanwhile
TAIL = 300  # characters of its output that an error quotes
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}


def add_option(options: argparse.ArgumentParser) -> None:
    """`--thv PROGRAM`."""
    options.add_argument(
        "--thv", metavar="PROGRAM", help=f"measure this build of ToolHive's thv too (or set {VARIABLE})"
    )


def program(option: str | None) -> Path | None:
    """The program to measure; None if nobody named one. Raises `PeerMissingError`."""
    named = option or os.environ.get(VARIABLE)
    if not named:
        return None
    found, source = Path(named).absolute(), "--thv" if option else VARIABLE
    if not found.exists():
        raise PeerMissingError(f"{source} names {found}, which doesn't exist. README.md says how to build thv.")
    if not found.is_file() or not os.access(found, os.X_OK):
        raise PeerMissingError(f"{source} names {found}, which isn't an executable file.")
    return found


class Thv:
    """The peer with everything it needs below `root`, for the length of a `with` block; workloads end with it."""

    def __init__(self, program: Path, root: Path, server: OAuthServer, limit: float = START_LIMIT) -> None:
        self._program = program
        self._server = server
        self._root = root
        self._limit = limit
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._socket = self._root / "runtime.sock"
        self._root.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(_serving(_RuntimeServer(str(self._socket), _Runtime)))
        self._issuer = _Issuer(self._server)
        self._stack.enter_context(_serving(self._issuer))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def workload(self, name: str, url: str, cpu: int | None = None) -> Workload:
        """Start a workload in its own process and sign it in. Raises `PeerMissingError`.

        With `cpu` it runs on this processor alone and so sees one.
        """
        found = Workload(name, free_ports(2), self._root / f"{name}.log")
        words = [str(self._program), "run", "--foreground", "--name", name]
        words += ["--proxy-port", str(found.port), "--transport", "streamable-http"]
        words += ["--remote-auth", "--remote-auth-skip-browser", "--remote-auth-callback-port", str(found.callback)]
        words += ["--remote-auth-authorize-url", f"{self._issuer.url}/authorize"]
        words += ["--remote-auth-token-url", f"{self._issuer.url}/token", "--remote-auth-client-id", "bench", url]
        with found.log.open("wb") as output, _on_processor(cpu):
            try:
                found.process = subprocess.Popen(
                    words, env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            except OSError as error:
                raise PeerMissingError(f"{self._program} can't be started: {error.strerror}.") from None
        self._stack.callback(found.end)
        self._signed_in(found)
        return found

    def _environment(self) -> dict[str, str]:
        places = {
            f"XDG_{place}_HOME": str(self._root / place.lower()) for place in ("CONFIG", "DATA", "STATE", "CACHE")
        }
        return {
            **places,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._root),
            "XDG_RUNTIME_DIR": str(self._root),
            "TOOLHIVE_DOCKER_SOCKET": str(self._socket),
            "TOOLHIVE_SKIP_UPDATE_CHECK": "true",
            "TOOLHIVE_SECRETS_PROVIDER": "environment",
        }

    def _signed_in(self, workload: Workload) -> None:
        """Open the sign-in page that it prints, and wait until it serves."""
        from trayapp.oauthtest.browser import browse

        end, stage = time.monotonic() + self._limit, "print a sign-in address"
        while time.monotonic() < end:
            if (code := workload.process.poll()) is not None:
                raise PeerMissingError(f"thv ended with {code} before it served.{workload.tail()}")
            if stage != "serve" and (address := workload.printed(f"{self._issuer.url}/authorize")):
                stage = "take the answer of its sign-in"
                with contextlib.suppress(OSError):  # it prints the address before it listens for the answer
                    browse(address)
                    stage = "serve"
            if stage == "serve" and workload.serves():
                return
            time.sleep(0.1)
        raise PeerMissingError(f"thv didn't {stage} within {self._limit:g} seconds.{workload.tail()}")


class Workload:
    """One process of the peer. `host` and `path` are where it serves."""

    path = "/mcp"
    process: subprocess.Popen[bytes]

    def __init__(self, name: str, ports: Sequence[int], log: Path) -> None:
        self.name = name
        self.port, self.callback = ports
        self.host = f"127.0.0.1:{self.port}"
        self.log = log

    def printed(self, start: str) -> str:
        """The first word of its output that begins so."""
        words = self.log.read_text(errors="replace").split()
        return next((word for word in words if word.startswith(start)), "")

    def serves(self) -> bool:
        """Whether a client gets an answer."""
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        request = urllib.request.Request(f"http://{self.host}{self.path}", json.dumps(HELLO).encode(), head)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # an HTTPError is one
            return False

    def tail(self) -> str:
        """What its output ends with, as a sentence."""
        text = " ".join(self.log.read_text(errors="replace").split())[-TAIL:]
        return f" Its output ends with: {text}" if text else " It printed nothing."

    def end(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def _on_processor(number: int | None) -> Iterator[None]:
    """What this thread starts meanwhile runs on one processor, counted among those that it may use."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if number is None or len(before) < 2:
        yield
        return
    os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Handler(BaseHTTPRequestHandler):
    """One answer after another on each connection, without a log."""

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return ""  # a Unix socket's client has no address

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, body: bytes, status: int = 200, **head: str) -> None:
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Runtime(_Handler):
    """Answers pings as a container runtime does, and lists nothing."""

    def do_GET(self) -> None:
        ping, lists = "_ping" in self.path, "/containers/" in self.path
        body = b"OK" if ping else b"[]" if lists else b"{}"
        kind = "text/plain" if ping else "application/json"
        self.reply(body, Api_Version="1.44", Ostype="linux", Content_Type=kind)

    do_HEAD = do_POST = do_GET  # noqa: N815 - http.server's names


class _RuntimeServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _SignIn(_Handler):
    """Consents immediately. `oauthtest` would refuse thv's redirect to `localhost` (RFC 8252 section 8.3)."""

    server: _Issuer

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        answer = urlencode({"code": "bench", "state": asked["state"][0]})
        self.reply(b"", 303, Location=f"{asked['redirect_uri'][0]}?{answer}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        grant = self.server.tokens.issue(scope="mcp")
        facts = {"access_token": grant.access_token, "token_type": "Bearer", "refresh_token": grant.refresh_token}
        self.reply(json.dumps({**facts, "expires_in": LIFETIME}).encode(), Content_Type="application/json")


class _Issuer(ThreadingHTTPServer):
    """The authorization server of the workloads: gives out what `tokens` issues."""

    def __init__(self, tokens: OAuthServer) -> None:
        super().__init__(("127.0.0.1", 0), _SignIn)
        self.tokens = tokens
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve on a thread of its own."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
