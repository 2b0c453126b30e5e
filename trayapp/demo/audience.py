"""Who watches the demo: whether there is an icon or a notification to click, and the command that does the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from trayapp.app.checks import notifications, over_session_bus, tray_host
from trayapp.autostart.command import NAME, client_command
from trayapp.core.checks import OK, Check
from trayapp.system.shown_command import shown

PATIENCE = 30.0  # s to run the command, or to find the notification; an icon is waited for without limit
DONE_FOR_YOU = "The demo chooses Reauthorize itself."


@dataclass(frozen=True, slots=True)
class Audience:
    """`problem` says why no icon is shown; `command` is empty where nobody could type it, or it wouldn't get here."""

    icon: bool = False
    notification: bool = False
    command: str = ""
    problem: str = ""

    @property
    def patience(self) -> float | None:
        """How long to wait for a click, in seconds; None is for ever."""
        if self.icon:
            return None
        return PATIENCE if self.notification or self.command else 0.0

    @property
    def opening(self) -> str:
        """What to say first; nothing if there is an icon, or none is wanted."""
        return f"{self.problem} The demo runs without an icon." if self.problem else ""

    @property
    def hint(self) -> str:
        """What there is to click or to run."""
        here = " in this folder" if self.command.lstrip("'").startswith(".") else ""
        run = f"run `{self.command}`{here}" if self.command else ""
        if self.icon:
            return f"In the menu or notification, choose Reauthorize{run and f', or {run}'}."
        if self.notification:
            text = f"In the notification, choose Reauthorize{run and f', or {run}'}."
        elif run:
            text = f"In another terminal, {run}."
        else:
            return DONE_FOR_YOU
        return f"{text} In {PATIENCE:.0f} seconds the demo does it for you."


def audience(*, tray: bool, arguments: tuple[str, ...]) -> Audience:
    """The audience of this process. `arguments`: of the command to hint at; none if it would reach another app."""
    terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    checks = asyncio.run(_checks()) if tray else []
    problem = "" if not checks or checks[0].state == OK else checks[0].text
    icon = tray and not problem
    return Audience(
        icon=icon,
        notification=tray and all(check.state == OK for check in checks[1:]),
        command=command(*arguments) if arguments and (icon or terminal) else "",
        problem=problem,
    )


async def _checks() -> list[Check]:
    """None where the operating system always has both."""
    return [*await over_session_bus(tray_host), *await over_session_bus(notifications)]


def command(*arguments: str) -> str:
    """This program with these arguments, as short as a shell in this directory takes it."""
    program, *rest = client_command(*arguments)
    found = shutil.which(NAME)
    if found is not None and os.path.realpath(found) == os.path.realpath(program):
        program = NAME
    elif Path(program).is_relative_to(Path.cwd()):
        program = f".{os.sep}{Path(program).relative_to(Path.cwd())}"
    return shown((program, *rest))
