"""What the process does to stay small and smooth; the program calls it, tests and the demo can do without.

`packaging/bench/memory.py` and `scale.py` show what each is worth.
"""

from __future__ import annotations

import contextlib
import gc
import sys

M_ARENA_MAX = -8  # malloc.h


def one_arena() -> None:
    """Call it before most threads. glibc gives every thread a heap of its own, and each keeps what it once needed: with
    one heap for all the memory at rest is 3 MB less. Nobody waits for it, as Python's own lock comes first."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def settled() -> None:
    """Call it when everything is loaded. What is there by now stays for good, and a full collection, which is a step of
    the loop like any other, need not walk through it every time."""
    gc.collect()
    gc.freeze()
