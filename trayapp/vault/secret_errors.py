"""Why the Secret Service could not be read or written."""

from __future__ import annotations

from trayapp.core.model import Trouble
from trayapp.core.sentences import KEYRING_PROBLEMS


class ServiceError(Exception):
    """The service, or the bus on its behalf, answered with a D-Bus error. Only its name is kept; a text could quote
    anything."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class LockedError(Exception):
    """Only a dialog could open it, and nobody asked for one, or it was dismissed."""


class NoCollectionError(Exception):
    """The service has no default collection, and nobody asked for a dialog that makes one."""

    def __init__(self) -> None:
        super().__init__(KEYRING_PROBLEMS[Trouble.NO_COLLECTION])
