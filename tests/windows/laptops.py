"""Views of laptops with any number of workloads, as the app draws them."""

from __future__ import annotations

from trayapp.core.menu import tray_view
from trayapp.core.model import Problem
from trayapp.core.presentation import TrayView
from trayapp.core.snapshot import AuthView, Detail, Snapshot, Status, WorkloadView
from trayapp.core.view import style_of

NAMES = (
    "github",
    "notion",
    "linear",
    "jira",
    "sentry",
    "slack",
    "stripe",
    "figma",
    "asana",
    "atlassian-production-eu-1",
)
DETAILS = {
    Status.RUNNING: Detail.OK,
    Status.AUTH_RETRYING: Detail.RETRYING,
    Status.UNAUTHENTICATED: Detail.REFUSED,
    Status.STOPPED: Detail.PAUSED,
    Status.ERROR: Detail.CONFIG_ERROR,
}


def workload(name: str, status: Status) -> WorkloadView:
    """A workload in this state."""
    drawn = style_of(status)
    error = None if status is Status.RUNNING else Problem("http", "no")
    auth = AuthView(DETAILS[status], 0.0, last_error=error)
    return WorkloadView(name, "", status, "", drawn.health, drawn.colour, drawn.glyph, auth)


def laptop(*states: Status, fill: int = 0) -> TrayView:
    """A workload in each of the states, and connected ones until there are `fill`."""
    wanted = [*states, *[Status.RUNNING] * (fill - len(states))]
    names = (NAMES[i] if i < len(NAMES) else f"server-{i}" for i in range(len(wanted)))
    views = [workload(name, status) for name, status in zip(names, wanted, strict=True)]
    return tray_view(Snapshot(1, {view.name: view for view in views}, autostart=True), lambda wall: "14:32")
