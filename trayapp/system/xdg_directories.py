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
    if (there := environ.get(variable, "")) and Path(there).is_absolute():
        return Path(there)
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / ".local" / below_local
