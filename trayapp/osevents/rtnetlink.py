"""Changes of links, addresses and routes, told by the kernel over rtnetlink(7): standard library, unprivileged.

A message only says that something moved: a single change of a link makes five to ten of them, and those of containers
look like all others. They are emptied out of the socket unread, and `network.py` judges the picture that follows.
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
_ENOUGH = 65536  # bytes; a datagram that is cut has told all that we want of it


class RtNetlink:
    """One socket. It is opened in `run`, so that it belongs to the network namespace and the loop that use it."""

    name = "rtnetlink"
    power = False
    network = True

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("rtnetlink is Linux's")
        self.live = False

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if the kernel stops telling."""
        if sys.platform != "linux":
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        ) as kernel:
            kernel.bind((0, GROUPS))
            with _reading(kernel, lambda: _heard(kernel, emit, ended)):
                self.live = True
                emit(NetworkChangeHint())  # whatever happened before we listened
                try:
                    await ended
                finally:
                    self.live = False


def _heard(kernel: socket.socket, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
    """From the loop, when the socket is readable: however many messages there are, one event."""
    try:
        empty(kernel)
    except OSError as error:
        if not ended.done():
            ended.set_exception(error)
        return
    emit(NetworkChangeHint())


def empty(kernel: socket.socket) -> None:
    """Read all that is there. Messages that were lost for want of room (ENOBUFS) are a change like any other."""
    while True:
        try:
            kernel.recv(_ENOUGH)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


@contextlib.contextmanager
def _reading(kernel: socket.socket, heard: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_reader(kernel, heard)
    try:
        yield
    finally:
        loop.remove_reader(kernel)
