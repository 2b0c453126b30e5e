"""Where other programs keep their state, and where we keep what was taken over: whether there is any is found out before
its module is loaded.

Nothing else of this package is imported here, so that a machine without these programs pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trayapp.system.xdg_directories import state_home

TAKE_OVERS = "take-overs.json"  # in our state directory: the file of `taken_over.py`


def folders(platform: str, environ: Mapping[str, str], home: Path) -> dict[str, Path]:
    """By the owner's `id`: a directory that exists wherever that program has been used."""
    return {"toolhive": state_home(platform, environ, home) / "toolhive"}
