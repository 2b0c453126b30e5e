"""macOS: a launch agent of the user, a property list that launchd reads at login (launchd.plist(5)).

The list is written first and then told to launchd; launchd keeps a wish of its own to enable or disable a label, which
stands above the list (System Settings, Login Items). So that wish is read back, and `on` asks launchd to forget it.
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

from trayapp.autostart.state import AutostartError, Kind, State, judged, why

LABEL = "io.github.amberlight"
LIMIT = 10.0  # s; launchctl answers at once or not at all
SETTINGS = "System Settings, General, Login Items"

Launchctl = Callable[..., tuple[int, str]]  # its arguments → exit code and output


def launchctl(*arguments: str) -> tuple[int, str]:
    """Run the system's launchctl. Never raises: what cannot be run counts as failed, with its reason."""
    try:
        done = subprocess.run(
            ["/bin/launchctl", *arguments], capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class LaunchAgent:
    """The agent of one user, whose home directory and number are given."""

    home: Path
    uid: int
    launchctl: Launchctl

    @property
    def file(self) -> Path:
        return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def domain(self) -> str:
        """The user's session with a screen."""
        return f"gui/{self.uid}"

    def status(self) -> State:
        try:
            agent = plistlib.loads(self.file.read_bytes())
        except FileNotFoundError:
            return State(Kind.OFF, "Off: Amberlight does not start at login.")
        except OSError as error:
            return State(Kind.BROKEN, f"{self.file} cannot be read: {why(error)}.", f"Remove {self.file}.")
        except (plistlib.InvalidFileException, ExpatError, ValueError):
            return State(Kind.BROKEN, f"{self.file} is no property list.", f"Remove {self.file}.")
        return self._judge(agent)

    def on(self, command: Sequence[str]) -> State:
        """It starts with the next login. launchd is not told to load it now: that would start a second Amberlight."""
        agent = {
            "Label": LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
        }
        _write(self.file, plistlib.dumps(agent))
        code, said = self.launchctl("enable", f"{self.domain}/{LABEL}")
        state = self.status()
        if code and state.on:  # an older wish, if there is one, was not found: nothing speaks against it
            return state
        if code:
            raise AutostartError(f"launchd did not take it: {_line(said)}.")
        return state

    def off(self) -> State:
        """Only the list goes: `bootout` would end the Amberlight that this very agent has started."""
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise AutostartError(f"{self.file} cannot be removed: {why(error)}.") from None
        return self.status()

    def _judge(self, agent: object) -> State:
        if not isinstance(agent, dict):
            return State(Kind.BROKEN, f"{self.file} is no launch agent.", f"Remove {self.file}.")
        off = f"Switch it on in {SETTINGS}, or with: amberlight autostart on"
        if agent.get("Disabled") is True:
            return State(Kind.DISABLED, f"Off: {self.file} is marked as disabled.", off)
        if self._disabled():
            return State(Kind.DISABLED, f"Off: switched off in {SETTINGS}.", off)
        if agent.get("RunAtLoad") is not True:
            return State(Kind.DISABLED, f"Off: {self.file} does not start at login (RunAtLoad).", off)
        words = agent.get("ProgramArguments")
        command = [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
        return judged(command, str(self.file))

    def _disabled(self) -> bool:
        """launchd's own wish. It prints `"label" => disabled`, and `=> true` before macOS 13."""
        code, said = self.launchctl("print-disabled", self.domain)
        found = re.search(rf'"{re.escape(LABEL)}"\s*=>\s*(\w+)', said)
        return code == 0 and found is not None and found[1] in ("disabled", "true")


def _line(text: str) -> str:
    """The first line of what a program said."""
    return next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), "it gave no reason")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all. launchd refuses a list that others may write."""
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
        raise AutostartError(f"{path} cannot be written: {why(error)}.") from None
