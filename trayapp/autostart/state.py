"""What can be said of starting at login, and what every system's way of doing it has in common."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Kind(StrEnum):
    """How it is. Only with `ON` does Amberlight come up with the next login."""

    ON = "on"
    OFF = "off"
    BROKEN = "broken"  # switched on, but what would be started is not there any more
    DISABLED = "disabled"  # switched on by us, and off by the system's own settings


@dataclass(frozen=True, slots=True)
class State:
    """The state in one sentence; `help` says what to do about it, if there is anything to do."""

    kind: Kind
    text: str
    help: str = ""

    @property
    def on(self) -> bool:
        """Whether the next login starts Amberlight."""
        return self.kind is Kind.ON


class AutostartError(Exception):
    """It could not be switched on or off. The text is a sentence for people."""


class Autostart(Protocol):
    """One system's way. Methods may wait for files and programs: call them where that hurts nobody."""

    def status(self) -> State:
        """What is so now. Never raises: what cannot be read is said."""
        ...

    def on(self, command: Sequence[str]) -> State:
        """Start `command` at every login from now on; the state that was read back. Raises `AutostartError`."""
        ...

    def off(self) -> State:
        """Start nothing; the state that was read back. Raises `AutostartError`."""
        ...


AGAIN = "Switch it on anew: amberlight autostart on"


def judged(command: Sequence[str], place: str) -> State:
    """The state of an entry that nobody has switched off: can its command still be started?"""
    if not command:
        return State(Kind.BROKEN, f"On, but {place} names no command.", AGAIN)
    program = command[0]
    if not runnable(program):
        return State(Kind.BROKEN, f"On, but {program} is not there any more ({place}).", AGAIN)
    return State(Kind.ON, f"On: every login starts {program} ({place}).")


def runnable(program: str) -> bool:
    """Whether there is such a program: an absolute path, or a name on the PATH."""
    path = Path(program)
    if path.is_absolute():
        return path.is_file() and os.access(path, os.X_OK)
    return shutil.which(program) is not None


def why(error: OSError) -> str:
    """The system's own words, in the middle of a sentence."""
    return (error.strerror or type(error).__name__).lower()
