"""Accepting connections: with pauses while no file descriptors are left, and despite clients that reset theirs.

asyncio's own server tries again up to its backlog in such a moment, logs a traceback for each try and schedules as many
retries. Here it is one line in the log, and the waiting connections are accepted as soon as a descriptor is free.

On Windows asyncio's own server stops listening for good as soon as one client resets its connection before it was
accepted, which a port scanner does (cpython#93821). Here it ends only that connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

# Nothing listens any more; Python names Winsock's own errors differently.
GONE = frozenset((errno.EBADF, errno.EINVAL, errno.ENOTSOCK, getattr(errno, "WSAEINVAL", errno.EINVAL)))
LOST = frozenset((errno.ENOTCONN, getattr(errno, "WSAENOTCONN", errno.ENOTCONN)))  # reset before it was accepted
PAUSE = 0.5  # s
BATCH = 4  # connections accepted before the loop does something else, such as closing others
LOG_SPACING = 600.0  # s between two lines about it

log = logging.getLogger(__name__)


class Acceptor:
    """Accepts on a listening, non-blocking socket until `close`, which closes it. Belongs to the loop that made it."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._logged_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)

    def is_serving(self) -> bool:
        """Whether it still accepts, or will again once a descriptor is free."""
        return self._listener.fileno() >= 0

    def close(self) -> None:
        """Accept no more. May be called twice."""
        if not self.is_serving():
            return
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in GONE:
                    _tell_end(error)
                    self.close()
                else:  # no file descriptor, or what accept(2) says of a single connection that a firewall refused
                    self._pause(error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(_serve(self._loop, self._protocol, connection), name="accept a connection")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _pause(self, error: OSError) -> None:
        self._loop.remove_reader(self._listener)
        self._resume = self._loop.call_later(PAUSE, self._loop.add_reader, self._listener, self._accept)
        self._logged_at = _tell(error, self._logged_at)


async def _serve(
    loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol], connection: socket.socket
) -> None:
    try:
        await loop.connect_accepted_socket(protocol, connection)
    except OSError as error:
        connection.close()
        log.debug("a connection ended as it was accepted (%s)", type(error).__name__)


def _tell_end(error: OSError) -> None:
    log.error("the local server accepts no more connections: %s", error.strerror)


def _tell(error: OSError, logged_at: float) -> float:
    """Log that new connections have to wait, unless that was done a short time ago. Returns when it was done."""
    now = time.monotonic()
    if now - logged_at < LOG_SPACING:
        return logged_at
    log.warning("%s: new connections to the local server have to wait", error.strerror)
    return now


class ThreadAcceptor:
    """The same for Windows, whose loop watches no sockets: a thread waits in `accept`, and the loop gets what it brings."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._logged_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = threading.Event()
        self._arrived: deque[socket.socket] = deque()  # accepted, and not yet taken by the loop
        listener.setblocking(True)
        threading.Thread(target=self._accept, name="accept connections", daemon=True).start()

    def is_serving(self) -> bool:
        """Whether it still accepts, or will again once the system can."""
        return not self._closed.is_set()

    def close(self) -> None:
        """Accept no more. May be called twice."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread on POSIX, as `close` does on Windows
        self._listener.close()
        self._turn_away()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._closed.is_set():
                    break
                if error.errno in GONE:
                    _tell_end(error)
                    self.close()
                elif not isinstance(error, ConnectionError) and error.errno not in LOST:
                    self._logged_at = _tell(error, self._logged_at)
                    self._closed.wait(PAUSE)
                continue
            self._arrived.append(connection)
            with contextlib.suppress(RuntimeError):  # the loop has ended, which closes this
                self._loop.call_soon_threadsafe(self._take)
        self._turn_away()

    def _turn_away(self) -> None:
        """Close what the loop hasn't taken. From both threads."""
        with contextlib.suppress(IndexError):
            while True:
                self._arrived.popleft().close()

    def _take(self) -> None:
        try:
            connection = self._arrived.popleft()
        except IndexError:  # closed meanwhile
            return
        connection.setblocking(False)
        task = self._loop.create_task(_serve(self._loop, self._protocol, connection), name="accept a connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def accept(listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> Acceptor | ThreadAcceptor:
    """Begin to accept."""
    return (ThreadAcceptor if sys.platform == "win32" else Acceptor)(listener, protocol)
