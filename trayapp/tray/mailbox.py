"""Only the newest value counts: what the engine publishes while the painter is busy replaces what it published before.

`Mailbox` is the one place between the two threads, `ViewUpdate` what the painter has to do about a new `TrayView`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from trayapp.core.presentation import IconView, MenuItem, TrayView

Drawable: TypeAlias = (
    TrayView | Callable[[], TrayView]
)  # a face, or how to make it: with 1,000 workloads that takes 20 ms


@dataclass(frozen=True, slots=True)
class ViewUpdate:
    """The parts of a face that are to be shown anew; None means: as it is."""

    icon: IconView | None = None
    tooltip: str | None = None
    menu: tuple[MenuItem, ...] | None = None

    def __bool__(self) -> bool:
        return self.icon is not None or self.tooltip is not None or self.menu is not None


def difference(before: TrayView | None, after: TrayView) -> ViewUpdate:
    """What leads from one face to the next; everything, if there was none."""
    if before is None:
        return ViewUpdate(after.icon, after.tooltip, after.menu)
    return ViewUpdate(
        after.icon if after.icon != before.icon else None,
        after.tooltip if after.tooltip != before.tooltip else None,
        after.menu if after.menu != before.menu else None,
    )


class Mailbox:
    """A box with one place. Any thread puts, one thread takes; closing it is for good."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())  # re-entrant: a signal handler may close it amid a `put`
        self._view: Drawable | None = None
        self._closed = False

    def put(self, view: Drawable) -> None:
        """Leave a face, throwing away the one that nobody took. Never blocks for long."""
        with self._changed:
            self._view = view
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the taker for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> Drawable | None:
        """Wait for a face, as long as it takes; None once the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._view is not None)
            view, self._view = self._view, None
            return None if self._closed else view

    def pause(self, seconds: float) -> None:
        """Do nothing for so long, or until the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
