"""Starting with the session: what is so is read from the system each time, and nothing else is remembered.

`linux.py`, `macos.py` and `windows.py` hold only what their system wants written and read; each can be imported on every
system and is given the system's calls, so that the tests can bring stand-ins. `command.py` knows what is to be started.
Everything here belongs to the user: nothing asks for more rights, and nothing is written outside the home directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from trayapp.autostart.command import CannotStartError, login_command
from trayapp.autostart.state import Autostart, AutostartError, Kind, State

__all__ = ["Autostart", "AutostartError", "CannotStartError", "Kind", "State", "login_command", "native"]


def native() -> Autostart:
    """How this system starts programs at login. Imported here, as each needs modules of its own system."""
    if sys.platform == "darwin":
        from trayapp.autostart import macos

        return macos.LaunchAgent(Path.home(), os.getuid(), macos.launchctl)
    if sys.platform == "win32":
        from trayapp.autostart import windows

        return windows.RunKey(windows.Winreg())
    from trayapp.autostart import linux

    return linux.DesktopEntry.of(os.environ)
