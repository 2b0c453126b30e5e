"""Another program's file: read whole, and replaced only as a whole, with a backup of the old one beside it.

The backup is made first and only its owner can read it, because such files hold keys. A symbolic link stays one: its
target is replaced and keeps its mode. Nothing is written if the file changed since it was read.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

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
        with file.open("rb") as stream:
            data = stream.read(size_max + 1)
    except FileNotFoundError:
        raise FileError(f"there is no file {file}") from None
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > size_max:
        raise FileError(f"{file} is larger than {size_max >> 20} MiB")
    try:
        return FileContents(file, data, data.decode("utf-8"))
    except UnicodeDecodeError:
        raise FileError(f"{file} is not UTF-8 text") from None


def replace(old: FileContents, text: str, stamp: str) -> Path:
    """Write the new text; returns the path of the backup. Raises `FileError`, and then the file is as it was."""
    target = Path(os.path.realpath(old.file))
    backup = None
    try:
        backup = _back_up(old, stamp)
        _replace(target, old, text.encode("utf-8"))
    except BaseException as error:
        if backup is not None:  # the file is unchanged, so its backup is superfluous
            backup.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(f"{old.file} cannot be replaced: {error.strerror}") from None
        raise
    return backup


def _back_up(old: FileContents, stamp: str) -> Path:
    """Copy the file beside itself; an older backup is never overwritten."""
    number = 1
    while True:
        name = f"{old.file.name}.amberlight-backup-{stamp}" + (f"-{number}" if number > 1 else "")
        try:
            handle = os.open(old.file.with_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(handle, "wb") as stream:
            stream.write(old.data)
            stream.flush()
            os.fsync(stream.fileno())
        return old.file.with_name(name)


def _replace(target: Path, old: FileContents, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # 0600 from the start
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(target.stat().st_mode & 0o777)
        if target.read_bytes() != old.data:  # its own program may have written meanwhile
            raise FileError(f"{old.file} was changed by another program just now; try again")
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
