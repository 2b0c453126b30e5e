"""The whole program with one workload, `lab`: its authorization server and MCP server can fail, and each can restart."""

from __future__ import annotations

import html
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from tests.app.test_runtime import Program
from tests.engine.engines import login_of
from tests.real.clients.upstream import Upstream
from trayapp.core.presentation import Verb
from trayapp.oauthtest import Mode, OAuthServer, browse

NAME = "lab"
LIMIT = 30.0  # s
POLL = 0.02  # s
CONFIG = """
[settings]
port = {port}
initial_retry_interval = "20ms"
max_retry_interval = "40ms"
max_tries = 2
manual_spacing = "10ms"
rejected_spacing = "10ms"
refresh_spacing = "10ms"
usable_margin = "10ms"
tick_interval = "60s"

[workloads.lab]
url = "{url}"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mcp"]
"""


class Site:
    """The servers run inside `with`; so does the program, once `start` was called. Green at first."""

    def __init__(self, root: Path, *, modern: bool = True) -> None:
        self._stack = ExitStack()
        self.root = root
        self._modern = modern
        self._running: ExitStack | None = None

    def __enter__(self) -> Self:
        self.authority = self._stack.enter_context(OAuthServer())
        self.upstream = self._stack.enter_context(Upstream(self.authority, modern=self._modern))
        self.program = Program(self.root)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.program.write(CONFIG.format(port=port, url=self.upstream.url, server=self.authority))
        self.program.keystore._logins[NAME] = login_of(self.authority, NAME)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._stack.close()

    def start(self) -> None:
        """Run the program, on the port that it had before."""
        self.program.control = None
        self.program.snapshots.clear()
        self._running = ExitStack()
        self._running.enter_context(self.program)
        answer = self.program.client.client(NAME)
        self.url, self.headers = str(answer["url"]), dict(answer["headers"])

    def stop(self) -> None:
        """End it."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def restart(self) -> None:
        """End it and start it anew."""
        self.stop()
        self.start()

    # --- states ------------------------------------------------------------------------------------------------------

    def becomes(self, word: str) -> None:
        """Wait until the workload has this status."""
        _until(lambda: self.program.status(NAME).startswith(f"{word} "), f"{word}, not {self.program.status(NAME)}")

    def amber(self) -> None:
        """Its token is rejected and can't be refreshed. Before `start`: it can't get its first one."""
        self._breaks(Mode.SERVER_ERROR, "auth_retrying")

    def red(self) -> None:
        """Its token is rejected and its refresh token refused."""
        self._breaks(Mode.INVALID_GRANT, "unauthenticated")

    def _breaks(self, mode: Mode, word: str) -> None:
        self.authority.mode = mode
        if self._running is None:
            return
        self.upstream.distrust = True
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        head = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25", **self.headers}
        with httpx2.Client(trust_env=False) as client:
            client.post(self.url, json=body, headers=head)
        self.becomes(word)

    def green(self) -> None:
        """All trouble ends, and it is retried."""
        self._heal()

        def runs() -> bool:
            if self.program.status(NAME).startswith("running "):
                return True
            self.program.act(Verb.RETRY, NAME)  # one that joined an attempt from before brings nothing
            return False

        _until(runs, f"running, not {self.program.status(NAME)}", pause=1.1)  # M8: a manual attempt a second

    def _heal(self) -> None:
        self.upstream.distrust = False
        self.authority.mode = Mode.SUCCESS

    def press(self, url: str) -> None:
        """A person opens the page that a client asked for, presses its button, and signs in."""
        self._heal()
        with httpx2.Client(trust_env=False) as client:
            page = client.post(url).raise_for_status().text
        found = re.search(r'href="([^"]+)"', page)
        assert found is not None, page
        browse(html.unescape(found[1]))
        self.becomes("running")

    def reauthorize(self) -> None:
        """`amberlight reauthorize lab`, with a person who signs in."""
        self._heal()
        browse(str(self.program.client.post(NAME, "reauthorize", {"browser": False})["authorization_url"]))
        self.becomes("running")


def _until(holds: Callable[[], object], what: str, pause: float = POLL) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"gave up waiting for the workload to be {what}"
        time.sleep(pause)
