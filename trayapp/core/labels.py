"""The state of a workload in one label, from the one set that menu, dashboard, notifications and command line share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trayapp.core.snapshot import Detail, Status


class Label(StrEnum):
    """The labels."""

    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"
    SIGN_IN_NEEDED = "Sign-in needed"
    NOT_SIGNED_IN = "Not signed in"
    KEYRING_LOCKED = "Keyring locked"
    OFFLINE = "Offline"
    ACCESS_REFUSED = "Access refused"
    CONFIGURATION_ERROR = "Configuration error"
    PAUSED = "Paused"
    STARTING = "Starting"


# What keeps a workload from a usable token; anything else is on its way back: Reconnecting.
_OBSTACLES: Mapping[Detail, Label] = {
    Detail.KEYRING_LOCKED: Label.KEYRING_LOCKED,
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


def label(status: Status, detail: Detail, *, usable: bool) -> Label | None:
    """The label; None for the statuses of a workload that is about to go. `usable`: clients get a token now."""
    if found := _BY_DETAIL.get((status, detail)) or _BY_STATUS.get(status):
        return found
    if status is Status.AUTH_RETRYING:
        return _OBSTACLES.get(detail, Label.RECONNECTING)
    if status in (Status.RUNNING, Status.STARTING):
        if usable or detail in _GOOD:
            return Label.CONNECTED if status is Status.RUNNING else Label.STARTING
        return _OBSTACLES.get(detail, Label.RECONNECTING)
    return None
