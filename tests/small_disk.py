"""A real file system of one megabyte that can be full or read-only. Needs root, for `mount`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirements import skip_or_fail


class SmallDisk:
    """A tmpfs at `path`. Full, it still takes empty files, as most file systems do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no byte."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()

    def read_only(self, yes: bool = True) -> None:
        """As a disk becomes that has errors, and as an administrator mounts it."""
        mode = "ro" if yes else "rw"
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)


@contextlib.contextmanager
def small_disk(path: Path, *, exist_ok: bool = False) -> Iterator[SmallDisk]:
    """Mount it at `path`, which is made, or hidden with `exist_ok`."""
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        pytest.skip("only root can mount a file system")
    path.mkdir(parents=True, exist_ok=exist_ok)
    options = f"size=1m,mode=700,uid={os.getuid()}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, check=False)
    if done.returncode:
        skip_or_fail(f"nothing can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
