"""A one-place mailbox between engine and painter: only the newest view counts, older ones are replaced unseen.

`Mailbox` is the only thing that the two threads share; `ViewUpdate` holds what differs between two views.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from trayapp.core.presentation import IconView, MenuItem, TrayView

# A view, or a function that makes it: with 1,000 workloads that takes 20 ms, which the publisher should not spend.
Drawable: TypeAlias = TrayView | Callable[[], TrayView]


@dataclass(frozen=True, slots=True)
class ViewUpdate:
    """The parts of a view that have changed; None means unchanged."""

    icon: IconView | None = None
    tooltip: str | None = None
    menu: tuple[MenuItem, ...] | None = None

    def __bool__(self) -> bool:
        return self.icon is not None or self.tooltip is not None or self.menu is not None


def difference(before: TrayView | None, after: TrayView) -> ViewUpdate:
    """What changed between two views; everything if there was none before."""
    if before is None:
        return ViewUpdate(after.icon, after.tooltip, after.menu)
    return ViewUpdate(
        after.icon if after.icon != before.icon else None,
        after.tooltip if after.tooltip != before.tooltip else None,
        after.menu if after.menu != before.menu else None,
    )


class Mailbox:
    """Holds at most one view. Any thread puts, one thread takes; it is closed for good."""

    def __init__(self) -> None:
        self._changed = threading.Condition(
            threading.RLock()
        )  # re-entrant: a signal handler may close it during a `put`
        self._view: Drawable | None = None
        self._closed = False

    def put(self, view: Drawable) -> None:
        """Put a view in, replacing one that was not taken. Blocks only for the lock."""
        with self._changed:
            self._view = view
            self._changed.notify_all()

    def close(self) -> None:
        """Close the mailbox and wake the taker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> Drawable | None:
        """Wait for a view, without a limit; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._view is not None)
            view, self._view = self._view, None
            return None if self._closed else view

    def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
