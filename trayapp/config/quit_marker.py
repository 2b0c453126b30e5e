"""The marker that says that the person chose *Quit*: nothing starts Amberlight automatically until the next login.

It lies in the runtime directory, which on Linux ends with the login, and names the login (`system/login_session.py`).
"""

from __future__ import annotations

import contextlib

from trayapp.config.paths import Paths
from trayapp.system import replacing
from trayapp.system.login_session import identity
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, write_private

_MAX = 200  # bytes


def mark(paths: Paths) -> None:
    """The person chose *Quit*."""
    with contextlib.suppress(NotPrivateError, OSError):  # a full disk is no reason to stay
        write_private(paths.quit_file, identity() + "\n")


def clear(paths: Paths) -> None:
    """It was started: by hand, or by a login."""
    for directory in (paths.runtime_dir, paths.other_runtime_dir):
        with contextlib.suppress(OSError):
            replacing.remove(directory / paths.quit_file.name)


def is_quit(paths: Paths) -> bool:
    """Whether *Quit* was chosen since the login."""
    for directory in (paths.runtime_dir, paths.other_runtime_dir):
        with contextlib.suppress(OSError):
            said = read_plain(directory / paths.quit_file.name, _MAX, follow=False)
            return said.decode("ascii", "replace").strip() == identity()
    return False
