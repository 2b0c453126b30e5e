"""Our directory in the user's search path on Windows (HKEY_CURRENT_USER\\Environment), so that a terminal finds `amberlight`.

Setup.exe has the program do this: its own strings end after 1,024 characters, and a search path may be longer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

KEY, NAME = "Environment", "Path"
SEPARATOR = ";"


def with_directory(path: str, directory: str) -> str:
    """The search path with the directory at its end, unless it is in it."""
    if any(_same(entry, directory) for entry in path.split(SEPARATOR)):
        return path
    return f"{path.rstrip(SEPARATOR)}{SEPARATOR}{directory}".lstrip(SEPARATOR)


def without_directory(path: str, directory: str) -> str:
    """The search path without it; everything else stays as it is."""
    return SEPARATOR.join(entry for entry in path.split(SEPARATOR) if not _same(entry, directory))


def _same(entry: str, directory: str) -> bool:
    return entry.strip().strip('"').rstrip("\\/").casefold() == directory.rstrip("\\/").casefold()


def change(edit: Callable[[str, str], str], directory: str) -> bool:
    """Edit this user's search path. Returns whether it has changed. Raises `OSError`; what isn't a text stays."""
    if sys.platform != "win32":
        raise OSError("the registry is Microsoft's")
    import winreg

    access = winreg.KEY_QUERY_VALUE | winreg.KEY_SET_VALUE
    with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, KEY, 0, access) as key:
        try:
            old, kind = winreg.QueryValueEx(key, NAME)
        except FileNotFoundError:
            old, kind = "", winreg.REG_EXPAND_SZ
        if not isinstance(old, str) or SEPARATOR in directory or (new := edit(old, directory)) == old:
            return False
        winreg.SetValueEx(key, NAME, 0, kind, new)
    return True
