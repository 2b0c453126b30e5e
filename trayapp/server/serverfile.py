"""`server.json`: where the running app listens, and its API key. Whoever can read the file can use the API.

Hence mode 0600 in a 0700 directory of ours, written whole (temporary file, fsync, rename); a symbolic link in its place
is refused both when writing and when reading (SECURITY.md 16). The key lives as long as the process that wrote it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from trayapp.core.model import Secret
from trayapp.server.instance import process_exists
from trayapp.system import replacing
from trayapp.system.private_files import PRIVACY, NotPrivateError, check_directory, private_directory, replace_file

if sys.platform == "win32":
    from trayapp.system.windows_open import open_for_reading

NAME = "server.json"
CONNECT_LIMIT = 1.0  # s; on this machine
_FILE_MAX = 64 * 1024  # bytes; ours has 200
_URL = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}")


class ServerFileError(Exception):
    """`server.json` or its directory can't be used; the text is a sentence that names the file."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Where the app listens. `started_at` is RFC 3339 in UTC."""

    url: str
    pid: int
    api_key: Secret
    started_at: str
    version: str


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A `server.json` that this process wrote. `written` is what the file system said of it then."""

    directory: Path
    info: ServerInfo
    written: tuple[int, ...]

    def in_place(self) -> bool:
        """Whether it is there as it was written, or another running app has put its own in its place."""
        if _stamp(self.directory / NAME) == self.written:
            return True
        with contextlib.suppress(ServerFileError):
            found = read(self.directory)
            return found is not None and found.pid != self.info.pid and process_exists(found.pid)
        return False

    def withdraw(self) -> None:
        """Remove it if it is still the one we wrote; another process's file stays."""
        with contextlib.suppress(ServerFileError, OSError):
            found = read(self.directory)
            if found is not None and found.pid == self.info.pid and found.api_key == self.info.api_key:
                replacing.remove(self.directory / NAME)


def publish(directory: Path, info: ServerInfo) -> PublishedFile:
    """Write `server.json`; raises `ServerFileError`."""
    path = directory / NAME
    try:
        _make_private(directory)
        _refuse_special_file(path)
        replace_file(path, json.dumps(_to_json(info), indent=2) + "\n")
    except OSError as error:
        raise ServerFileError(f"{path} can't be written: {error.strerror or error}.") from None
    return PublishedFile(directory, info, _stamp(path))


def read(directory: Path) -> ServerInfo | None:
    """What the running app published; None if there is no file. Raises `ServerFileError` for one not to be trusted."""
    path = directory / NAME
    try:
        if sys.platform == "win32":  # the app may renew it meanwhile
            fd = open_for_reading(path)
        else:  # non-blocking, because opening a FIFO would wait forever for a writer
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it's a symbolic link" if path.is_symlink() else error.strerror or str(error)
        raise ServerFileError(f"{path} can't be read: {reason}.") from None
    try:
        _check_ours(path, fd)
    except ServerFileError:
        os.close(fd)
        raise
    with os.fdopen(fd, "rb") as file:
        return _from_json(path, file.read(_FILE_MAX + 1))


def is_served(directory: Path) -> bool:
    """Whether the app that published `server.json` there still runs and listens, whoever holds the lock."""
    try:
        info = read(directory)
    except ServerFileError:
        return False
    if info is None or not process_exists(info.pid):
        return False
    try:
        host, _, port = info.url.removeprefix("http://").partition(":")
        socket.create_connection((host, int(port)), CONNECT_LIMIT).close()
    except (OSError, OverflowError):
        return False
    return True


def _stamp(path: Path) -> tuple[int, ...]:
    """Which file it is, and whether anybody has changed it or its mode; empty if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _to_json(info: ServerInfo) -> dict[str, object]:
    return {
        "url": info.url,
        "pid": info.pid,
        "api_key": info.api_key.reveal(),
        "started_at": info.started_at,
        "version": info.version,
    }


def _from_json(path: Path, text: bytes) -> ServerInfo:
    damaged = ServerFileError(f"{path} is damaged.")
    try:
        data: object = json.loads(text) if len(text) <= _FILE_MAX else None
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(data, dict):
        raise damaged
    match data:
        case {
            "url": str(url),
            "pid": int(pid),
            "api_key": str(key),
            "started_at": str(started_at),
            "version": str(version),
        } if _URL.fullmatch(url) and key.isascii() and key:
            return ServerInfo(url, pid, Secret(key), started_at, version)
    raise damaged


def _make_private(directory: Path) -> None:
    """Make sure the directory exists, is really ours, and can't be read or written by others."""
    try:
        check_directory(directory)
        if sys.platform != "win32" and directory.exists():  # Windows: `check_directory` has looked at the owner
            status = directory.stat()
            if status.st_uid != os.getuid():
                raise ServerFileError(f"{directory} belongs to another user.")
            if status.st_mode & 0o022:
                raise ServerFileError(f"{directory} can be written by others. Set its mode to 0700.")
        private_directory(directory)
    except NotPrivateError as error:
        raise ServerFileError(str(error)) from None


def _refuse_special_file(path: Path) -> None:
    """Only a regular file, or nothing, may be in the place of ours."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise ServerFileError(f"{path} isn't a regular file.")


def _check_ours(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ServerFileError(f"{path} isn't a regular file.")
    if sys.platform != "win32":
        if status.st_uid != os.getuid():
            raise ServerFileError(f"{path} belongs to another user.")
        if status.st_mode & 0o077:
            raise ServerFileError(f"{path} can be read by others. Set its mode to 0600.")
    elif PRIVACY is not None and (problem := PRIVACY.problem(descriptor)):
        raise ServerFileError(f"{path} {problem}. Remove it and start Amberlight again.")
