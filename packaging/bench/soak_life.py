"""The life that `soak.py` measures: the program, the troubles that befall it, and a sample after each."""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soak_clients import Clients

if TYPE_CHECKING:
    from tests.desktop.desk import Desk
    from tests.desktop.program import Program
    from trayapp.oauthtest import OAuthServer
    from trayapp.vault.keystore import Keystore

ADDRESS = "10.78.0.1"  # of the servers; beyond loopback, so that network changes count for them
GREEN_LIMIT = 75.0  # s until all workloads are green after a trouble; a keyring without a signal is asked every 60 s
LEAST = 3  # troubles, however short the time is
SESSIONS = 1000  # of MCP clients; the most that the program keeps
MANAGER = "org.freedesktop.login1.Manager"

CONFIG = """
[settings]
port = 0
settle = "200ms"
settle_max = "1s"
refresh_spacing = "500ms"
usable_margin = "200ms"
initial_retry_interval = "200ms"
max_retry_interval = "1s"
tick_interval = "1s"
impossible_grace = "500ms"
burst = ["0s", "500ms"]
again = ["0s", "200ms", "1s"]
attempt_limit = "3s"
connect_limit = "1s"
automatic_attempts = 1000
"""
WORKLOAD = """
[workloads.w{number}]
url = "{url}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mail"]
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The program at a calm moment, all workloads green."""

    at: float  # s since the start
    refreshes: int
    private_kb: float  # memory that only this process has
    descriptors: int
    threads: int
    log_kb: float  # all files of the log
    state_kb: float  # state.db and its companions


class Network:
    """The only network of this namespace. Its servers are reachable while they are up; the link is what the app sees."""

    def __init__(self) -> None:
        for command in (
            "link set lo up",
            "link add soak0 type veth peer name soak1",
            "link set soak0 addrgenmode none",
            "link set soak1 addrgenmode none",
            f"address add {ADDRESS}/24 dev soak0",
            "link set soak1 up",
        ):
            self._ip(command)
        self.up()

    def up(self) -> None:
        self._ip("link set soak0 up")
        self._ip("route replace default via 10.78.0.2")

    def down(self) -> None:
        self._ip("link set soak0 down")

    @staticmethod
    def _ip(command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True)


class Life:
    """The program, its troubles, and what is measured in between."""

    def __init__(
        self,
        desk: Desk,
        root: Path,
        servers: Sequence[OAuthServer],
        urls: Sequence[str],
        network: Network,
        given: argparse.Namespace,
    ) -> None:
        from tests.desktop.program import Program

        self.desk, self.servers, self.network = desk, servers, network
        self.every: bool = given.every
        self.random = random.Random(given.seed)
        self.names = [f"w{number}" for number in range(given.workloads)]
        self.families: dict[str, str] = {}
        self.program: Program = Program(desk, root, servers[0])
        self.program.environment["SSL_CERT_FILE"] = str(root / "ca.pem")
        self.program.configure(
            CONFIG
            + "".join(
                WORKLOAD.format(number=n, url=urls[n % len(urls)], server=servers[n % len(servers)])
                for n in range(given.workloads)
            )
        )
        self.samples: list[Sample] = []
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def server_of(self, name: str) -> OAuthServer:
        return self.servers[int(name[1:]) % len(self.servers)]

    def run(self, seconds: float) -> tuple[list[Sample], dict[str, int], list[str]]:
        self._sign_in()
        with self.program:
            began = time.monotonic()
            self._green("the start")
            with Clients(self.program, self.names, abandoned=int(min(SESSIONS, seconds))):
                for name, trouble in self._troubles():
                    if time.monotonic() - began >= seconds and self.counts.total() >= LEAST:
                        break
                    trouble()
                    self.counts[name] += 1
                    self._green(name)
                    time.sleep(0.5)  # what the trouble has begun comes to its end
                    self._sample(name, time.monotonic() - began)
            self._judge_end()
        return self.samples, dict(self.counts), self.wrong

    # --- the keyring --------------------------------------------------------------------------------------------------

    def _sign_in(self) -> None:
        """Store a login for every workload."""
        from tests.desktop.program import in_keyring
        from trayapp.core.model import Login, Secret

        async def write(keystore: Keystore) -> None:
            for name in self.names:
                server = self.server_of(name)
                grant = server.issue(scope="mail")
                self.families[name] = grant.family
                token = Secret(grant.refresh_token or "")
                login = Login(1, name, token, time.time(), server.token_endpoint, server.client_id, scope="mail")
                assert await keystore.store(name, login) is None

        in_keyring(write, self.program.install)

    def _judge_end(self) -> None:
        """Quit; then the keyring holds what the servers accept next, and the log has no error."""
        from tests.desktop.program import in_keyring
        from trayapp.engine.ports import StoredLogin

        async def lost(keystore: Keystore) -> list[str]:
            behind = []
            for name in self.names:
                found = await keystore.load(name)
                login = found.login if isinstance(found, StoredLogin) else None
                newest = self.server_of(name).current_refresh_token(self.families[name])
                if login is None or login.refresh_token.reveal() != newest:
                    behind.append(name)
            return behind

        if (code := self.program.quit()) != 0:
            self.wrong.append(f"it ended with {code}: {self.program.tail()}")
        if behind := in_keyring(lost, self.program.install):
            self.wrong.append(f"the keyring is behind the server: {behind}")
        if self.program.visits() or any(server.count("authorize") for server in self.servers):
            self.wrong.append("a browser was opened")
        errors = [line for line in self.program.log().splitlines() if re.search(r" ERROR |Traceback", line)]
        self.wrong += errors[:5]

    # --- troubles -----------------------------------------------------------------------------------------------------

    def _troubles(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Without end: each once, in this order, then in random order."""
        troubles: dict[str, Callable[[], None]] = {
            "network away": self._network_away,
            "keyring locked": self._keyring_locked,
            "notifications restarted": self._notifications_restarted,
            "odd answers": self._odd_answers,
            "panel restarted": self.desk.restart_panel,
            "keyring restarted": lambda: self.desk.restart_keyring(self._seconds()),
            "network flapping": self._network_flapping,
            "NetworkManager restarted": lambda: self._mock_restarted("networkmanager"),
            "logind restarted": lambda: self._mock_restarted("logind"),
            "sleep and wake": self._sleep_and_wake,
            "servers away": self._servers_away,
        }
        names = list(troubles)
        while True:
            yield from ((name, troubles[name]) for name in names)
            self.random.shuffle(names)

    def _seconds(self) -> float:
        return self.random.uniform(0.5, 4.0)

    def _some_time(self) -> None:
        time.sleep(self._seconds())

    def _network_away(self) -> None:
        self.network.down()
        self._servers_away()
        self.network.up()

    def _servers_away(self) -> None:
        for server in self.servers:
            server.down()
        self._some_time()
        for server in self.servers:
            server.up()

    def _network_flapping(self) -> None:
        for _ in range(6):
            self.network.down()
            time.sleep(self.random.uniform(0.0, 0.2))
            self.network.up()
            time.sleep(self.random.uniform(0.0, 0.4))

    def _odd_answers(self) -> None:
        """Whatever leaves the token as good as before, or is made good by the server's grace."""
        from trayapp.oauthtest import Mode

        modes = (Mode.UNAVAILABLE, Mode.FIREWALL, Mode.RESET, Mode.DROPPED_ANSWER, Mode.SLOW, Mode.HANG_BEFORE_HEADERS)
        for server in self.servers:
            server.retry_after = 1
            server.script(*self.random.sample(modes, 4))
        self._some_time()
        for server in self.servers:
            server.clear_script()
            server.release()

    def _keyring_locked(self) -> None:
        self.desk.lock_keyring()
        self._some_time()
        self.desk.unlock_keyring()

    def _notifications_restarted(self) -> None:
        self.desk.stop_notifications()
        self._some_time()
        self.desk.start_notifications()

    def _mock_restarted(self, template: str) -> None:
        self.desk.stop_mock(template)
        self._some_time()
        self.desk.start_mock(template)

    def _sleep_and_wake(self) -> None:
        for asleep in (True, False):
            emit = f"EmitSignal({MANAGER!r}, 'PrepareForSleep', 'b', [{asleep}])"
            self.desk.mock("org.freedesktop.login1", "/org/freedesktop/login1", emit)
            self._some_time()

    # --- in between ---------------------------------------------------------------------------------------------------

    def _green(self, after: str) -> None:
        """Wait until every workload runs. A red one is a lost login."""
        from trayapp.cli.client import ApiError

        end, client = time.monotonic() + GREEN_LIMIT, self.program.client()
        while True:
            states: Counter[str] = Counter()
            with contextlib.suppress(ApiError):
                states = Counter(f"{row['status']} {row['auth']['detail']}" for row in client.workloads())
            if set(states) == {"running ok"}:
                return
            if time.monotonic() > end or any(state.startswith("unauthenticated") for state in states):
                raise SystemExit(f"after {after}: {dict(states)}\n{self.program.log()[-3000:]}")
            time.sleep(0.1)

    def _sample(self, trouble: str, at: float) -> None:
        process, paths = Path(f"/proc/{self.program.pid}"), self.program.paths
        private = re.findall(r"^Private_\w+: +(\d+) kB", (process / "smaps_rollup").read_text(), re.M)
        self.samples.append(
            Sample(
                round(at, 1),
                sum(server.count("token", outcome="ok") for server in self.servers),
                sum(map(int, private)),
                len(list((process / "fd").iterdir())),
                len(list((process / "task").iterdir())),
                size(paths.log_file.parent.glob("*")),
                size(paths.state_db.parent.glob("state.db*")),
            )
        )
        if self.every:
            print(trouble, self.samples[-1], file=sys.stderr, flush=True)


def size(files: Iterator[Path]) -> float:
    """KB of these files together."""
    return sum(file.stat().st_size for file in files) / 1024
