"""Start at login on Windows: a value in the user's Run key, and the Task Manager's switch that overrides it.

What a person switches off in the Task Manager (or in Settings, Apps, Startup) stays off: the switch is read and reported,
never written. Only the user's own registry hive is touched, so no elevated rights are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from trayapp.autostart.state import OFF, AutostartError, Kind, State, entry_state, reason

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
NAME = "Amberlight"
MAX_COMMAND = 260  # characters; Windows ignores a longer command in the Run key
SETTINGS = "the Task Manager, under Startup apps"


class Registry(Protocol):
    """The user's hive, HKEY_CURRENT_USER. All methods raise `OSError` when the system refuses."""

    def read(self, key: str, name: str) -> str | bytes | None:
        """A value; None if there is none."""
        ...

    def write(self, key: str, name: str, text: str) -> None:
        """Write a string value; the key is created if it is missing."""
        ...

    def delete(self, key: str, name: str) -> None:
        """Delete a value; a missing one is no error."""
        ...


class Winreg:
    """The real registry, through `winreg`."""

    def __init__(self) -> None:
        import winreg

        self._winreg: Any = winreg

    def read(self, key: str, name: str) -> str | bytes | None:
        try:
            with self._winreg.OpenKey(self._winreg.HKEY_CURRENT_USER, key) as handle:
                value, _ = self._winreg.QueryValueEx(handle, name)
        except FileNotFoundError:
            return None
        return value if isinstance(value, str | bytes) else None

    def write(self, key: str, name: str, text: str) -> None:
        with self._winreg.CreateKey(self._winreg.HKEY_CURRENT_USER, key) as handle:
            self._winreg.SetValueEx(handle, name, 0, self._winreg.REG_SZ, text)

    def delete(self, key: str, name: str) -> None:
        access = self._winreg.KEY_SET_VALUE
        try:
            with self._winreg.OpenKey(self._winreg.HKEY_CURRENT_USER, key, 0, access) as handle:
                self._winreg.DeleteValue(handle, name)
        except FileNotFoundError:
            return


class RunKey:
    """Amberlight's value in the Run key of the current user."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def status(self) -> State:
        try:
            line = self._registry.read(RUN, NAME)
            approval = self._registry.read(APPROVED, NAME)
        except OSError as error:
            return State(Kind.OFF, f"The registry can't be read: {reason(error)}.", "Check it in the Task Manager.")
        if not isinstance(line, str):
            return State(Kind.OFF, OFF)
        if switched_off(approval):
            return State(Kind.DISABLED, f"Off: turned off in {SETTINGS}.", f"Turn it on in {SETTINGS}.")
        return entry_state(command_words(line), "the Run key")

    def on(self, command: Sequence[str]) -> State:
        line = " ".join(command_quoted(word) for word in command)
        if len(line) > MAX_COMMAND:
            raise AutostartError(f"The command is longer than the {MAX_COMMAND} characters that Windows allows: {line}")
        try:
            self._registry.write(RUN, NAME, line)
        except OSError as error:
            raise _not_written(error) from None
        return self.status()

    def off(self) -> State:
        """Delete the value. The Task Manager's switch belongs to the user and stays as it is."""
        try:
            self._registry.delete(RUN, NAME)
        except OSError as error:
            raise _not_written(error) from None
        return self.status()


def _not_written(error: OSError) -> AutostartError:
    return AutostartError(f"The registry can't be written: {reason(error)}.")


def switched_off(value: str | bytes | None) -> bool:
    """Whether a StartupApproved value means off: the first byte is 02 or 06 for on, 03 or 07 for off; the rest is a time."""
    return isinstance(value, bytes) and len(value) > 0 and bool(value[0] & 1)


def command_quoted(word: str) -> str:
    """One word of a command line, always in quotes, as CommandLineToArgvW reads it. Raises `AutostartError`."""
    if '"' in word:
        raise AutostartError(f"Can't start at login: the path contains a quotation mark ({word}).")
    slashes = len(word) - len(word.rstrip("\\"))
    return f'"{word}{slashes * chr(92)}"'


def command_words(line: str) -> tuple[str, ...]:
    """The words of a command line, whether we or the user wrote it; quotes keep spaces together."""
    words: list[str] = []
    word, in_quotes, begun = "", False, False
    for char in line:
        if char == '"':
            in_quotes, begun = not in_quotes, True
        elif char.isspace() and not in_quotes:
            words, word, begun = [*words, *([word] if begun else [])], "", False
        else:
            word, begun = word + char, True
    return (*words, word) if begun else tuple(words)
