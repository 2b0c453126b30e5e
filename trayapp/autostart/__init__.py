"""Start at login: the operating system holds the setting; it is read from there each time and stored nowhere else.

`linux.py`, `macos.py` and `windows.py` hold only what their system wants written and read; each imports on every system
and takes the system's calls as parameters, so that the tests can pass fakes. `command.py` finds the command to start.
Everything here belongs to the user: nothing asks for more rights, and nothing is written outside the home directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from trayapp.autostart.command import CannotStartError, client_command, login_command
from trayapp.autostart.state import Autostart, AutostartError, Kind, State

__all__ = [
    "Autostart",
    "AutostartError",
    "CannotStartError",
    "Kind",
    "State",
    "client_command",
    "login_command",
    "native",
]


def native() -> Autostart:
    """The login entry of this system, imported here because each needs modules of its own system."""
    if sys.platform == "darwin":
        from trayapp.autostart import macos

        return macos.LaunchAgent(Path.home(), os.getuid(), macos.launchctl)
    if sys.platform == "win32":
        from trayapp.autostart import windows

        return windows.RunKey(windows.Winreg())
    from trayapp.autostart import linux

    return linux.DesktopEntry.of(os.environ)
