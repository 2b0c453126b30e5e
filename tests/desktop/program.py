"""`Program`: the app as a process on a desk, with directories of its own, observed through its own API.

To sign it in, the test's process writes a login into the desk's real keyring with the real keystore.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.desktop import fake_browser
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from tests.real.app import App
from trayapp.app.icon_notice import keep
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.config.paths import Paths
from trayapp.core.first_start import Told
from trayapp.core.model import Login, Secret
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import Grant, OAuthServer
from trayapp.vault.keystore import Keystore

NAME = "mail"

# The product's rules with shorter waits.
CONFIG = """
[settings]
port = 0
refresh_spacing = "100ms"
usable_margin = "50ms"
initial_retry_interval = "200ms"
max_retry_interval = "400ms"
max_tries = 2
tick_interval = "500ms"
impossible_grace = "200ms"
again = ["0s", "200ms", "400ms"]
attempt_limit = "5s"
automatic_attempts = 1000

[workloads.{name}]
url = "http://127.0.0.1:9/mcp"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mail"]
"""

Status = dict[str, Any]
T = TypeVar("T")


class Program(App):
    """One installation below `root`, with one workload that `server` signs in."""

    def __init__(self, desk: Desk, root: Path, server: OAuthServer, *arguments: str) -> None:
        self.root = root
        self.install = secrets.token_hex(8)
        self.server = server
        self.visits_file = root / "visits"
        places = {f"XDG_{place}_HOME": str(root / place.lower()) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
        own = {**places, "XDG_RUNTIME_DIR": str(root / "run"), "BROWSER": fake_browser.command(self.visits_file)}
        super().__init__({**desk.env, **own}, root, NAME, *arguments)
        for place in ("data", "run"):
            (root / place / "amberlight").mkdir(mode=0o700, parents=True)
        (root / "run").chmod(0o700)
        self.paths.install_file.write_text(self.install + "\n")
        self.paths.install_file.chmod(0o600)
        self.paths.make()
        keep(self.paths.state_dir, Told.ICON)  # tests count the notifications on the screen
        self.configure(CONFIG.format(name=NAME, server=server))

    @property
    def paths(self) -> Paths:
        """The files of this installation."""
        return Paths(
            config_file=self.root / "config/amberlight/config.toml",
            site_config_file=self.root / "nowhere",
            state_dir=self.root / "state/amberlight",
            data_dir=self.root / "data/amberlight",
            runtime_dir=self.root / "run/amberlight",
            log_file=self.root / "state/amberlight/log/amberlight.log",
        )

    # --- the keyring, through the keystore ----------------------------------------------------------------------------

    def sign_in(self, grant: Grant) -> None:
        """Write what an earlier run leaves in the keyring: this grant, and the token before it in the other slot."""
        in_keyring(lambda keystore: self._write(keystore, "rt-spent-long-ago", grant.refresh_token or ""), self.install)

    async def _write(self, keystore: Keystore, *tokens: str) -> None:
        for generation, token in enumerate(tokens, 1):
            login = Login(
                generation=generation,
                lineage="earlier",
                refresh_token=Secret(token),
                obtained_at=time.time(),
                token_endpoint=self.server.token_endpoint,
                client_id=self.server.client_id,
                scope="mail",
            )
            assert await keystore.store(NAME, login) is None

    def stored_login(self) -> Login | None:
        """The login in the keyring."""
        found = in_keyring(lambda keystore: keystore.load(NAME), self.install)
        assert isinstance(found, StoredLogin), found
        return found.login

    # --- start and end ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.paths.runtime_dir.joinpath("server.json").unlink(missing_ok=True)  # the address of a killed run
        return super().__enter__()

    def wait_killed(self, limit: float = 20.0) -> None:
        """Wait until it has killed itself."""
        process, self._process = self._process, None
        assert process is not None
        try:
            code = process.wait(limit)
        finally:
            process.kill()
            process.wait()
        assert -signal.SIGKILL == code, f"it ended with {code}:{self.tail()}"

    def wait_ended(self, limit: float = 20.0) -> int:
        """Wait until it ends without a signal from here, and return its exit code."""
        process, self._process = self._process, None
        assert process is not None
        try:
            return process.wait(limit)
        finally:
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    # --- its API ------------------------------------------------------------------------------------------------------

    def client(self) -> ApiClient:
        """The API of the running app, waited for."""

        def find() -> ApiClient | None:
            assert self.running, f"it ended:{self.tail()}"
            try:
                return ApiClient.find(self.paths.runtime_dir)
            except NotRunningError:
                return None

        found = wait_for(find, "the app's server.json", 20.0)
        assert found is not None
        return found

    def status(self) -> Status:
        """The same as `status NAME --format json`, without starting another process."""
        return self.client().status(self.name)

    glance = status

    def until_is(self, status: str, detail: str, limit: float = 15.0) -> Status:
        """Wait for a status and its detail."""
        return self.until(lambda seen: status_and_detail(seen) == (status, detail), f"{status} ({detail})", limit)

    def token(self) -> str:
        """A usable access token; empty if none is served."""
        try:
            return str(self.client().token(self.name, 0)["access_token"])
        except ApiError:
            return ""

    def log(self) -> str:
        """The program's log and its output."""
        return self.paths.log_file.read_text(encoding="utf-8") + self.output.read_text(encoding="utf-8")

    def visits(self) -> list[str]:
        """The browser's visits so far."""
        return fake_browser.visits(self.visits_file)


def status_and_detail(seen: Status) -> tuple[str, str]:
    """Status and detail."""
    return seen["status"], seen["auth"]["detail"]


def in_keyring(use: Callable[[Keystore], Awaitable[T]], install: str) -> T:
    """Run `use` with a keystore of our own, from a thread without a loop."""

    async def with_keystore() -> T:
        keystore = Keystore(install)
        try:
            return await use(keystore)
        finally:
            await keystore.close()

    return asyncio.run(with_keystore())
