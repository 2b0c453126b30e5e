"""Start at login on macOS: a launch agent, a property list that launchd reads at login (launchd.plist(5)).

launchd keeps an override of its own for each label, which outranks the property list (System Settings, Login Items). So
the override is read back, and `on` writes the list first and then asks launchd to enable the label.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import re
import secrets
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

from trayapp.autostart.state import OFF, RUN_ON, AutostartError, Kind, State, entry_state, reason
from trayapp.system.plain_files import read_plain

LABEL = "io.github.amberlight"
MAX_AGENT_SIZE = 65536  # bytes; ours has a few hundred
LAUNCHCTL_LIMIT = 10.0  # s; launchctl answers immediately or not at all
SETTINGS = "System Settings, General, Login Items & Extensions"  # before macOS 15 just Login Items

Launchctl = Callable[..., tuple[int, str]]  # its arguments → exit code and output


def launchctl(*arguments: str) -> tuple[int, str]:
    """Run the system's launchctl. Never raises: what cannot be run counts as failed, with its reason."""
    try:
        done = subprocess.run(
            ["/bin/launchctl", *arguments], capture_output=True, text=True, check=False, timeout=LAUNCHCTL_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class LaunchAgent:
    """The launch agent of the user with this home directory and user id."""

    home: Path
    uid: int
    launchctl: Launchctl

    @property
    def file(self) -> Path:
        return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def domain(self) -> str:
        """launchd's name for the user's graphical session."""
        return f"gui/{self.uid}"

    def status(self) -> State:
        try:
            agent = plistlib.loads(read_plain(self.file, MAX_AGENT_SIZE))
        except FileNotFoundError:
            return State(Kind.OFF, OFF)
        except OSError as error:
            return State(Kind.BROKEN, f"{self.file} can't be read: {reason(error)}.", f"Remove {self.file}.")
        except (plistlib.InvalidFileException, ExpatError, ValueError):
            return State(Kind.BROKEN, f"{self.file} isn't a property list.", f"Remove {self.file}.")
        return self._state_of(agent)

    def on(self, command: Sequence[str]) -> State:
        """Start at the next login. The agent is not loaded now, because that would start a second Amberlight."""
        agent = {
            "Label": LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
        }
        _write(self.file, plistlib.dumps(agent))
        code, output = self.launchctl("enable", f"{self.domain}/{LABEL}")
        state = self.status()
        if code and state.on:  # no override disables it, so the failure does not matter
            return state
        if code:
            raise AutostartError(f"launchd refused it: {_first_line(output)}.")
        return state

    def off(self) -> State:
        """Remove the property list only: `bootout` would end the Amberlight that this agent started."""
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise AutostartError(f"{self.file} can't be removed: {reason(error)}.") from None
        return self.status()

    def _state_of(self, agent: object) -> State:
        if not isinstance(agent, dict):
            return State(Kind.BROKEN, f"{self.file} isn't a launch agent.", f"Remove {self.file}.")
        off = f"Turn it on in {SETTINGS}, or {RUN_ON}"
        if agent.get("Disabled") is True:
            return State(Kind.DISABLED, f"Off: {self.file} is marked as disabled.", off)
        if self._disabled_by_user():
            return State(Kind.DISABLED, f"Off: turned off in {SETTINGS}.", off)
        if agent.get("RunAtLoad") is not True:
            return State(Kind.DISABLED, f"Off: {self.file} doesn't start at login (RunAtLoad).", off)
        words = agent.get("ProgramArguments")
        command = [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
        return entry_state(command, str(self.file))

    def _disabled_by_user(self) -> bool:
        """Whether launchd's override disables the label. It prints `"label" => disabled`; before macOS 13, `=> true`."""
        code, output = self.launchctl("print-disabled", self.domain)
        found = re.search(rf'"{re.escape(LABEL)}"\s*=>\s*(\w+)', output)
        return code == 0 and found is not None and found[1] in ("disabled", "true")


def _first_line(text: str) -> str:
    """The first line of a program's output that is not empty."""
    return next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), "it gave no reason")


def _write(path: Path, data: bytes) -> None:
    """Write a file atomically, mode 644: launchd refuses a list that others may write. Raises `AutostartError`."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise AutostartError(f"{path} can't be written: {reason(error)}.") from None
