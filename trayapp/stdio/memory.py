"""Memory for messages of megabytes: taken from the system for each, and given back immediately.

glibc raises its thresholds after the first one, and then each thread's heap keeps the most that was ever needed there.
"""

from __future__ import annotations

import contextlib
import functools
import sys

LARGE = 1 << 20  # bytes of a message
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


@functools.cache
def expect_large() -> None:
    """Call it when a message turns out to be large. The first call takes 5 ms, and 1 MB for ctypes."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            mallopt(parameter, LARGE)
