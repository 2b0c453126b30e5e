"""One directory for everything that Amberlight writes, if a person wants that: AMBERLIGHT_HOME, or a portable archive's."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

HOME = "AMBERLIGHT_HOME"
PORTABLE = "amberlight-home"  # the portable archive for Windows has it


class HomeError(OSError):
    """That directory can't be used; `strerror` says why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(errno.EINVAL, sentence)

    def __str__(self) -> str:
        return str(self.strerror)


def home() -> Path | None:
    """The directory; None if everything is where the system has it. Raises `HomeError`."""
    if named := os.environ.get(HOME):
        root = Path(named)
        advice = f"Set {HOME} to the full path of a directory, or unset it."
        if not root.is_absolute():  # it would be another one in each terminal
            raise HomeError(f"{HOME} is {named}, which isn't a full path. {advice}")
        _check(root, f"{HOME} is {named}, which", advice)
        return root
    beside = Path(sys.executable).with_name(PORTABLE)
    if not getattr(sys, "frozen", False) or not beside.is_dir():
        return None
    _check(
        beside, f"{beside}", f"Unpack Amberlight where you can write, or delete {PORTABLE} to keep its files elsewhere."
    )
    return beside


def _check(root: Path, what: str, advice: str) -> None:
    """Raise `HomeError` for what can't be our directory, and never will be without the person."""
    if root.exists():
        if not root.is_dir():
            raise HomeError(f"{what} isn't a directory. {advice}")
        if not os.access(root, os.W_OK | os.X_OK):
            raise HomeError(f"{what} can't be written to. {advice}")
        return
    above = next(each for each in root.parents if each.exists() or each == each.parent)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise HomeError(f"{what} doesn't exist and can't be created. {advice}")
