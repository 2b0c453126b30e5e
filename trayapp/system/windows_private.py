"""Privacy on Windows: our files admit their user and the system, whatever the directory above says (SECURITY.md 16).

A profile admits its user and administrators only, but the files of a person can be moved anywhere: to a drive where
everybody may write, or into a directory that somebody else has made first. So each file and directory of ours gets an
access list of its own, which is read back, and a place that others could take away from us is refused.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from trayapp.system import windows_acl
from trayapp.system.not_private import NotPrivateError
from trayapp.system.windows_acl import DELETE, DELETE_CHILD, TRUSTED, WRITE_DAC, WRITE_OWNER

if TYPE_CHECKING:
    from trayapp.system.windows_security import Security

# FILE_WRITE_DATA and FILE_APPEND_DATA, GENERIC_WRITE and GENERIC_ALL, and what gives these.
CHANGE = 0x2 | 0x4 | 0x40000000 | windows_acl.GENERIC_ALL | DELETE | WRITE_DAC | WRITE_OWNER
TAKE_AWAY = DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER  # what moves or empties a directory, with ours in it

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # for the log, never for the terminal of a command


class WindowsPrivacy:
    """The rules, over the system's calls. Everything raises `NotPrivateError` or `OSError`."""

    def __init__(self, security: Security) -> None:
        self._security = security

    def check_directory(self, path: Path) -> None:
        """Refuse what another user owns, or could take away. Changes nothing; may be missing."""
        if path.exists():
            self._check_owner(path, f"{path} belongs to another user. Choose a directory of your own.")
            self._check_owner(path, f"{path} is a link that belongs to another user. Remove it.", follow=False)
        above = next((each for each in path.absolute().parents if each.exists()), None)
        if above is None:  # a drive that isn't there; making the directory will say so
            return
        dangerous = TAKE_AWAY if above.parent != above else TAKE_AWAY & ~DELETE  # nobody moves a drive
        others = self._security.read(above).others(self._security.user())
        if any(rights & dangerous for sid, rights in others.items() if windows_acl.is_crowd(sid)):
            raise NotPrivateError(
                f"{above} can be changed by every user of this computer. Choose a directory of your own."
            )

    def make_directory(self, path: Path) -> None:
        """Create the directory, with missing parents, or correct its access list."""
        missing = [each for each in (path, *path.absolute().parents) if not each.exists()]
        for each in reversed(missing):
            try:
                self._security.make_directory(each)
            except FileExistsError:  # another process of ours was faster
                if not each.is_dir():
                    raise
        self._restrict(path, directory=True)

    def restrict_file(self, path: Path) -> None:
        """Correct the access list of a file that exists."""
        self._check_owner(path, f"{path} belongs to another user. Remove it: Amberlight keeps its own file there.")
        self._restrict(path, directory=False)

    def make_file(self, path: Path) -> None:
        """A new empty file. Raises `FileExistsError` if there is one."""
        self._security.make_file(path)

    def hide(self, path: Path) -> None:
        """Take a file away from all others, whoever made it."""
        self._security.protect(path, directory=False)

    def copy(self, source: Path, target: Path) -> None:
        """Admit to `target` whom `source` admits."""
        self._security.copy(source, target)

    def others_may_read(self, path: Path) -> bool:
        """Whether other users of this machine, but for its administrators, may do anything with the file."""
        return bool(self._security.read(path).others(self._security.user()))

    def changed_by_others(self, path: Path) -> str:
        """Why others decide what is in a file, as the end of a sentence; empty if they don't."""
        found, user = self._security.read(path), self._security.user()
        if found.owner not in {user, *TRUSTED}:
            return "belongs to another user"
        others = found.others(user).values()
        return "can be changed by other users" if any(rights & CHANGE for rights in others) else ""

    def problem(self, descriptor: int) -> str:
        """Why an open file isn't to be trusted, as the end of a sentence; empty if nothing speaks against it."""
        found, user = self._security.read_descriptor(descriptor), self._security.user()
        if found.owner not in {user, *TRUSTED}:
            return "belongs to another user"
        return "can be read by others" if found.others(user) else ""

    def _check_owner(self, path: Path, sentence: str, *, follow: bool = True) -> None:
        if self._security.read(path, follow=follow).owner not in {self._security.user(), *TRUSTED}:
            raise NotPrivateError(sentence)

    def _restrict(self, path: Path, *, directory: bool) -> None:
        user = self._security.user()
        found = self._security.read(path)
        if found.is_private(user) and (found.protected or not directory):
            return
        self._security.protect(path, directory=directory)
        if not self._security.read(path).is_private(user):
            raise NotPrivateError(
                f"{path} can't be made private: its drive keeps no permissions. Choose a directory on another drive."
            )
        if others := found.others(user):
            log.warning(
                "%s was accessible to others (%s); now it admits its user only.", path, ", ".join(sorted(others))
            )


def load_privacy() -> WindowsPrivacy:
    """The rules over the system's own calls. Raises `OSError` except on Windows."""
    from trayapp.system.windows_security import load_security

    return WindowsPrivacy(load_security())
