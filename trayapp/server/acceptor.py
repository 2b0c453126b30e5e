"""Accepting connections, with a pause while the process or the system has no file descriptor left.

asyncio's own server tries again up to its backlog in such a moment, logs a traceback for each try and schedules as many
retries. Here it is one line in the log, and the waiting connections are accepted as soon as a descriptor is free.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import time
from collections.abc import Callable

GONE = frozenset((errno.EBADF, errno.EINVAL, errno.ENOTSOCK))  # nothing listens any more
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
                    log.error("the local server accepts no more connections: %s", error.strerror)
                    self.close()
                else:  # no file descriptor, or what accept(2) says of a single connection that a firewall refused
                    self._pause(error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(connection), name="accept a connection")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError as error:
            connection.close()
            log.debug("a connection ended as it was accepted (%s)", type(error).__name__)

    def _pause(self, error: OSError) -> None:
        self._loop.remove_reader(self._listener)
        self._resume = self._loop.call_later(PAUSE, self._loop.add_reader, self._listener, self._accept)
        now = time.monotonic()
        if now - self._logged_at >= LOG_SPACING:
            self._logged_at = now
            log.warning("%s: new connections to the local server have to wait", error.strerror)


async def accept(listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> Acceptor | asyncio.Server:
    """Begin to accept. Windows has no such limit, and its loop watches no sockets."""
    if sys.platform == "win32":
        return await asyncio.get_running_loop().create_server(protocol, sock=listener)
    return Acceptor(listener, protocol)
