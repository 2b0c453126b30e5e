"""Whom a file admits: its owner alone or everybody. A mode says it on POSIX systems, an access list on Windows."""

from __future__ import annotations

import stat
import sys
from pathlib import Path


def make_private(path: Path) -> Path:
    """For its owner alone."""
    if sys.platform == "win32":
        from trayapp.system.windows_security import load_security

        load_security().protect(path, directory=path.is_dir())
    else:
        path.chmod(0o700 if path.is_dir() else 0o600)
    return path


def open_to_others(path: Path) -> Path:
    """For everybody to read, and on Windows to write."""
    if sys.platform == "win32":
        from tests.system.everybody import grant

        grant(path)
    else:
        path.chmod(0o644)
    return path


def is_private(path: Path) -> bool:
    """Whether it is for its owner alone, who can read and write it."""
    if sys.platform == "win32":
        from trayapp.system.windows_security import load_security

        security = load_security()
        return security.read(path).is_private(security.user())
    return stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
