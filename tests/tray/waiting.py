"""What the tests of the tray share on every system."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trayapp.core.presentation import Action, Notice, Verb

REAUTHORIZE, RETRY = Action(Verb.REAUTHORIZE, "a"), Action(Verb.RETRY, "a")


def notice(body: str = "Sign in again.", key: str = "a") -> Notice:
    """A notification with two buttons."""
    return Notice(key, "a needs a sign-in", body, (("Reauthorize", REAUTHORIZE), ("Retry now", RETRY)))


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait at most 5 s for a condition that another thread or process makes true."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"timed out waiting for {what}")
