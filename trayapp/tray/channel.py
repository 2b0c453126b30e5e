"""The interface of a notification channel: what the notification centre needs of each operating system."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Protocol

from trayapp.core.presentation import Action, Notice

OnAction = Callable[[Action], None]
SWITCHED_OFF = "they are switched off in the system's settings"


@dataclass(frozen=True, slots=True)
class Listener:
    """What a channel reports; only Linux has daemons that come and go, so elsewhere only `on_action` is called.

    `on_ready`: what could not be shown is worth another try. `on_lost` gets the keys of the notifications that have gone
    with their daemon: those that were on the screen, and those that had expired by then. A notification that the person
    dismissed is in neither.
    """

    on_action: OnAction
    on_ready: Callable[[], None] = lambda: None
    on_lost: Callable[[Set[str], Set[str]], None] = lambda live, expired: None


class Channel(Protocol):
    """One way to show notifications. On failure, methods raise `ChannelError` or whatever the system raises."""

    async def show(self, notice: Notice) -> None: ...

    async def withdraw(self, key: str) -> None: ...

    async def close(self) -> None: ...


class ChannelError(Exception):
    """Notifications cannot be shown; the text is one plain sentence without a full stop."""
