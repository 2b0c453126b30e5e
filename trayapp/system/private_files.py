"""Private files: 0600 in a 0700 directory, written whole or not at all, never through a symbolic link (SECURITY.md 16).

Wider modes are corrected and logged. A symbolic link in the place of our own file is refused, because its target isn't
ours to write. On Windows the profile's access list protects the files, and modes are left alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
from pathlib import Path

log = logging.getLogger(__name__)


class NotPrivateError(Exception):
    """A file or directory that can't be made private. The text is a sentence for people."""


def private_directory(path: Path) -> Path:
    """Create `path` (and missing parents) or correct its mode. Raises `NotPrivateError` or `OSError`."""
    _refuse_link(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _restrict_mode(path, 0o700)
    return path


def private_file(path: Path) -> None:
    """Correct the mode of `path` if it exists. Raises `NotPrivateError` or `OSError`."""
    _refuse_link(path)
    if not path.exists():
        return
    if not path.is_file():
        raise NotPrivateError(f"{path} is not a file; move it away, Amberlight keeps a file of its own there.")
    _restrict_mode(path, 0o600)


def write_private(path: Path, text: str, *, shared: bool = False) -> None:
    """Replace `path` by `text`, durably: after a crash it is the old file or the new one.

    `shared` means that the directory is the person's own, who may open or link it as they like; the file is still
    private.
    """
    if shared:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        private_directory(path.parent)
    private_file(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync_directory(path.parent)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise NotPrivateError(
            f"{path} is a symbolic link; Amberlight writes its files only where they really are. Remove it."
        )


def _restrict_mode(path: Path, mode: int) -> None:
    if os.name != "posix":
        return
    found = stat.S_IMODE(path.stat().st_mode)
    if found & ~mode:
        path.chmod(mode)
        log.warning("%s was open to others (%o); it is %o now.", path, found, mode)


def _sync_directory(path: Path) -> None:
    """Make a rename durable, which it is only once its directory is."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
