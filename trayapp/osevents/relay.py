"""From a thread of the operating system to the loop: events are carried over, nothing is decided on the way.

Callbacks of macOS and Windows come on threads that are not ours, and may still come while, or after, we unregister.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from trayapp.osevents.events import OsEvent


class ThreadRelay:
    """Made and ended on the loop; `post` may be called from any thread at any time, and never raises."""

    def __init__(self, emit: Callable[[OsEvent], None]) -> None:
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._ended = False

    def post(self, event: OsEvent) -> bool:
        """Whether the event is on its way; False once nobody listens any more."""
        return self.call(self._deliver, event)

    def call(self, what: Callable[..., None], *arguments: object) -> bool:
        """The same for any function that belongs to the loop."""
        if self._ended:
            return False
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def end(self) -> None:
        """From the loop: what is still under way is dropped."""
        self._ended = True

    def _deliver(self, event: OsEvent) -> None:
        if not self._ended:
            self._emit(event)


class SleepHold:
    """The system waits for our word before it sleeps: `release` gives it exactly once, whoever calls it and how often.

    A timer of its own gives it after `limit` seconds, so that a loop that is stuck cannot keep a lid from closing.
    """

    def __init__(self, let: Callable[[], None], limit: float) -> None:
        self._let: Callable[[], None] | None = let
        self._lock = threading.Lock()
        self._timer = threading.Timer(limit, self.release)
        self._timer.name = "let the machine sleep"
        self._timer.daemon = True
        self._timer.start()

    def release(self) -> None:
        """From any thread."""
        with self._lock:
            let, self._let = self._let, None
        if let is not None:
            self._timer.cancel()
            let()
