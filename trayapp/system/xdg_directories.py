"""State and data directories of programs that use the Go library github.com/adrg/xdg, such as ToolHive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_home(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """The directory that holds programs' states. Nothing has to exist."""
    return _directory("XDG_STATE_HOME", "state", platform, environ, home)


def data_home(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """The same for their data."""
    return _directory("XDG_DATA_HOME", "share", platform, environ, home)


def _directory(variable: str, below_local: str, platform: str, environ: Mapping[str, str], home: Path) -> Path:
    there = _expanded(environ.get(variable, ""), home)
    if _is_possible(there):
        return Path(there)
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        local = environ.get("LOCALAPPDATA", "")
        return Path(local) if _is_possible(local) else home / "AppData" / "Local"
    return home / ".local" / below_local


def _expanded(path: str, home: Path) -> str:
    """Expanded as that library does it, if no shell has: the rest is below this home, even after `~other`."""
    for sign in ("~", "$HOME"):
        if path.startswith(sign):
            return f"{home}/{path[len(sign) :]}"
    return path


def _is_possible(path: str) -> bool:
    """Whether there can be such a directory."""
    return "\0" not in path and Path(path).is_absolute()
