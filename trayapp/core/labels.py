"""The state of a workload in one label, from the one set that menu, dashboard, notifications and command line share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trayapp.core.snapshot import Detail, Status, WorkloadView


class Label(StrEnum):
    """The labels."""

    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"
    SIGN_IN_NEEDED = "Sign-in needed"
    NOT_SIGNED_IN = "Not signed in"
    KEYRING_LOCKED = "Keyring locked"
    KEYRING_UNAVAILABLE = "Keyring unavailable"
    OFFLINE = "Offline"
    ACCESS_REFUSED = "Access refused"
    CONFIGURATION_ERROR = "Configuration error"
    PAUSED = "Paused"
    STARTING = "Starting"


# What keeps a workload from a usable token; anything else is on its way back: Reconnecting.
_OBSTACLES: Mapping[Detail, Label] = {
    Detail.KEYRING_LOCKED: Label.KEYRING_LOCKED,
    Detail.KEYRING_UNAVAILABLE: Label.KEYRING_UNAVAILABLE,
    Detail.OFFLINE: Label.OFFLINE,
    Detail.PORTAL: Label.OFFLINE,
}
_GOOD = frozenset(  # nothing is in the way, whether or not a token is usable at this instant
    {
        Detail.OK,
        Detail.STARTING,
        Detail.REFRESH_DELAYED,
        Detail.NOT_STORED,
        Detail.PERMISSION_NEEDED,
        Detail.STRONGER_SIGN_IN,
    }
)
_BY_STATUS: Mapping[Status, Label] = {
    Status.UNAUTHENTICATED: Label.SIGN_IN_NEEDED,
    Status.ERROR: Label.CONFIGURATION_ERROR,
    Status.UNHEALTHY: Label.ACCESS_REFUSED,
    Status.STOPPED: Label.PAUSED,
}
_BY_DETAIL: Mapping[tuple[Status, Detail], Label] = {
    (Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN): Label.NOT_SIGNED_IN,
    (Status.ERROR, Detail.CONFIRM_CHANGE): Label.SIGN_IN_NEEDED,
}
LEAVING: Mapping[Status, str] = {
    Status.REMOVING: "Being removed",
    Status.STOPPING: "Pausing",
    Status.POLICY_STOPPED: "Stopped by policy",
    Status.UNKNOWN: "Unknown",
}
# Of other programs' workloads, whose status words mean a little less (`external.py`).
_EXTERNAL: Mapping[Status, str] = {
    Status.STARTING: Label.STARTING,
    Status.RUNNING: Label.CONNECTED,
    Status.AUTH_RETRYING: Label.RECONNECTING,
    Status.UNAUTHENTICATED: Label.SIGN_IN_NEEDED,
    Status.ERROR: "Error",
    Status.UNHEALTHY: "Unhealthy",
    Status.STOPPING: "Stopping",
    Status.STOPPED: "Stopped",
    Status.REMOVING: LEAVING[Status.REMOVING],
    Status.POLICY_STOPPED: LEAVING[Status.POLICY_STOPPED],
}


def label(view: WorkloadView) -> str:
    """The label of a workload; of one that is about to go, what happens to it."""
    if view.external is not None:
        return external_label(view.status, view.external.word)
    return label_of(view.status, view.auth.detail, usable=view.auth.usable) or LEAVING[view.status]


def label_of(status: Status, detail: Detail, *, usable: bool) -> Label | None:
    """The same from the values it depends on; None for `LEAVING`. `usable`: clients get a token now."""
    if found := _BY_DETAIL.get((status, detail)) or _BY_STATUS.get(status):
        return found
    if status in LEAVING:
        return None
    if status is not Status.AUTH_RETRYING and (usable or detail in _GOOD):
        return Label.STARTING if status is Status.STARTING else Label.CONNECTED
    return _OBSTACLES.get(detail, Label.RECONNECTING)


def external_label(status: Status, word: str) -> str:
    """The label of another program's workload; a status word of a later version is shown as it is."""
    return _EXTERNAL.get(status, word)
