"""The interface of a notification channel: what the notification centre needs of each operating system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trayapp.core.presentation import Action, Notice

OnAction = Callable[[Action], None]


class Channel(Protocol):
    """One way to show notifications. On failure, methods raise `ChannelError` or whatever the system raises."""

    async def show(self, notice: Notice) -> None: ...

    async def withdraw(self, key: str) -> None: ...

    async def close(self) -> None: ...


class ChannelError(Exception):
    """Notifications cannot be shown; the text is one plain sentence without a full stop."""
