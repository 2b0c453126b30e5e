"""Main program of `amberlight stdio`: its streams, its signals and its end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from types import FrameType

from trayapp.config.paths import Paths
from trayapp.stdio.bridge import Bridge
from trayapp.stdio.lines import Output, lines
from trayapp.stdio.place import Target
from trayapp.stdio.reach import Reach, Starts

DRAIN_LIMIT = 1.5  # s for what is being answered when standard input ends; clients wait 2 s before they kill
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]
QUEUE_MAX = 1000  # lines read ahead


class _StopError(BaseException):
    """A signal asked for the end."""


def run(name: str | None, paths: Paths | None = None, starter: Starts | None = None) -> int:
    """Serve one client on standard input and output, for one workload or with None for all, until it is gone.

    Ends the process: what still waits in other threads is not worth waiting for.
    """
    output = Output(_private_stdout(), lambda: _end(bridge))
    bridge = Bridge(Reach(paths or Paths.default(), Target.of(name), starter), output)
    received: queue.Queue[bytes | None] = queue.Queue(QUEUE_MAX)
    done = threading.Event()
    threading.Thread(target=_dispatch, args=(bridge, received, done), name="dispatch", daemon=True).start()
    with contextlib.suppress(_StopError, KeyboardInterrupt):
        for number in SIGNALS:
            signal.signal(number, _stop)
        for line in lines(0):
            received.put(line)
        received.put(None)
        if done.wait(DRAIN_LIMIT):
            bridge.drain(DRAIN_LIMIT)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _end(bridge)
    return 0


def _end(bridge: Bridge) -> None:
    with contextlib.suppress(Exception):
        bridge.close()
    os._exit(0)


def _dispatch(bridge: Bridge, received: queue.Queue[bytes | None], done: threading.Event) -> None:
    while (line := received.get()) is not None:
        bridge.handle(line)
    done.set()


def _stop(number: int, frame: FrameType | None) -> None:
    raise _StopError


def _private_stdout() -> int:
    """A descriptor that only messages are written to: whatever else is printed goes to standard error."""
    if sys.platform != "win32":
        for descriptor in (0, 1):
            with contextlib.suppress(OSError):
                os.set_blocking(descriptor, True)
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return private
