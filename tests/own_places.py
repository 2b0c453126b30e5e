"""Tests never touch the files of whoever runs them: directories of their own, and a guard that looks at the real ones.

On Linux the XDG variables move our directories. Elsewhere the system is asked for them, and AMBERLIGHT_HOME alone helps.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from trayapp.config.home import HOME
from trayapp.config.paths import Paths

XDG = ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR")


def own_places(root: Path) -> dict[str, str]:
    """The environment in which all our directories are below `root`, which has to exist."""
    if sys.platform != "linux":
        return {HOME: str(root)}
    (root / "RUNTIME_DIR").mkdir(mode=0o700, exist_ok=True)
    return {f"XDG_{name}": str(root / name) for name in XDG} | {"XDG_CONFIG_DIRS": str(root / "SITE")}


def protect() -> None:
    """Where nothing else protects them, have this process and its children keep away from the real directories."""
    os.environ.pop(HOME, None)  # it is stronger than the variables that a test sets
    if sys.platform != "linux":
        root = tempfile.mkdtemp(prefix="amberlight-tests-")
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        os.environ[HOME] = root


class Guard:
    """The real directories, as they were."""

    def __init__(self, paths: Paths) -> None:
        self._directories = {paths.config_file.parent, *paths.own_directories}
        self._in_use = paths.server_file.exists()  # the person's own app runs, and writes there
        self._before = self._seen()

    def touched(self) -> list[str]:
        """What has changed since the last question."""
        before, self._before = self._before, self._seen()
        if self._in_use:
            return []
        return [
            str(path) for path in sorted(before.keys() | self._before) if before.get(path) != self._before.get(path)
        ]

    def check(self) -> None:
        """Fail if something has."""
        if found := self.touched():
            pytest.fail(f"the real directories of this user were touched: {', '.join(found)}", pytrace=False)

    def _seen(self) -> Mapping[Path, int]:
        found = {}
        for directory in self._directories:
            for path in (directory, *(directory.glob("*") if directory.is_dir() else ())):
                try:
                    found[path] = path.stat().st_mtime_ns
                except OSError:
                    continue
        return found
