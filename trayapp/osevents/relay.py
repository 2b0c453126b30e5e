"""Passing events from operating system threads to the asyncio loop, and delaying a sleep for a limited time.

Callbacks of macOS and Windows come on foreign threads, and may still come while we unregister, or after. Nothing is
decided here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from trayapp.osevents.events import OsEvent


class ThreadRelay:
    """Made and stopped on the loop; `post` may be called from any thread at any time, and never raises."""

    def __init__(self, emit: Callable[[OsEvent], None]) -> None:
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._ended = False

    def post(self, event: OsEvent) -> bool:
        """Pass the event to the loop; False if the relay has stopped or the loop is closed."""
        return self.call(self._deliver, event)

    def call(self, callback: Callable[..., None], *arguments: object) -> bool:
        """Call any function on the loop; False as for `post`."""
        if self._ended:
            return False
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def stop(self) -> None:
        """From the loop: events that are still in transit are dropped."""
        self._ended = True

    def _deliver(self, event: OsEvent) -> None:
        if not self._ended:
            self._emit(event)


class SleepHold:
    """A sleep that waits for us: `release` allows it exactly once, however often and from whichever thread it is called.

    A timer of its own allows it after `limit` seconds, so that a stuck loop cannot keep the machine awake.
    """

    def __init__(self, allow: Callable[[], None], limit: float) -> None:
        self._allow: Callable[[], None] | None = allow
        self._lock = threading.Lock()
        self._timer = threading.Timer(limit, self.release)
        self._timer.name = "let the machine sleep"
        self._timer.daemon = True
        self._timer.start()

    def release(self) -> None:
        """Let the machine sleep; from any thread."""
        with self._lock:
            allow, self._allow = self._allow, None
        if allow is not None:
            self._timer.cancel()
            allow()
