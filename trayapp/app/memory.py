"""Memory and garbage collection settings of the process. The program applies them; tests and the demo needn't.

`packaging/bench/memory.py` and `scale.py` measure what each is worth.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from trayapp.system.stand_ins import StandIn, later, standing_in

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
LARGE = 1 << 20  # bytes; more than the proxy reads at once, so that its buffers stay ordinary pieces of the heap


def single_heap() -> None:
    """Make glibc use one heap for all threads. Call it before the first thread begins.

    By default every thread gets a heap that keeps the most it ever needed. One heap for all saves 4 MB at rest, which is
    worth the 5 ms that the icon waits for importing ctypes. Threads don't contend for it, because Python's own lock comes
    first. glibc also raises its thresholds after one large buffer, and then never returns that much: fixed thresholds
    return 2 MB more.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE)):
            mallopt(parameter, value)


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Wrap the import of aiohttp and httpx2 in this, to drop 3.6 MB that they load and that nothing here uses.

    That is the system's table of MIME types (0.3 MB) and two TLS contexts (1.6 MB), one of which doesn't verify
    certificates. Our own contexts are in `oauth/wire.py`; a request that names none of them can then not be sent at all.
    The rest are modules, which are loaded if something uses them after all.
    """
    import mimetypes

    mimetypes.knownfiles.clear()
    has_html = "html" in sys.modules
    with standing_in(
        StandIn("argparse", ArgumentParser=later("argparse", "ArgumentParser")),  # 0.3 MB, for `python -m aiohttp.web`
        StandIn("bz2"),  # 0.1 MB with lzma, for archives
        StandIn("lzma"),
        StandIn("html.entities", html5={}),  # 0.3 MB; aiohttp escapes, for which it needs none
        StandIn("idna"),  # 0.2 MB, for host names beyond ASCII
        StandIn(
            "importlib.metadata", version=lambda name: ""
        ),  # 0.6 MB, for a User-Agent; requests here have their own
        StandIn("locale"),  # 0.2 MB, for calendars in other languages
        StandIn("uuid"),  # 0.1 MB, for sending bodies of several parts
    ):
        yield
    if not has_html:
        sys.modules.pop("html", None)  # whoever imports it next gets it with its entities
    connector = sys.modules.get("aiohttp.connector")
    for name in ("_SSL_CONTEXT_VERIFIED", "_SSL_CONTEXT_UNVERIFIED"):
        if hasattr(connector, name):
            delattr(connector, name)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector from the start until `freeze_loaded`.

    While modules are loading hardly anything is garbage, and searching for it costs 5 of the 100 ms until the icon.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def freeze_loaded() -> None:
    """Call it once everything is loaded: collect, exempt what is left from later collections, and resume the collector.

    What has been loaded stays for good. A full collection blocks the event loop, so it should not traverse all of that
    every time.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
