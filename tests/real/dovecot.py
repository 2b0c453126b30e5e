"""Dovecot with its OAuth2 passdb: IMAP and submission over TLS, for one user, whose tokens it asks the server about.

It relays what it is sent to a small SMTP server that keeps the messages.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection, create_server
from urllib.parse import parse_qs

import trustme

USER = "ada@example.com"
START_LIMIT = 20.0  # s
NEEDED = ("dovecot", "doveadm")

CONFIG = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
auth_verbose = yes
protocols = imap submission
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
ssl = required
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
mail_location = maildir:{root}/mail
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = xoauth2 oauthbearer
auth_cache_size = 0
hostname = localhost
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {root}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner_group} home={root}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imap}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = 0
  }}
  inet_listener submissions {{
    port = {smtp}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""
OAUTH2 = """
introspection_mode = post
introspection_url = http://127.0.0.1:{port}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""


@dataclass
class Dovecot:
    """`sent` are the messages that were submitted, `logins` what the log says of each login."""

    root: Path
    imap: int
    smtp: int
    authority: Path  # the certificate of whoever signed Dovecot's
    sent: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)  # tokens that aren't taken any more, whatever their server says

    def log(self) -> str:
        return (self.root / "log").read_text()

    def logins(self, service: str = "imap") -> int:
        """How many there were."""
        return self.log().count(f"{service}-login: Info: Login: user=<{USER}>")

    def deliver(self, subject: str) -> None:
        """Put a message into the mailbox."""
        new = self.root / "mail/new"
        (new / f"{time.time_ns()}.test").write_text(f"From: a@example.com\nTo: {USER}\nSubject: {subject}\n\nHello\n")


def missing() -> str:
    """A program that isn't installed; empty if all are."""
    return next((name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None), "")


@contextmanager
def dovecot(root: Path, valid: Callable[[str], bool]) -> Iterator[Dovecot]:
    """Run it. `valid` says whether a token is good."""
    root.mkdir()
    root.chmod(0o755)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "authority.pem"))
    made = authority.issue_cert("localhost")
    (root / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(root / "key.pem"))
    with ExitStack() as stack:
        imap, smtp = _free_port(), _free_port()
        here = Dovecot(root, imap, smtp, root / "authority.pem")
        answers = _introspection(lambda token: token not in here.refused and valid(token))
        introspection = stack.enter_context(_served(ThreadingHTTPServer(("127.0.0.1", 0), answers)))
        relay = stack.enter_context(_served(_Relay(here.sent)))
        as_root = os.getuid() == 0
        me = getpass.getuser()
        names = {
            "internal": "dovecot" if as_root else me,
            "group": "dovecot" if as_root else str(os.getgid()),
            "login": "dovenull" if as_root else me,
            "owner": "mail" if as_root else str(os.getuid()),
            "owner_group": "mail" if as_root else str(os.getgid()),
        }
        for folder in ("mail/new", "mail/cur", "mail/tmp", "home", "run", "state"):
            (root / folder).mkdir(parents=True)
        if as_root:
            for folder in ("mail", "mail/new", "mail/cur", "mail/tmp", "home"):
                shutil.chown(root / folder, "mail", "mail")
        (root / "oauth2.conf").write_text(OAUTH2.format(port=introspection))
        (root / "dovecot.conf").write_text(CONFIG.format(root=root, imap=imap, smtp=smtp, relay=relay, **names))
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        process = subprocess.Popen(["dovecot", "-F", "-c", str(root / "dovecot.conf")], env=environment)
        try:
            _wait_for(process, imap, root / "log")
            yield here
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with closing(create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_LIMIT
    while True:
        try:
            create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            said = log.read_text() if log.exists() else ""
            assert process.poll() is None, f"Dovecot ended: {said}"
            assert time.monotonic() < until, f"Dovecot doesn't listen: {said}"
            time.sleep(0.05)
        else:
            return


@contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _introspection(valid: Callable[[str], bool]) -> type[BaseHTTPRequestHandler]:
    """Token introspection (RFC 7662)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            (token,) = parse_qs(body).get("token", [""])
            answer = json.dumps({"active": True, "username": USER} if valid(token) else {"active": False}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class _Relay(socketserver.ThreadingTCPServer):
    """As much SMTP as Dovecot's relaying needs (RFC 5321), without TLS and password."""

    daemon_threads = True

    def __init__(self, sent: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _RelayHandler)
        self.sent = sent


class _RelayHandler(socketserver.StreamRequestHandler):
    server: _Relay

    def handle(self) -> None:
        self.say("220 relay")
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "DATA":
                    self.say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                    self.server.sent.append("\n".join(lines))
                    self.say("250 kept")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
