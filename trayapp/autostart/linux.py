"""Start at login on Linux and other freedesktop systems: an XDG autostart entry (Desktop Application Autostart Specification).

The user's own file overrides system files of the same name, and `Hidden=true` in it switches them off. So switching off
removes our file, and writes a hidden one only where the system has an entry that would start Amberlight.

The entry starts the program by a shell that first looks whether it is still installed: whoever uninstalls it need not
know of the entry, and not everything that reads such entries looks at TryExec. It also lets the path have a `%`, which
GLib and systemd do not unescape in the first word of Exec.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trayapp.autostart.state import (
    OFF,
    RUN_ON,
    SWITCH_ON_AGAIN,
    AutostartError,
    Kind,
    State,
    entry_state,
    reason,
    runnable,
)
from trayapp.system.plain_files import read_plain, within

FILE = "amberlight.desktop"
UNIT = "systemd/user/default.target.wants/amberlight.service"  # what `systemctl --user enable amberlight` makes
GROUP = "[Desktop Entry]"
ICON = Path(__file__).parent.parent / "tray" / "app.png"  # icon themes know our name only if a package installed it
SYSTEM_DIRS = "/etc/xdg"  # the default of XDG_CONFIG_DIRS (XDG base directory specification)
MAX_ENTRY_SIZE = 65536  # bytes; no real entry is longer
# Without a `"`, `$` or backslash, as long as the path has none: dex and LXQt do not unescape them. The first path is that
# of the file that has to be there.
SHELL = ("/bin/sh", "-c")
GUARD = ("test", "!", "-e")
START = ("||", "exec")
MODULE = Path(__file__).parent.parent / "__main__.py"  # what `python -m trayapp` runs
EXEC_SPECIAL = '"`$\\'  # inside double quotes these need a backslash (Desktop Entry Specification, "The Exec key")

ENTRY = """\
[Desktop Entry]
Type=Application
Name=Amberlight
Comment=Keeps your logins alive
Icon={icon}
Exec={command}
TryExec={program}
Terminal=false
StartupNotify=false
X-GNOME-Autostart-enabled=true
"""
HIDDEN = """\
[Desktop Entry]
Type=Application
Name=Amberlight
Hidden=true
"""


@dataclass(frozen=True, slots=True)
class DesktopEntry:
    """The entry of one user. `desktops` are the names of the session's desktop, from XDG_CURRENT_DESKTOP."""

    config_home: Path
    system: tuple[Path, ...] = (Path(SYSTEM_DIRS),)
    desktops: tuple[str, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> DesktopEntry:
        """From the environment. Relative paths are ignored, as the XDG base directory specification demands."""
        home = Path(environ.get("XDG_CONFIG_HOME", ""))
        system = (Path(part) for part in (environ.get("XDG_CONFIG_DIRS") or SYSTEM_DIRS).split(":"))
        return cls(
            config_home=home if home.is_absolute() else Path.home() / ".config",
            system=tuple(path for path in system if path.is_absolute()),
            desktops=tuple(part for part in environ.get("XDG_CURRENT_DESKTOP", "").split(":") if part),
        )

    @property
    def file(self) -> Path:
        """The user's own entry."""
        return self.config_home / "autostart" / FILE

    def status(self) -> State:
        """The state of the entry; if that is off, of an enabled systemd unit, as on a machine without a desktop."""
        entry, unit = self._entry(), self.config_home / UNIT
        if entry.on or not unit.exists():
            return entry
        text = f"On: systemd starts Amberlight without an icon ({unit})."
        return State(Kind.ON, text, "To turn it off, run `systemctl --user disable amberlight`.")

    def _entry(self) -> State:
        """The state of the first entry that exists: it overrides the others."""
        for path in self._files():
            try:
                found = _read_within(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                return State(Kind.BROKEN, f"{path} can't be read: {_parse_reason(error)}.", f"Remove {path}.")
            return self._state_of(path, found)
        return State(Kind.OFF, OFF)

    def on(self, command: Sequence[str]) -> State:
        for word in command:
            if any(ord(char) < 32 for char in word):
                raise AutostartError(f"Can't start at login: the path contains a control character ({word!r}).")
        needed = str(MODULE) if "-m" in command[1:2] else command[0]
        script = " ".join((*GUARD, shlex.quote(needed), *START, shlex.join(command)))
        line = " ".join((*SHELL, exec_quoted(script)))
        icon = escaped(str(ICON)) if ICON.is_file() else "amberlight"
        text = ENTRY.format(command=line, program=escaped(command[0]), icon=icon)
        _write(self.file, text)
        return self.status()

    def off(self) -> State:
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise AutostartError(f"{self.file} can't be removed: {reason(error)}.") from None
        if self._entry().kind in (Kind.ON, Kind.BROKEN):  # the system has an entry of its own
            _write(self.file, HIDDEN)
        return self.status()

    def _files(self) -> Iterator[Path]:
        yield self.file
        yield from (directory / "autostart" / FILE for directory in self.system)

    def _state_of(self, path: Path, entry: Mapping[str, str]) -> State:
        if entry.get("Hidden", "") == "true":
            # A desktop tool, a package or Amberlight itself may have written this: in each case it means off.
            return State(Kind.OFF, f"Off: turned off in {path} (Hidden=true).")
        if entry.get("X-GNOME-Autostart-enabled", "true") == "false":
            text = f"Off: turned off by the desktop's settings in {path} (X-GNOME-Autostart-enabled=false)."
            return State(Kind.DISABLED, text, f"Turn it on there, or {RUN_ON}")
        if not self._shown_here(entry):
            text = f"Off in this desktop ({':'.join(self.desktops)}): {path} is for other desktops (OnlyShowIn or NotShowIn)."
            return State(Kind.DISABLED, text, f"To turn it on for all desktops, {RUN_ON}")
        words = command_of(entry.get("Exec", ""))
        if "%" in first_word(entry.get("Exec", "")):
            return State(Kind.BROKEN, f"On, but desktops can't read the path with % in {path}.", SWITCH_ON_AGAIN)
        try_exec = unescaped(entry.get("TryExec", ""))
        if words and try_exec and not runnable(try_exec):
            words = (try_exec, *words[1:])  # desktops skip an entry whose TryExec program is missing
        return entry_state(words, str(path))

    def _shown_here(self, entry: Mapping[str, str]) -> bool:
        """Whether OnlyShowIn and NotShowIn allow this desktop. Without a desktop, as over ssh, they don't apply."""
        here = set(self.desktops)
        only, never = (set(entry.get(key, "").split(";")) - {""} for key in ("OnlyShowIn", "NotShowIn"))
        return not here or ((not only or bool(here & only)) and not here & never)


def _read_within(path: Path) -> dict[str, str]:
    """`read_entry` for whoever can't wait for a share that is gone."""
    return within(path, lambda: read_entry(path))


def read_entry(path: Path) -> dict[str, str]:
    """The keys of the [Desktop Entry] group, unparsed. Raises `OSError`, and `ValueError` for what is not UTF-8."""
    text = read_plain(path, MAX_ENTRY_SIZE).decode("utf-8")
    entry: dict[str, str] = {}
    group = ""
    for line in (line.strip() for line in text.split("\n")):
        if line.startswith("["):
            group = line
        elif group == GROUP and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            entry.setdefault(key.strip(), value.strip())
    return entry


# --- the Exec key ----------------------------------------------------------------------------------------------------


def exec_quoted(word: str) -> str:
    """One word of an Exec line: quoted, with `%` doubled, then escaped like every string of an entry."""
    inner = "".join(f"\\{char}" if char in EXEC_SPECIAL else char for char in word).replace("%", "%%")
    return escaped(f'"{inner}"')


def escaped(text: str) -> str:
    """A string value as it is written: backslashes doubled."""
    return text.replace("\\", "\\\\")


def unescaped(text: str) -> str:
    """The reverse of `escaped`, including the other escapes of the specification."""
    known = {"\\": "\\", "s": " ", "n": "\n", "t": "\t", "r": "\r"}
    out, chars = [], iter(text)
    for char in chars:
        following = next(chars, "") if char == "\\" else ""
        out.append(known.get(following, char + following) if following else char)
    return "".join(out)


def exec_words(line: str) -> tuple[str, ...]:
    """The words of an Exec line, without field codes such as %U. Lenient: a malformed line yields what can be read."""
    words: list[str] = []
    current: str | None = None
    in_quotes = False
    chars = iter(unescaped(line))
    for char in chars:
        if char == '"':
            in_quotes, current = not in_quotes, current or ""
        elif char == "\\" and in_quotes:
            current = (current or "") + next(chars, "")
        elif char == "%":
            current = (current or "") + ("%" if next(chars, "") == "%" else "")
        elif char.isspace() and not in_quotes:
            words, current = [*words, *([current] if current else [])], None
        else:
            current = (current or "") + char
    return (*words, current) if current else tuple(words)


def first_word(line: str) -> str:
    """The program of an Exec line as GLib and systemd look for it: before they read its `%`."""
    words = exec_words(line.replace("%", "%%"))
    return words[0] if words else ""


def command_of(line: str) -> tuple[str, ...]:
    """The command that an Exec line starts, without our guard. If what that asks for is gone, this is what is missing."""
    words = exec_words(line)
    if words[:2] != SHELL or len(words) != 3:
        return words
    try:
        script = tuple(shlex.split(words[2]))
    except ValueError:
        return words
    if (script[:3], script[4:6]) != (GUARD, START):
        return words
    return script[6:] if Path(script[3]).exists() else script[3:4]


def _write(path: Path, text: str) -> None:
    """Write a file atomically; a link in its place is replaced, not followed. Raises `AutostartError`."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)  # the usual mode of entries
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise AutostartError(f"{path} can't be written: {_parse_reason(error)}.") from None


def _parse_reason(error: OSError | ValueError) -> str:
    return reason(error) if isinstance(error, OSError) else "it isn't UTF-8 text"
