"""A connection to the session bus that can be lost without noise.

dbus-fast leaves the failure of a message that was being written in a future that nobody reads, and asyncio then logs
it with a traceback whenever the garbage collector comes by. Here the loss is heard in one place, `lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from dbus_fast import BusType, Message
from dbus_fast.aio.message_bus import MessageBus


class SessionBus(MessageBus):
    """The session bus of this environment; InvalidAddressError if there is none."""

    def __init__(self) -> None:
        super().__init__(bus_type=BusType.SESSION)

    def send(self, msg: Message) -> asyncio.Future[Any]:  # type: ignore[override]  # as in the class above us
        """As in dbus-fast, but the future is marked as read before anything can go wrong: when the write fails at once,
        the library watches a socket that it has just closed, and its own `send` raises without handing the future out."""
        if not msg.serial:
            msg.serial = self.next_serial()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_read)
        if self._writer is None:
            future.set_exception(EOFError("not connected yet"))
            return future
        with contextlib.suppress(OSError, ValueError):  # the loss is told by `lost`, and to who waits for a reply
            self._writer.schedule_write(msg, future)
        return future

    async def lost(self) -> str:
        """Wait for the end of the connection, whoever ended it; why it ended."""
        try:
            await self.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except Exception as problem:  # noqa: BLE001 - whatever it was, the connection is over
            return f"the session bus closed the connection ({words(problem)})"
        return "the session bus closed the connection"


def _read(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def words(problem: BaseException) -> str:
    """What to say of an exception in one line: some have no text."""
    return str(problem) or type(problem).__name__
