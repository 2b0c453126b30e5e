"""A git server over https: git's own http-backend behind a check of the password, and a note of what came."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

BODY_MAX = 1 << 20  # bytes of one request; a test pushes less


@dataclass
class GitServer:
    """`seen` has the user and password of each request, or None for one without."""

    root: Path
    valid: Callable[[str], bool]
    port: int = 0
    seen: list[tuple[str, str] | None] = field(default_factory=list)
    moved_to: str = ""  # address of another server, to which every request is sent on

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def url(self, name: str = "code.git", user: str = "") -> str:
        return f"https://{user}{'@' if user else ''}{self.host}/{name}"

    def make(self, name: str = "code.git") -> None:
        """An empty repository that takes pushes."""
        subprocess.run(["git", "init", "--quiet", "--bare", self.root / name], check=True)
        subprocess.run(["git", "-C", self.root / name, "config", "http.receivepack", "true"], check=True)


@contextmanager
def git_server(root: Path, authority: trustme.CA, valid: Callable[[str], bool]) -> Iterator[GitServer]:
    """Run one on a free port of localhost, with a certificate of this authority."""
    root.mkdir()
    git = GitServer(root, valid)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.serve(b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.serve(
                self.chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(min(length, BODY_MAX))
            )

        def chunks(self) -> bytes:
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def serve(self, body: bytes) -> None:
            basic = self.headers.get("Authorization", "").removeprefix("Basic ")
            user, _, password = base64.b64decode(basic).decode().partition(":")
            git.seen.append((user, password) if basic else None)
            if git.moved_to:
                self.send_response(302)
                self.send_header("Location", git.moved_to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if not basic or not git.valid(password):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            environment = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": user,
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        git.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, name="git server", daemon=True)
        thread.start()
        try:
            yield git
        finally:
            server.shutdown()
            thread.join()
