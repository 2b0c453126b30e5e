"""Where other programs keep their state: whether one is there is found out before its module is loaded.

Nothing else of this package is imported here, so that a machine without these programs pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def folders(platform: str, environ: Mapping[str, str], home: Path) -> dict[str, Path]:
    """By the owner's `id`: a directory that exists wherever that program has been used."""
    return {"toolhive": state_home(platform, environ, home) / "toolhive"}


def state_home(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """The state directory of the Go library that ToolHive uses (github.com/adrg/xdg)."""
    if (state := environ.get("XDG_STATE_HOME", "")) and Path(state).is_absolute():
        return Path(state)
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / ".local" / "state"
