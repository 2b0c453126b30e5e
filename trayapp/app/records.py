"""What the app records of its clients' requests, for the dashboard's *Activity*."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from trayapp.config.loader import Settings
from trayapp.config.paths import Paths
from trayapp.core.model import Moment
from trayapp.storage.activity import Activity

StartTask = Callable[[str, Coroutine[Any, Any, None]], object]


class EventStream(Protocol):
    """What is needed of `api.events.Events`."""

    @property
    def readers(self) -> int: ...

    def emit(self, kind: str, data: Callable[[], dict[str, object]]) -> None:
        """Tell all readers."""
        ...


class Records:
    """Belongs to the engine's loop."""

    def __init__(self, paths: Paths, task: StartTask, events: EventStream) -> None:
        self._task = task
        self._events = events
        self.activity = Activity(paths.activity_db, self._written)

    def configured(self, settings: Settings) -> None:
        """The settings are these from now on."""
        self._task("switch the activity", self.activity.switch(settings.activity))

    def renamed(self, workload: str, new: str) -> None:
        """A workload has another name, or with an empty one is gone."""
        what = self.activity.rename(workload, new) if new else self.activity.forget(workload)
        self._task(f"change what was recorded of {workload}", what)

    def passes(self, now: Moment) -> None:
        """The engine read its clocks."""
        if self.activity.passes(now.at):
            self._task("delete old activity", self.activity.purge())

    def _written(self) -> None:
        if self._events.readers:
            self._events.emit("activity", dict)
