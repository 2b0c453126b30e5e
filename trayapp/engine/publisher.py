"""The newest snapshot, and when it is handed on: at most four times a second, and never lost to somebody who only asks.

A snapshot is a copied dict of shared frozen views, made again only when something changed (PROTOTYPES.md section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

from trayapp.core.snapshot import Snapshot, WorkloadView

PUBLISH_EVERY = 0.25  # s; four snapshots a second are enough for eyes


class AppFields(TypedDict, total=False):
    """The fields of a snapshot that the app fills; what is left out stays as it is."""

    muted: bool
    broken: str
    warnings: tuple[str, ...]
    autostart: bool | None


class Publisher:
    """Belongs to the engine's loop. `views` is the engine's own, looked at anew for each snapshot."""

    def __init__(self, publish: Callable[[Snapshot], None], views: Mapping[str, WorkloadView]) -> None:
        self._publish = publish
        self._views = views
        self._shown = Snapshot(serial=0)
        self._stale = True  # `_shown` is not what is so now
        self._unpublished = True
        self._published_at = float("-inf")  # awake

    def touch(self) -> None:
        """Something public changed."""
        self._stale = self._unpublished = True

    def say(self, **what: Unpack[AppFields]) -> None:
        """What the app itself has to show."""
        self._shown = replace(self._shown, **what)
        self.touch()

    def snapshot(self, gate: str) -> Snapshot:
        """Everything public as it is now; the same object as before if nothing changed."""
        if self._stale or self._shown.gate != gate:
            self._shown = replace(self._shown, serial=self._shown.serial + 1, workloads=dict(self._views), gate=gate)
            self._stale, self._unpublished = False, True
        return self._shown

    def if_due(self, gate: str, awake: float) -> float:
        """Publish if something changed and the last time is long enough ago; the seconds until it may, if it waits."""
        snapshot = self.snapshot(gate)
        if not self._unpublished:
            return float("inf")
        wait = self._published_at + PUBLISH_EVERY - awake
        if wait > 0.0:
            return wait
        self._published_at = awake
        self._unpublished = False
        self._publish(snapshot)
        return float("inf")
