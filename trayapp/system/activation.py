"""How Windows knows this program: the identity of its notifications, and the address that a click on one opens.

The address has no secret and no parameter, because any web page can open it: all it can do is show the dashboard.
Setup.exe registers it; without Setup.exe, a click works only while the app runs.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

APP_ID = "Amberlight"  # AppUserModelID; the shortcut in the Start menu has it, too (packaging/windows/installer)
SCHEME = "amberlight"
SHOW_URI = f"{SCHEME}:show"

APP_KEY = rf"Software\Classes\AppUserModelId\{APP_ID}"
SCHEME_KEY = rf"Software\Classes\{SCHEME}"
COMMAND_KEY = rf"{SCHEME_KEY}\shell\open\command"


def register_app(name: str, icon: Path) -> None:
    """Name and icon of our notifications, unless Setup.exe has registered them. Raises `OSError`."""
    if sys.platform != "win32":
        raise OSError("the registry is Microsoft's")
    import winreg

    with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, APP_KEY, 0, winreg.KEY_READ | winreg.KEY_WRITE) as key:
        with contextlib.suppress(OSError):
            if Path(winreg.QueryValueEx(key, "IconUri")[0]).is_file() and winreg.QueryValueEx(key, "DisplayName")[0]:
                return
        winreg.SetValueEx(key, "DisplayName", 0, winreg.REG_SZ, name)
        winreg.SetValueEx(key, "IconUri", 0, winreg.REG_SZ, str(icon))


def forget_app() -> None:
    """Remove what `register_app` wrote; nothing if there is nothing. Raises `OSError`."""
    if sys.platform == "win32":
        import winreg

        with contextlib.suppress(FileNotFoundError):
            winreg.DeleteKey(winreg.HKEY_CURRENT_USER, APP_KEY)


def opens_here() -> bool:
    """Whether the address opens a program that is there."""
    if sys.platform != "win32":
        return False
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, COMMAND_KEY) as key:
            command = str(winreg.QueryValueEx(key, "")[0])
    except OSError:
        return False
    return command.startswith('"') and Path(command[1:].partition('"')[0]).is_file()
