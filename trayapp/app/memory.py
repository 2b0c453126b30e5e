"""What the process does to stay small and smooth; the program calls it, tests and the demo can do without.

`packaging/bench/memory.py` and `scale.py` show what each is worth.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
LARGE = 1 << 20  # bytes; more than the proxy reads at once, so that its buffers stay ordinary pieces of the heap


def small_heap() -> None:
    """Call it before the first thread. glibc gives every thread a heap of its own, and each keeps what it once needed: with
    one heap for all the memory at rest is 4 MB less, which is worth the 5 ms that the icon waits for ctypes. No thread
    waits for another, as Python's own lock comes first. And glibc learns from one large buffer to keep as much for ever:
    told a fixed size, it gives back 2 MB more."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE)):
            mallopt(parameter, value)


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Around the import of aiohttp. With it come the system's whole table of file endings, 0.3 MB, of which we use none,
    and two TLS contexts, one that checks certificates and one that does not, 1.6 MB; ours are in `wire.py`. Without them
    a request that names none cannot be sent at all."""
    import mimetypes

    mimetypes.knownfiles.clear()
    yield
    connector = sys.modules.get("aiohttp.connector")
    for name in ("_SSL_CONTEXT_VERIFIED", "_SSL_CONTEXT_UNVERIFIED"):
        if hasattr(connector, name):
            delattr(connector, name)


@contextlib.contextmanager
def no_collections_yet() -> Iterator[None]:
    """Begin with it; `settled` ends it. While all is being loaded hardly anything is garbage, and looking for it costs 5 of
    the 100 ms that the icon takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settled() -> None:
    """Call it when everything is loaded. What is there by now stays for good, and a full collection, which is a step of
    the loop like any other, need not walk through it every time."""
    gc.collect()
    gc.freeze()
    gc.enable()
