"""A file system that never answers, as a network share does whose server is gone: a FUSE mount that nobody serves."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DETACH = 2  # MNT_DETACH


@contextmanager
def hanging_mount(directory: Path) -> Iterator[None]:
    """Whatever looks into `directory` waits until the end of the block, and gets an error then. Skips without rights."""
    if sys.platform != "linux" or os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting needs Linux, root and FUSE")
    libc = ctypes.CDLL(None, use_errno=True)
    directory.mkdir(exist_ok=True)
    server = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    try:
        if libc.mount(b"hanging", os.fsencode(directory), b"fuse", 0, options) != 0:
            pytest.skip(f"no mount here: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.umount2(os.fsencode(directory), _DETACH)
    finally:
        os.close(server)  # ends the waiting of everybody
