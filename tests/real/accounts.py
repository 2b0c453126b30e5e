"""`amberlight run` with an account that is signed in, for programs that get their token by a command."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.app.test_runtime_process import Process
from trayapp.oauthtest import OAuthServer, browse

CONFIG = """
[settings]
port = 0
initial_retry_interval = "20ms"
max_retry_interval = "40ms"
max_tries = 3
manual_spacing = "10ms"
rejected_spacing = "10ms"
refresh_spacing = "10ms"

[workloads.one]
kind = "account"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mail"]
hosts = [{hosts}]
"""


class Account(Process):
    """The account `one`. `command` is `amberlight`, as a line for a shell or a program's configuration."""

    def __init__(self, root: Path, server: OAuthServer, hosts: str = "") -> None:
        super().__init__(root)
        self.server = server
        self.config.write_text(CONFIG.format(server=server, hosts=f'"{hosts}"' if hosts else ""))
        file = root / "amberlight"
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trayapp "$@"\n')
        file.chmod(0o755)
        self.command = str(file)

    def sign_in(self) -> None:
        browse(self.client.post("one", "reauthorize", {"browser": False})["authorization_url"])
        self.becomes("running")

    def becomes(self, word: str) -> None:
        self.until(lambda: self.status()["status"] == word, word)

    def token(self) -> str:
        return str(self.client.token("one", 0)["access_token"])

    def refresh(self) -> str:
        """The next token."""
        before = self.token()
        self.client.post("one", "retry")
        self.until(lambda: self.token() != before, "the next token")
        return self.token()
