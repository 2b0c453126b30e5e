"""Named asyncio tasks: each is referenced until it ends, and none fails silently (M13)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one loop. `needed` are those that a quit waits for: they write, delete or revoke.

    `on_end` is called whenever a task has ended.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._all: set[asyncio.Task[None]] = set()
        self.needed: set[asyncio.Task[None]] = set()

    def begin(self, what: str, work: Coroutine[Any, Any, None], *, needed: bool = False) -> asyncio.Task[None]:
        """Run `work` on the current loop; `what` is its name in the log."""
        task = asyncio.get_running_loop().create_task(work, name=what)
        self._all.add(task)
        if needed:
            self.needed.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self) -> None:
        """Cancel the tasks that are left, and wait for them."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._all.discard(task)
        self.needed.discard(task)
        self._on_end()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)


async def first_of(event: asyncio.Event, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait until the event is set, or until `waiting` returns and sets it. `waiting` isn't left running."""
    task = asyncio.ensure_future(waiting)
    task.add_done_callback(returned := lambda done: event.set())
    try:
        await event.wait()
    finally:
        task.remove_done_callback(returned)  # it would set the event after it was cleared
        task.cancel()
