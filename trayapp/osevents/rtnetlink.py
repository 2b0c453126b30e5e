"""Link, address and route changes from the Linux kernel over rtnetlink(7): standard library only, unprivileged.

A message only hints at a change: a single change of a link makes five to ten of them, and those of containers look like
all others. They are drained unparsed, and `network.py` judges the snapshot that follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator

from trayapp.osevents.events import NetworkChangeHint, OsEvent

# linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_READ_SIZE = 65536  # bytes; a truncated datagram is as good as a whole one here


class RtNetlink:
    """Emits `NetworkChangeHint`. `run` opens the socket, in the network namespace and on the loop that use it."""

    name = "rtnetlink"
    power = False
    network = True

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("rtnetlink is Linux's")
        self.live = False

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if the socket fails."""
        if sys.platform != "linux":
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        ) as kernel:
            kernel.bind((0, GROUPS))
            with _calling_when_readable(kernel, lambda: _on_readable(kernel, emit, ended)):
                self.live = True
                emit(NetworkChangeHint())  # for whatever happened before we listened
                try:
                    await ended
                finally:
                    self.live = False


def _on_readable(kernel: socket.socket, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
    """From the loop, when the socket is readable: one event, however many messages are waiting."""
    try:
        drain(kernel)
    except OSError as error:
        if not ended.done():
            ended.set_exception(error)
        return
    emit(NetworkChangeHint())


def drain(kernel: socket.socket) -> None:
    """Read every waiting message. A buffer overflow (ENOBUFS) lost some of them, which is a change like any other."""
    while True:
        try:
            kernel.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


@contextlib.contextmanager
def _calling_when_readable(kernel: socket.socket, on_readable: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_reader(kernel, on_readable)
    try:
        yield
    finally:
        loop.remove_reader(kernel)
