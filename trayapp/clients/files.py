"""Another program's file: read whole, and replaced only as a whole, with a backup of the old one beside it.

The backup is made first and only its owner can read it, because such files hold keys. A symbolic link stays one: its
target is replaced and keeps its owner, and its mode too, unless the new text is for its owner alone. Nothing is written
if the file changed since it was read. Only plain files are read, within a time limit.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from trayapp.system import replacing
from trayapp.system.plain_files import open_plain, read_plain, within
from trayapp.system.private_files import PRIVACY, create_private

SIZE_MAX = 32 << 20  # bytes; Claude Code keeps histories in the same file


class FileError(Exception):
    """The file can't be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class FileContents:
    """A file as it was read."""

    file: Path
    data: bytes = field(repr=False)
    text: str = field(repr=False)  # with its byte order mark and line endings


def read(file: Path, size_max: int = SIZE_MAX) -> FileContents:
    """Read a file. Raises `FileError`."""
    try:
        data = within(file, lambda: read_plain(file, size_max))
    except FileNotFoundError:
        raise FileError(f"{file} doesn't exist") from None
    except OSError as error:
        raise FileError(f"{file} can't be read: {error.strerror}") from None
    if len(data) > size_max:
        raise FileError(f"{file} is larger than {size_max >> 20} MiB")
    try:
        return FileContents(file, data, data.decode("utf-8"))
    except UnicodeDecodeError:
        raise FileError(f"{file} isn't UTF-8 text") from None


def others_may_read(file: Path) -> bool:
    """Whether other users may read or change the file, as its mode or access list says. Raises `OSError`."""
    if PRIVACY is not None:
        return PRIVACY.others_may_read(file)
    return bool(file.stat().st_mode & 0o077)


def make_private(file: Path) -> None:
    """Take the file away from all but its owner. Raises `FileError`."""
    try:
        descriptor = within(file, lambda: open_plain(file))
        try:
            if sys.platform != "win32":
                os.fchmod(descriptor, os.fstat(descriptor).st_mode & 0o700)
            elif PRIVACY is not None:
                PRIVACY.hide(file)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileError(f"{file} can't be made private: {error.strerror}") from None


def replace(old: FileContents, text: str, stamp: str, *, private: bool = False, backups: Path | None = None) -> Path:
    """Write the new text; returns the path of the backup. Raises `FileError`, and then the file is as it was.

    `private` takes the file away from all but its owner, before the new text is in it. `backups` is a directory for the
    backup, which is beside the file otherwise.
    """
    target = Path(os.path.realpath(old.file))
    backup = None
    try:
        backup = _back_up(old, stamp, backups or old.file.parent)
        _replace(target, old, text.encode("utf-8"), private=private)
    except BaseException as error:
        if backup is not None:  # the file is unchanged, so its backup is superfluous
            backup.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(f"{old.file} can't be replaced: {error.strerror}") from None
        raise
    return backup


def _back_up(old: FileContents, stamp: str, folder: Path) -> Path:
    """Copy the file; an older backup is never overwritten."""
    number = 1
    while True:
        name = f"{old.file.name}.amberlight-backup-{stamp}" + (f"-{number}" if number > 1 else "")
        try:
            handle = create_private(folder / name, os.O_WRONLY)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(handle, "wb") as stream:
            stream.write(old.data)
            stream.flush()
            os.fsync(stream.fileno())
        return folder / name


def _replace(target: Path, old: FileContents, data: bytes, *, private: bool) -> None:
    draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    handle = create_private(draft, os.O_WRONLY)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        found = target.stat()
        _give_to_owner(draft, old.file, found)
        if PRIVACY is None:
            draft.chmod(found.st_mode & (0o700 if private else 0o777))
        elif not private:
            PRIVACY.copy(target, draft)
        if read_plain(target, len(old.data)) != old.data:  # its own program may have written meanwhile
            raise FileError(f"{old.file} has just been changed by another program; try again")
        replacing.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _give_to_owner(draft: Path, file: Path, found: os.stat_result) -> None:
    """Whoever owns the file must still be able to read it; an administrator may edit that of somebody else."""
    if sys.platform == "win32" or found.st_uid == os.geteuid():
        return
    try:
        os.chown(draft, found.st_uid, found.st_gid)
    except PermissionError:
        raise FileError(f"{file} belongs to another user; only they can change it") from None
