"""Windows: a value below the user's Run key, and the switch of the Task Manager that stands above it.

What a person switches off in the Task Manager (or in Settings, Apps, Startup) stays off: that wish is read and told, never
overwritten. Only the user's own branch of the registry is touched, so no rights are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from trayapp.autostart.state import AutostartError, Kind, State, judged, why

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
NAME = "Amberlight"
LONGEST = 260  # characters; Windows passes over a longer command in the Run key
SETTINGS = "the Task Manager, under Startup apps"


class Registry(Protocol):
    """The user's branch, HKEY_CURRENT_USER. All raise `OSError` when the system refuses."""

    def read(self, key: str, name: str) -> str | bytes | None:
        """A value; None if there is none."""
        ...

    def write(self, key: str, name: str, text: str) -> None:
        """A string value; the key is made if it is missing."""
        ...

    def delete(self, key: str, name: str) -> None:
        """None there is no error."""
        ...


class Winreg:
    """The real one."""

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
    """The value of one user."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def status(self) -> State:
        try:
            line = self._registry.read(RUN, NAME)
            switch = self._registry.read(APPROVED, NAME)
        except OSError as error:
            return State(Kind.OFF, f"The registry cannot be read: {why(error)}.", "Look at it in the Task Manager.")
        if not isinstance(line, str):
            return State(Kind.OFF, "Off: Amberlight does not start at login.")
        if switched_off(switch):
            return State(Kind.DISABLED, f"Off: switched off in {SETTINGS}.", f"Switch it on in {SETTINGS}.")
        return judged(parsed(line), "the Run key")

    def on(self, command: Sequence[str]) -> State:
        line = " ".join(quoted(word) for word in command)
        if len(line) > LONGEST:
            raise AutostartError(f"Windows takes at most {LONGEST} characters, and this is longer: {line}")
        try:
            self._registry.write(RUN, NAME, line)
        except OSError as error:
            raise AutostartError(f"The registry cannot be written: {why(error)}.") from None
        return self.status()

    def off(self) -> State:
        """The Task Manager's switch stays as it is: it is the person's."""
        try:
            self._registry.delete(RUN, NAME)
        except OSError as error:
            raise AutostartError(f"The registry cannot be written: {why(error)}.") from None
        return self.status()


def switched_off(value: str | bytes | None) -> bool:
    """The first byte's lowest bit: 02 and 06 are on, 03 and 07 off; the rest is when that was."""
    return isinstance(value, bytes) and len(value) > 0 and bool(value[0] & 1)


def quoted(word: str) -> str:
    """One word of a command line: in quotes always, as C programs read them (CommandLineToArgvW)."""
    if '"' in word:
        raise AutostartError(f"A login cannot start a program with a quotation mark in its path: {word}")
    slashes = len(word) - len(word.rstrip("\\"))
    return f'"{word}{slashes * chr(92)}"'


def parsed(line: str) -> tuple[str, ...]:
    """The words of a command line that we, or a person, wrote: quotes keep spaces together."""
    words: list[str] = []
    word, inside, begun = "", False, False
    for letter in line:
        if letter == '"':
            inside, begun = not inside, True
        elif letter.isspace() and not inside:
            words, word, begun = [*words, *([word] if begun else [])], "", False
        else:
            word, begun = word + letter, True
    return (*words, word) if begun else tuple(words)
