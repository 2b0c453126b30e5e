"""`python -m tests.desktop.crashing STEP run …`: the real program, which kills itself at one step of a refresh.

The step is wrapped around an adapter's method from outside, so the program itself knows nothing of it. The kill is
SIGKILL, at the `REFRESH`th time that the step is reached: the first refresh, that of the start, goes through, so both
slots, state.db and the other side of every door are in use when it happens.
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
from trayapp.vault.secret_service_vault import SecretServiceVault

REFRESH = 2
SHORT = 200  # characters: of a login stored in such pieces the header is the last, as on Windows


class Fuse:
    """Counts how often the step was reached."""

    def __init__(self) -> None:
        self.left = REFRESH

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before(owner: type[Any], method: str) -> None:
    """Die before the call."""
    real, fuse = getattr(owner, method), Fuse()

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        fuse.burn()
        return await real(*arguments, **named)

    setattr(owner, method, wrapped)


def after(owner: type[Any], method: str) -> None:
    """Die when the call has done its work, before anybody hears of it."""
    real, fuse = getattr(owner, method), Fuse()

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = await real(*arguments, **named)
        fuse.burn()
        return result

    setattr(owner, method, wrapped)


def before_the_header() -> None:
    """Die with the parts of the new login in the keyring and its header not."""
    real, fuse = SecretServiceVault.set, Fuse()

    def put(vault: SecretServiceVault, service: str, user: str, value: str) -> None:
        if service.endswith(("/a", "/b")):
            fuse.burn()
        real(vault, service, user, value)

    SecretServiceVault.limit = SHORT
    setattr(SecretServiceVault, "set", put)  # noqa: B010 - mypy knows no method that is replaced


STEPS: dict[str, Callable[[], None]] = {
    "before the probe": lambda: before(Keystore, "probe"),
    "before the intent": lambda: before(Journal, "intent"),
    "before the request": lambda: before(HttpTokens, "refresh"),
    "before storing": lambda: before(Keystore, "store"),
    "before the header": before_the_header,
    "before the commit": lambda: before(Journal, "close_intent"),
    "after the commit": lambda: after(Journal, "close_intent"),
}


if __name__ == "__main__":
    from trayapp.cli import main

    STEPS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
