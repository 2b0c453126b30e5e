"""Checks of `doctor`: whether Amberlight's files can be written. Writes nothing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from trayapp.config.paths import Paths
from trayapp.core.checks import CHECK_DISK, OK, PROBLEM, WARNING, Check
from trayapp.system.plain_files import within
from trayapp.system.private_files import NotPrivateError, check_directory

NAME = "files"
FREE_MIN = 1 << 20  # bytes; the history and a few logs need less


def files(paths: Paths) -> list[Check]:
    """A check for each thing that is wrong with a directory of ours, or one that says that nothing is."""
    found: dict[str, Check] = {}
    for directory in dict.fromkeys((paths.config_file.parent, *paths.own_directories)):
        check = _checked(paths, directory)
        if check is not None:
            found.setdefault(f"{check.state} {check.help}", check)  # one full disk is said once
    if found:
        return list(found.values())
    return [Check(NAME, OK, f"All files can be written ({paths.config_file.parent}, {paths.state_dir}, …).")]


def _checked(paths: Paths, directory: Path) -> Check | None:
    try:
        return within(directory, lambda: _problem(paths, directory))
    except OSError as error:
        return Check(NAME, PROBLEM, f"{directory} can't be used: {error.strerror}.", CHECK_DISK)


def _problem(paths: Paths, directory: Path) -> Check | None:
    """What keeps us from writing into `directory`, which may be missing yet."""
    try:
        check_directory(directory, shared=directory not in paths.own_directories)
    except NotPrivateError as error:
        if directory == paths.runtime_dir:
            return _instead(paths, str(error))
        return Check(NAME, PROBLEM, str(error), "Amberlight can't start until this is fixed.")
    place = next(each for each in (directory, *directory.parents) if each.exists())
    if sys.platform == "win32":
        return _full(directory) if shutil.disk_usage(place).free < FREE_MIN else None
    disk = os.statvfs(place)
    if disk.f_flag & os.ST_RDONLY:
        text = f"{directory} is on a read-only file system."
        return Check(NAME, PROBLEM, text, "Mount it read-write. Until then, nothing is saved there.")
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        if directory == paths.runtime_dir:
            return _instead(paths, f"{directory} can't be written.")
        text = f"{directory} can't be written: you can't write to {place}."
        return Check(NAME, PROBLEM, text, "Give yourself write permission there.")
    return _full(directory) if disk.f_blocks and disk.f_bavail * disk.f_frsize < FREE_MIN else None


def _full(directory: Path) -> Check:
    return Check(NAME, PROBLEM, f"The disk of {directory} is full.", "Free some space. Until then, nothing is saved.")


def _instead(paths: Paths, text: str) -> Check:
    """The runtime directory has a substitute."""
    return Check(NAME, WARNING, text, f"Until it's fixed, {paths.other_runtime_dir} is used instead.")
