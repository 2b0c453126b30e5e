"""`python -m tests.desktop.storm --kills N --grace 60|0 --seed S`: a kill storm: SIGKILL at random, restart, compare.

Several workloads of one app are refreshed continually by a server that rotates tokens, and that ends a token family when
a spent token is reused. After each kill, before the next start, the losses are tallied: a login is *lost* exactly when
the newest token in the keyring is spent and the server gives no grace, which is the window between send and store. The
next run must report `lost_rotation` for those workloads and for no other; they get new logins, and the storm continues.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.desktop.desk import Desk
from tests.desktop.program import CONFIG, Program, in_keyring, status_and_detail
from trayapp.core.model import Login, Secret
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import Mode, OAuthServer, Rule, browse
from trayapp.vault.keystore import Keystore

WORKLOADS = 6  # so that each kill meets several refreshes
TOKEN_LIFE = 0.4  # s that an access token lives: each workload is refreshed about three times a second
LATENCY = 0.02  # s until the server decides on a request
DELAY = 0.03  # s from its decision to its response
KILL_WINDOW = 0.15  # s after a request arrived in which kills strike: decision, response, keyring, state.db
RESTART_LIMIT = 20.0  # s that a restart may take until every workload has its status
KILLED_AT_START = 0.15  # share of the kills that strike during start-up
KILLED_DURING_REFRESH = 0.6  # share of the kills that strike during a refresh; the others strike at any time

LOST = ("unauthenticated", "lost_rotation")
NO_STATUS = ("", "")


@dataclass
class Tally:
    """The counts of a storm."""

    kills: int = 0
    starts: int = 0  # restarts that were followed until every workload had its status
    refreshes: int = 0  # granted by the server
    requested: int = 0  # token requests
    caught_in_window: int = 0  # logins that were between send and store at a kill, with grace or without
    losses: int = 0  # of these, named `lost_rotation` by the next run
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills in {self.seconds:.0f} s, {self.starts} restarts seen to their end, {self.refreshes}"
            f" refreshes granted of {self.requested} asked, {self.caught_in_window} caught between send and store,"
            f" {self.losses} lost, {len(self.wrong)} wrong"
        )


class Storm(Program):
    """One installation with several workloads of one server, which is killed and restarted."""

    def __init__(self, desk: Desk, root: Path, server: OAuthServer, seed: int) -> None:
        super().__init__(desk, root, server, "--no-tray")
        self.names = tuple(f"w{number}" for number in range(WORKLOADS))
        text = CONFIG.format(name=self.names[0], server=server)
        head, workload = text.split("[workloads.", 1)
        rest = workload.split("]", 1)[1]
        self.configure(head + "".join(f"[workloads.{name}]{rest}" for name in self.names))
        self.random = random.Random(seed)
        self.tally = Tally()
        self.lost: set[str] = set()
        self.family: dict[str, str] = {}
        self.issue_logins(self.names)

    # --- the keyring --------------------------------------------------------------------------------------------------

    def issue_logins(self, names: tuple[str, ...]) -> None:
        """Store a new login for each of these, as a sign-in does: one generation above the present one."""
        stored_logins = self.stored_logins()
        fresh = {}
        for name in names:
            grant = self.server.issue(scope="mail")
            self.family[name] = grant.family
            previous = stored_logins[name]
            fresh[name] = Login(
                generation=previous.generation + 1 if previous else 1,
                lineage=grant.family,
                refresh_token=Secret(grant.refresh_token or ""),
                obtained_at=time.time(),
                token_endpoint=self.server.token_endpoint,
                client_id=self.server.client_id,
                scope="mail",
            )

        async def write(keystore: Keystore) -> None:
            for name, login in fresh.items():
                assert await keystore.store(name, login) is None

        in_keyring(write, self.install)

    def stored_logins(self) -> dict[str, Login | None]:
        """The login of each workload in the keyring."""

        async def read(keystore: Keystore) -> dict[str, Login | None]:
            logins = {}
            for name in self.names:
                found = await keystore.load(name)
                assert isinstance(found, StoredLogin), f"{name}: {found}"
                logins[name] = found.login
            return logins

        return in_keyring(read, self.install)

    # --- one round ----------------------------------------------------------------------------------------------------

    def run_kills(self, kills: int) -> Tally:
        """Kill so many times; at the end quit cleanly and check that the keyring is complete."""
        began = time.monotonic()
        for _ in range(kills):
            with self:
                self.wait_for_kill_moment()
                self.kill()
            self.tally.kills += 1
            self.tally_losses()
        with self:
            self.settle()
            self.record_if(0 != self.quit(), "the last run did not end cleanly")
        behind = sorted(name for name, login in self.stored_logins().items() if not self.newest(name, login))
        self.record_if(behind, f"after a clean quit the keyring is behind the server: {behind}")
        self.record_if(self.server.count("authorize") or self.visits(), "a browser was opened")
        for violation in self.server.violations:
            self.record_if(True, str(violation))
        self.tally.refreshes = self.server.count("token", outcome="ok")
        self.tally.requested = self.server.count("token")
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def wait_for_kill_moment(self) -> None:
        """Choose the moment of the kill and wait for it."""
        if self.random.random() < KILLED_AT_START:
            time.sleep(self.random.uniform(0.0, 1.2))
            return
        self.settle()
        if self.random.random() < KILLED_DURING_REFRESH:
            assert self.server.wait("token", times=self.server.count("token") + 1), f"no refresh:{self.tail()}"
            time.sleep(self.random.uniform(0.0, KILL_WINDOW))
        else:
            time.sleep(self.random.uniform(0.0, 0.6))

    def tally_losses(self) -> None:
        """After a kill: count the logins that were between send and store."""
        wait_until_idle(self.server)
        behind = {name for name, login in self.stored_logins().items() if not self.newest(name, login)}
        self.tally.caught_in_window += len(behind - self.lost)
        self.lost = behind if self.server.grace == 0 else set()

    def newest(self, name: str, login: Login | None) -> bool:
        """Whether the keyring holds the token that the server accepts next."""
        family = self.family[name]
        return (
            login is not None
            and family in self.server.live_families()
            and self.server.current_refresh_token(family) == login.refresh_token.reveal()
        )

    def settle(self) -> None:
        """Wait until every workload has the expected status; lost ones get a new login, so that all run."""
        self.await_statuses(self.names, self.lost)
        self.tally.starts += 1
        if self.lost:
            self.tally.losses += len(self.lost)
            replaced, self.lost = tuple(sorted(self.lost)), set()
            self.issue_logins(replaced)
            for name in replaced:
                self.client().post(name, "retry")
            self.await_statuses(replaced, set(), before=LOST)

    def await_statuses(self, names: tuple[str, ...], lost: set[str], before: tuple[str, str] = NO_STATUS) -> None:
        """Wait until each of these runs, or is lost if it is in `lost`.

        `before` is the status that they may have until then; any other `unauthenticated` fails immediately.
        """
        client, waiting = self.client(), set(names)
        end = time.monotonic() + RESTART_LIMIT
        while waiting:
            statuses = {row["name"]: status_and_detail(row) for row in client.workloads()}
            for name in sorted(waiting):
                status = statuses[name]
                if status == LOST if name in lost else status[0] == "running":
                    waiting.discard(name)
                elif status[0] == "unauthenticated" and status != before:
                    raise AssertionError(f"{name} says {status}; lost are {sorted(lost)}{self.history(name)}")
                elif time.monotonic() > end:
                    raise AssertionError(f"{name} says {status} after {RESTART_LIMIT:g} s{self.history(name)}")
            time.sleep(0.02)

    def history(self, name: str) -> str:
        """The last log lines about a workload, for the failure message."""
        lines = [line for line in self.log().splitlines() if name in line]
        return f"\nkill {self.tally.kills}, {self.tally}\n" + "\n".join(lines[-30:])

    def record_if(self, breach: object, what: str) -> None:
        if breach:
            self.tally.wrong.append(what)


@contextlib.contextmanager
def storm_server(grace: float) -> Iterator[OAuthServer]:
    """The server of a storm.

    A kill between a refusal and its record makes the next run ask again: that is legitimate, and happens only without
    a grace.
    """
    server = OAuthServer(
        access_token_lifetime=TOKEN_LIFE,
        grace=grace,
        latency=LATENCY,
        delay=DELAY,
        check=False,
        allow=() if grace else {Rule.REFUSED_AGAIN},
    )
    server.mode = Mode.SLOW
    with server:
        yield server


def wait_until_idle(server: OAuthServer) -> None:
    """Wait until the server has decided or dropped every request of a dead app: a later request has been answered."""
    assert 200 == browse(f"{server.url}/.well-known/oauth-authorization-server")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.desktop.storm", description="Kill the app, again and again.")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--grace", type=float, default=60.0, help="seconds that a spent refresh token is honoured")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        Desk(panel=False, notifications=False) as desk,
        tempfile.TemporaryDirectory(prefix="storm-") as root,
        storm_server(options.grace) as server,
    ):
        os.environ |= {name: desk.env[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        tally = Storm(desk, Path(root), server, options.seed).run_kills(options.kills)
    print(f"grace {options.grace:g} s, seed {options.seed}: {tally}", *tally.wrong, sep="\n")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
