"""`python -m tests.desktop.storm --kills N --grace 60|0 --seed S`: SIGKILL at random moments, restart, and the books.

Several workloads of one app are refreshed all the time by a server that rotates, and that ends a family when a spent
token comes back. After each kill the books are made, before the next start: a login is *lost* exactly when the newest
token in the keyring is spent and no grace is left, which is the window between send and store. The next run has to say
`lost_rotation` of those workloads and of no other; a new login is put beside them, and the storm goes on.
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
from tests.desktop.program import CONFIG, Program, in_keyring, word
from trayapp.core.model import Login, Secret
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import Mode, OAuthServer, Rule, browse
from trayapp.vault.keystore import Keystore

WORKLOADS = 6  # so that each kill meets several refreshes
LIFE = 0.4  # s that an access token lives: each workload is refreshed about three times a second
BEFORE = 0.02  # s until the server looks at a request
AFTER = 0.03  # s from its decision to its answer
WITHIN = 0.15  # s after a request came that a kill is aimed at: decision, answer, keyring, state.db
SETTLED = 20.0  # s a restart may take until all is said
STARTING = 0.15  # share of the kills that strike while the app is still starting
AIMED = 0.6  # share of the kills that are aimed at a refresh; the others strike anywhere

LOST = ("unauthenticated", "lost_rotation")
NEVER = ("", "")


@dataclass
class Books:
    """What a storm came to."""

    kills: int = 0
    starts: int = 0  # restarts that were followed until each workload had its word
    refreshes: int = 0  # that the server granted
    asked: int = 0  # token requests
    caught: int = 0  # logins that were between send and store at a kill, with grace or without
    losses: int = 0  # of these, named `lost_rotation` by the next run
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills in {self.seconds:.0f} s, {self.starts} restarts seen to their end, {self.refreshes}"
            f" refreshes granted of {self.asked} asked, {self.caught} caught between send and store,"
            f" {self.losses} lost, {len(self.wrong)} wrong"
        )


class Storm(Program):
    """One installation with several workloads of one server, which is killed and started again."""

    def __init__(self, desk: Desk, root: Path, server: OAuthServer, seed: int) -> None:
        super().__init__(desk, root, server, "--no-tray")
        self.names = tuple(f"w{number}" for number in range(WORKLOADS))
        text = CONFIG.format(name=self.names[0], server=server)
        head, workload = text.split("[workloads.", 1)
        rest = workload.split("]", 1)[1]
        self.configure(head + "".join(f"[workloads.{name}]{rest}" for name in self.names))
        self.random = random.Random(seed)
        self.books = Books()
        self.lost: set[str] = set()
        self.family: dict[str, str] = {}
        self.give(self.names)

    # --- the keyring --------------------------------------------------------------------------------------------------

    def give(self, names: tuple[str, ...]) -> None:
        """A new login for each of these, as a sign-in leaves it: one generation above all that is there."""
        held = self.held()
        fresh = {}
        for name in names:
            grant = self.server.issue(scope="mail")
            self.family[name] = grant.family
            was = held[name]
            fresh[name] = Login(
                generation=was.generation + 1 if was else 1,
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

    def held(self) -> dict[str, Login | None]:
        """What the keyring holds of each workload."""

        async def read(keystore: Keystore) -> dict[str, Login | None]:
            logins = {}
            for name in self.names:
                found = await keystore.load(name)
                assert isinstance(found, StoredLogin), f"{name}: {found}"
                logins[name] = found.login
            return logins

        return in_keyring(read, self.install)

    # --- one round ----------------------------------------------------------------------------------------------------

    def blow(self, kills: int) -> Books:
        """So many kills; at the end a clean quit, with everything in the keyring."""
        began = time.monotonic()
        for _ in range(kills):
            with self:
                self.strike()
                self.kill()
            self.books.kills += 1
            self.count()
        with self:
            self.settle()
            self.wrong_if(0 != self.quit(), "the last run did not end cleanly")
        behind = sorted(name for name, login in self.held().items() if not self.newest(name, login))
        self.wrong_if(behind, f"after a clean quit the keyring is behind the server: {behind}")
        self.wrong_if(self.server.count("authorize") or self.visits(), "a browser was opened")
        for violation in self.server.violations:
            self.wrong_if(True, str(violation))
        self.books.refreshes = self.server.count("token", outcome="ok")
        self.books.asked = self.server.count("token")
        self.books.seconds = time.monotonic() - began
        return self.books

    def strike(self) -> None:
        """Choose the moment, and wait for it."""
        if self.random.random() < STARTING:
            time.sleep(self.random.uniform(0.0, 1.2))
            return
        self.settle()
        if self.random.random() < AIMED:
            assert self.server.wait("token", times=self.server.count("token") + 1), f"no refresh:{self.tail()}"
            time.sleep(self.random.uniform(0.0, WITHIN))
        else:
            time.sleep(self.random.uniform(0.0, 0.6))

    def count(self) -> None:
        """The app is dead: which logins were between send and store?"""
        calm(self.server)
        behind = {name for name, login in self.held().items() if not self.newest(name, login)}
        self.books.caught += len(behind - self.lost)
        self.lost = behind if self.server.grace == 0 else set()

    def newest(self, name: str, login: Login | None) -> bool:
        """Whether the keyring holds the token that the server will take next."""
        family = self.family[name]
        return (
            login is not None
            and family in self.server.live_families()
            and self.server.current_refresh_token(family) == login.refresh_token.reveal()
        )

    def settle(self) -> None:
        """Each workload says what became of it; those that are lost get a new login, and all run."""
        self.await_words(self.names, self.lost)
        self.books.starts += 1
        if self.lost:
            self.books.losses += len(self.lost)
            mended, self.lost = tuple(sorted(self.lost)), set()
            self.give(mended)
            for name in mended:
                self.client().post(name, "retry")
            self.await_words(mended, set(), before=LOST)

    def await_words(self, names: tuple[str, ...], lost: set[str], before: tuple[str, str] = NEVER) -> None:
        """Wait until each of these runs, or is lost where that is known. `before` is what they may say until then; any
        other word that asks for a person is wrong at once."""
        client, waiting = self.client(), set(names)
        end = time.monotonic() + SETTLED
        while waiting:
            words = {row["name"]: word(row) for row in client.workloads()}
            for name in sorted(waiting):
                said = words[name]
                if said == LOST if name in lost else said[0] == "running":
                    waiting.discard(name)
                elif said[0] == "unauthenticated" and said != before:
                    raise AssertionError(f"{name} says {said}; lost are {sorted(lost)}{self.history(name)}")
                elif time.monotonic() > end:
                    raise AssertionError(f"{name} says {said} after {SETTLED:g} s{self.history(name)}")
            time.sleep(0.02)

    def history(self, name: str) -> str:
        """The end of what the app wrote, for the one who has to find out."""
        lines = [line for line in self.log().splitlines() if name in line]
        return f"\nkill {self.books.kills}, {self.books}\n" + "\n".join(lines[-30:])

    def wrong_if(self, breach: object, what: str) -> None:
        if breach:
            self.books.wrong.append(what)


@contextlib.contextmanager
def sky(grace: float) -> Iterator[OAuthServer]:
    """The server of a storm. A kill between a refusal and its record makes the next run ask once more: that is no sin,
    and can only be where there is no grace."""
    server = OAuthServer(
        access_token_lifetime=LIFE,
        grace=grace,
        latency=BEFORE,
        delay=AFTER,
        check=False,
        allow=() if grace else {Rule.REFUSED_AGAIN},
    )
    server.mode = Mode.SLOW
    with server:
        yield server


def calm(server: OAuthServer) -> None:
    """Wait until the server has decided all that a dead app has asked, or has dropped it: a question that comes later
    and waits as long is answered."""
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
        sky(options.grace) as server,
    ):
        os.environ |= {name: desk.env[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        books = Storm(desk, Path(root), server, options.seed).blow(options.kills)
    print(f"grace {options.grace:g} s, seed {options.seed}: {books}", *books.wrong, sep="\n")
    return 1 if books.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
