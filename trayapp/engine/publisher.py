"""Rate-limited publishing of snapshots: at most four a second; reading one in between doesn't suppress a publication.

A snapshot is a copied dict of shared frozen views, so 1,000 workloads cost a dict copy and not 1,000 new views. It is
made again only when something has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

from trayapp.core.outages import Outage
from trayapp.core.snapshot import Removal, Snapshot, WorkloadView

PUBLISH_EVERY = 0.25  # s; nobody can read a menu that changes faster


class AppFields(TypedDict, total=False):
    """The fields of a snapshot that aren't derived from workloads; those left out keep their value."""

    muted: bool
    broken: str
    outdated: str
    outage: Outage | None
    this_run_only: bool
    warnings: tuple[str, ...]
    autostart: bool | None
    removals: tuple[Removal, ...]
    external: Mapping[str, WorkloadView]


class Publisher:
    """Holds the newest snapshot, on the engine's loop. `views` is the engine's own dict, copied for each snapshot."""

    def __init__(self, publish: Callable[[Snapshot], None], views: Mapping[str, WorkloadView]) -> None:
        self._publish = publish
        self._views = views
        self._newest = Snapshot(serial=0)
        self._stale = True  # `_newest` is out of date
        self._unpublished = True
        self._published_at = float("-inf")  # awake

    def mark_changed(self) -> None:
        """Something public has changed."""
        self._stale = self._unpublished = True

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        """Set what the app itself has to show."""
        self._newest = replace(self._newest, **fields)
        self.mark_changed()

    def snapshot(self, gate: str) -> Snapshot:
        """Everything public as it is now; the same object as before if nothing has changed. `gate` is the reason shown."""
        if self._stale or self._newest.gate != gate:
            self._newest = replace(self._newest, serial=self._newest.serial + 1, workloads=dict(self._views), gate=gate)
            self._stale, self._unpublished = False, True
        return self._newest

    def publish_if_due(self, gate: str, awake: float) -> float:
        """Publish if something has changed and the last time is long enough ago.

        Returns the seconds until a change that has to wait may be published, infinity if there is none.
        """
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
