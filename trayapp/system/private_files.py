"""Private files: 0600 in a 0700 directory, written whole or not at all, never through a symbolic link (SECURITY.md 16).

Wider modes are corrected and logged. A symbolic link in the place of our own file is refused, because its target isn't
ours to write. In the place of a directory it is followed if link and target are the user's own: people keep state on
another disk. On Windows an access list takes the place of the mode (`windows_private.py`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trayapp.system import replacing
from trayapp.system.not_private import NotPrivateError as NotPrivateError

if TYPE_CHECKING:
    from trayapp.system.windows_private import WindowsPrivacy

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # what is said here is for the log, never for the terminal of a command


def _privacy() -> WindowsPrivacy | None:
    if sys.platform != "win32":
        return None
    from trayapp.system.windows_private import load_privacy

    return load_privacy()


PRIVACY = _privacy()  # None where modes protect files


def private_directory(path: Path, *, shared: bool = False) -> Path:
    """Create `path` (and missing parents) or correct its mode. Raises `NotPrivateError` or `OSError`.

    `shared` means that the directory is the person's own, who may open or link it as they like.
    """
    check_directory(path, shared=shared)
    if PRIVACY is not None and not shared:
        PRIVACY.make_directory(path)
        return path
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not shared:
        if path.stat().st_mode & stat.S_ISVTX:
            raise NotPrivateError(f"{path} is shared by all users. Choose a directory of your own.")
        _restrict_mode(path, 0o700)
    return path


def check_directory(path: Path, *, shared: bool = False) -> None:
    """Raise `NotPrivateError` if what is at `path` can't be our directory. Changes nothing; may be missing."""
    if PRIVACY is not None and not shared:
        PRIVACY.check_directory(path)
    try:
        link = path.lstat()
    except (FileNotFoundError, NotADirectoryError):  # the latter is for `mkdir` to report: it knows the file in the way
        return
    if not stat.S_ISLNK(link.st_mode):
        if not stat.S_ISDIR(link.st_mode):
            raise NotPrivateError(f"{path} isn't a directory. Move it: Amberlight keeps its files there.")
        return
    what = f"{path} is a symbolic link to {_target(path)}"
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotPrivateError(f"{what}, which doesn't exist. Create that directory, or remove the link.") from None
    except OSError as error:  # links in a circle, a directory that nobody may enter
        raise NotPrivateError(f"{what}, which can't be used: {error.strerror}. Remove the link.") from None
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivateError(f"{what}, which isn't a directory. Remove the link.")
    if shared or os.name != "posix":
        return
    if link.st_uid not in (os.getuid(), 0):  # an administrator may move a home; nobody else may
        raise NotPrivateError(f"{path} is a symbolic link that belongs to another user. Remove it.")
    if found.st_uid != os.getuid():
        raise NotPrivateError(f"{what}, which belongs to another user. Remove the link.")


def _not_a_file(path: Path) -> str:
    return f"{path} isn't a file. Move it: Amberlight keeps its own file there."


def private_file(path: Path) -> None:
    """Correct the mode of `path` if it exists. Raises `NotPrivateError` or `OSError`."""
    _refuse_link(path)
    if not path.exists():
        return
    if not path.is_file():
        raise NotPrivateError(_not_a_file(path))
    _restrict_mode(path, 0o600)


def write_private(path: Path, text: str, *, shared: bool = False) -> None:
    """Replace `path` by `text`, durably: after a crash it is the old file or the new one.

    `shared` means that the directory is the person's own, who may open or link it as they like; the file is still
    private.
    """
    private_directory(path.parent, shared=shared)
    private_file(path)
    with errors_name(path):
        replace_file(path, text)


def replace_file(path: Path, text: str) -> None:
    """The write itself, through a draft beside `path`; for whoever has made sure of the directory. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    handle = create_private(draft, os.O_WRONLY)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        replacing.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync_directory(path.parent)


def open_private(path: Path, flags: int) -> int:
    """A descriptor of our own file, created if it is missing. Raises `NotPrivateError` or `OSError`.

    For files that are written on and on; `private_file` alone would leave a moment for a link to come in between.
    """
    private_file(path)
    if PRIVACY is not None:
        with contextlib.suppress(FileExistsError):
            PRIVACY.make_file(path)
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotPrivateError(_not_a_file(path))
    return handle


def create_private(path: Path, flags: int) -> int:
    """A descriptor of a new file, for its owner alone from its first moment. Raises `FileExistsError` or `OSError`."""
    if PRIVACY is None:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    PRIVACY.make_file(path)
    return os.open(path, flags | getattr(os, "O_BINARY", 0))


def touch_private(path: Path) -> None:
    """Set the modification time of our own file to now; it is made if missing. Raises `NotPrivateError` or `OSError`."""
    private_directory(path.parent)
    os.close(open_private(path, os.O_WRONLY))
    os.utime(path)


@contextlib.contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """An `OSError` in here names `path`: a full disk's names no file at all, and that of a draft says nobody anything."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise NotPrivateError(f"{path} is a symbolic link. Remove it: Amberlight doesn't write through links.")


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return "another place"


def _restrict_mode(path: Path, mode: int) -> None:
    if PRIVACY is not None:
        PRIVACY.restrict_file(path)
        return
    found = stat.S_IMODE(path.stat().st_mode)
    if found & ~mode:
        path.chmod(mode)
        log.warning("%s was accessible to others (%o); its mode is now %o.", path, found, mode)


def _sync_directory(path: Path) -> None:
    """Make a rename durable, which it is only once its directory is."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
