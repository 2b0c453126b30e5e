"""The state of starting at login, and the interface that each operating system implements."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Kind(StrEnum):
    """The kinds of state. Only `ON` starts Amberlight at the next login."""

    ON = "on"
    OFF = "off"
    BROKEN = "broken"  # switched on, but the program no longer exists
    DISABLED = "disabled"  # switched on by us, but off in the system's own settings


@dataclass(frozen=True, slots=True)
class State:
    """A state and a sentence for users; `help` says what to do about it, or is empty."""

    kind: Kind
    text: str
    help: str = ""

    @property
    def on(self) -> bool:
        """Whether the next login starts Amberlight."""
        return self.kind is Kind.ON


class AutostartError(Exception):
    """Start at login could not be switched on or off. The text is a sentence for users."""


class Autostart(Protocol):
    """Start at login on one system. Methods block on files and programs: do not call them on the loop."""

    def status(self) -> State:
        """The present state. Never raises: a failure to read is a state."""
        ...

    def on(self, command: Sequence[str]) -> State:
        """Start `command` at every login from now on. Returns the state that was read back. Raises `AutostartError`."""
        ...

    def off(self) -> State:
        """Start nothing at login. Returns the state that was read back. Raises `AutostartError`."""
        ...


OFF = "Off: Amberlight doesn't start at login."
RUN_ON = "run `amberlight autostart on`."
SWITCH_ON_AGAIN = f"To turn it on again, {RUN_ON}"


def entry_state(command: Sequence[str], entry: str) -> State:
    """The state of an entry that is not switched off: `ON` if its command can still be started, else `BROKEN`."""
    if not command:
        return State(Kind.BROKEN, f"On, but {entry} contains no command.", SWITCH_ON_AGAIN)
    program = command[0]
    if not runnable(program):
        return State(Kind.BROKEN, f"On, but {program} no longer exists ({entry}).", SWITCH_ON_AGAIN)
    return State(Kind.ON, f"On: {program} starts at login ({entry}).")


def runnable(program: str) -> bool:
    """Whether an executable exists: an absolute path, or a name on the PATH."""
    path = Path(program)
    if path.is_absolute():
        return path.is_file() and os.access(path, os.X_OK)
    return shutil.which(program) is not None


def reason(error: OSError) -> str:
    """The system's message for an error, to stand in the middle of a sentence."""
    return (error.strerror or type(error).__name__).lower()
