"""Linux and its kin: an entry in the autostart directory (XDG Desktop Application Autostart Specification).

The user's own file stands before those of the system with the same name, and `Hidden=true` in it means "not this one".
So switching off removes our file, and writes a hidden one only where the system would start Amberlight without it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trayapp.autostart.state import AutostartError, Kind, State, judged, runnable, why

FILE = "amberlight.desktop"
UNIT = "systemd/user/default.target.wants/amberlight.service"  # what `systemctl --user enable amberlight` makes
GROUP = "[Desktop Entry]"
ICON = Path(__file__).parent.parent / "tray" / "app.png"  # no theme knows us unless a package told it
SYSTEM_DIRS = "/etc/xdg"  # what the XDG base directory specification says where XDG_CONFIG_DIRS is not set
MOST = 65536  # bytes; nobody writes a longer entry
SPECIAL = '"`$\\'  # inside double quotes these need a backslash (Desktop Entry Specification, "The Exec key")

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
    """The entry of one user. `desktops` is what the session calls itself, as XDG_CURRENT_DESKTOP has it."""

    config_home: Path
    system: tuple[Path, ...] = (Path(SYSTEM_DIRS),)
    desktops: tuple[str, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> DesktopEntry:
        """As the environment says. Relative paths are to be ignored (XDG base directory specification)."""
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
        """The entry; and where that is off, a systemd unit that was enabled, as on a machine without a desktop."""
        entry, unit = self._entry(), self.config_home / UNIT
        if entry.on or not unit.exists():
            return entry
        text = f"On: systemd starts Amberlight without an icon ({unit})."
        return State(Kind.ON, text, "Switch it off there: systemctl --user disable amberlight")

    def _entry(self) -> State:
        """The first entry that is there decides."""
        for path in self._files():
            try:
                found = read_entry(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                return State(Kind.BROKEN, f"{path} cannot be read: {_reason(error)}.", f"Remove {path}.")
            return self._judge(path, found)
        return State(Kind.OFF, "Off: Amberlight does not start at login.")

    def on(self, command: Sequence[str]) -> State:
        line = " ".join(quoted(word) for word in command)
        icon = escaped(str(ICON)) if ICON.is_file() else "amberlight"
        text = ENTRY.format(command=line, program=escaped(command[0]), icon=icon)
        _write(self.file, text)
        return self.status()

    def off(self) -> State:
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise AutostartError(f"{self.file} cannot be removed: {why(error)}.") from None
        if self._entry().kind in (Kind.ON, Kind.BROKEN):  # the system has an entry of its own
            _write(self.file, HIDDEN)
        return self.status()

    def _files(self) -> Iterator[Path]:
        yield self.file
        yield from (directory / "autostart" / FILE for directory in self.system)

    def _judge(self, path: Path, entry: Mapping[str, str]) -> State:
        if entry.get("Hidden", "") == "true":
            # A tool of the desktop may have written this, or we ourselves, or the package: off is what it means.
            return State(Kind.OFF, f"Off: switched off in {path} (Hidden=true).")
        if entry.get("X-GNOME-Autostart-enabled", "true") == "false":
            text = f"Off: the desktop's own settings switched it off in {path} (X-GNOME-Autostart-enabled=false)."
            return State(Kind.DISABLED, text, "Switch it on there, or with: amberlight autostart on")
        if not self._shown_here(entry):
            text = f"Off in this desktop ({':'.join(self.desktops)}): {path} is for others (OnlyShowIn or NotShowIn)."
            return State(Kind.DISABLED, text, "Switch it on for all: amberlight autostart on")
        words = unquoted(entry.get("Exec", ""))
        tried = unescaped(entry.get("TryExec", ""))
        if words and tried and not runnable(tried):
            words = (tried, *words[1:])  # the desktop passes over an entry whose TryExec is missing
        return judged(words, str(path))

    def _shown_here(self, entry: Mapping[str, str]) -> bool:
        """Without a desktop, as in a terminal of a server, nobody is asked."""
        here = set(self.desktops)
        only, never = (set(entry.get(key, "").split(";")) - {""} for key in ("OnlyShowIn", "NotShowIn"))
        return not here or ((not only or bool(here & only)) and not here & never)


def read_entry(path: Path) -> dict[str, str]:
    """The keys of the first group, as they stand there. Raises `OSError` and, for what is no text, `ValueError`."""
    with path.open("rb") as file:
        text = file.read(MOST).decode("utf-8")
    entry: dict[str, str] = {}
    group = ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            group = line
        elif group == GROUP and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            entry.setdefault(key.strip(), value.strip())
    return entry


# --- the Exec key ----------------------------------------------------------------------------------------------------


def quoted(word: str) -> str:
    """One word of an Exec line: quoted, with `%` doubled, and then escaped as every string of an entry is."""
    if any(ord(letter) < 32 for letter in word):
        raise AutostartError(f"A login cannot start a program whose path has a control character: {word!r}.")
    inner = "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in word).replace("%", "%%")
    return escaped(f'"{inner}"')


def escaped(text: str) -> str:
    """A string value: its backslashes doubled."""
    return text.replace("\\", "\\\\")


def unescaped(text: str) -> str:
    """What `escaped` made of it, and the other escapes that the specification knows."""
    known = {"\\": "\\", "s": " ", "n": "\n", "t": "\t", "r": "\r"}
    out, letters = [], iter(text)
    for letter in letters:
        following = next(letters, "") if letter == "\\" else ""
        out.append(known.get(following, letter + following) if following else letter)
    return "".join(out)


def unquoted(line: str) -> tuple[str, ...]:
    """The words of an Exec line; field codes such as %U are left out. Lenient: a bad line gives what can be read."""
    words: list[str] = []
    word: str | None = None
    inside = False
    letters = iter(unescaped(line))
    for letter in letters:
        if letter == '"':
            inside, word = not inside, word or ""
        elif letter == "\\" and inside:
            word = (word or "") + next(letters, "")
        elif letter == "%":
            word = (word or "") + ("%" if next(letters, "") == "%" else "")
        elif letter.isspace() and not inside:
            words, word = [*words, *([word] if word else [])], None
        else:
            word = (word or "") + letter
    return (*words, word) if word else tuple(words)


def _write(path: Path, text: str) -> None:
    """Whole or not at all; a link where the file should be is replaced, not followed."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)  # as other programs leave theirs
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise AutostartError(f"{path} cannot be written: {_reason(error)}.") from None


def _reason(error: OSError | ValueError) -> str:
    return why(error) if isinstance(error, OSError) else "it is no text in UTF-8"
