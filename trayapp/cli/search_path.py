"""`amberlight search-path add|remove`: run by Setup.exe and its uninstaller.

It isn't a command for people, and no help lists it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.system.windows_path import change, with_directory, without_directory

EDITS = {"add": with_directory, "remove": without_directory}


def search_path(words: Sequence[str]) -> int:
    """Put the directory of the frozen program into the user's search path, or take it out."""
    if len(words) != 1 or words[0] not in EDITS or not getattr(sys, "frozen", False):
        return USAGE
    try:
        change(EDITS[words[0]], str(Path(sys.executable).parent))
    except OSError:
        return FAILED
    return OK
