"""The interface between the tray icon and the native backends that show it.

It stands below both `icon.py` and the backends, which need it for their types only: nothing imports it at start-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from trayapp.core.presentation import Action
from trayapp.tray.mailbox import ViewUpdate

OnAction = Callable[[Action], None]
OnHost = Callable[[bool], None]


class TrayBackend(Protocol):
    """What `sni.Icon` and the classes of `native.py` and `native_windows.py` have in common."""

    def run(self, setup: Callable[[Any], None]) -> None:
        """Show the first icon and block until `stop`.

        `setup(self)` runs in a thread of its own once the icon is shown, or once it is known that nothing will show it.
        """
        ...

    def apply(self, change: ViewUpdate) -> None:
        """Show a change. Called by the painter thread only; returns without waiting for the screen."""
        ...

    def stop(self) -> None:
        """End `run`. Called by the painter thread only."""
        ...


MakeBackend = Callable[[str, OnAction, OnHost], TrayBackend]
