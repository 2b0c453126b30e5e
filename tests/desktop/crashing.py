"""`python -m tests.desktop.crashing STEP run …`: the real program, which kills itself at one step of a refresh.

An adapter's method is wrapped from outside, so the program contains nothing of it. The kill is SIGKILL, at the
`REFRESH`th time that the step is reached: the first refresh, that of the start, succeeds, so both slots and state.db are
in use when it happens.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from trayapp.oauth.tokens import HttpTokens
from trayapp.storage.journal import Journal
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_connection import Connection
from trayapp.vault.secret_service_vault import SecretServiceVault

REFRESH = 2
SHORT = 200  # characters: a login is then stored in parts with the header last, as on Windows


class KillCounter:
    """Kills the process when a step is reached for the `REFRESH`th time."""

    def __init__(self) -> None:
        self.left = REFRESH

    def count_down(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_before(owner: type[Any], method: str) -> None:
    """Kill the process before the call."""
    original, counter = getattr(owner, method), KillCounter()

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        counter.count_down()
        return await original(*arguments, **named)

    setattr(owner, method, wrapped)


def kill_after(owner: type[Any], method: str) -> None:
    """Kill the process when the call has done its work, before it returns."""
    original, counter = getattr(owner, method), KillCounter()

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = await original(*arguments, **named)
        counter.count_down()
        return result

    setattr(owner, method, wrapped)


def kill_before_the_header() -> None:
    """Kill the process when the parts of the new login are in the keyring, but not its header."""
    original, counter = SecretServiceVault.set, KillCounter()

    def counted_set(vault: SecretServiceVault, service: str, user: str, value: str) -> None:
        if service.endswith(("/a", "/b")):
            counter.count_down()
        original(vault, service, user, value)

    SecretServiceVault.limit = SHORT
    setattr(SecretServiceVault, "set", counted_set)  # noqa: B010 - mypy knows no method that is replaced


def kill_after_the_keyrings_answer() -> None:
    """Kill the process when the keyring has answered that the new login is written, before anything is read back."""
    original, counter = Connection.call, KillCounter()

    async def call(connection: Connection, path: str, interface: str, member: str, *rest: Any, **named: Any) -> Any:
        answer = await original(connection, path, interface, member, *rest, **named)
        if member == "SetSecret":  # both slots are in use, and the probe's entry is new
            counter.count_down()
        return answer

    setattr(Connection, "call", call)  # noqa: B010 - mypy knows no method that is replaced


STEPS: dict[str, Callable[[], None]] = {
    "before the probe": lambda: kill_before(Keystore, "probe"),
    "before the intent": lambda: kill_before(Journal, "intent"),
    "before the request": lambda: kill_before(HttpTokens, "refresh"),
    "before storing": lambda: kill_before(Keystore, "store"),
    "before the header": kill_before_the_header,
    "after the keyring's answer": kill_after_the_keyrings_answer,
    "before the commit": lambda: kill_before(Journal, "close_intent"),
    "after the commit": lambda: kill_after(Journal, "close_intent"),
}


if __name__ == "__main__":
    from trayapp.cli import main

    STEPS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
