"""D-Bus connections whose loss is reported in one place, for everything here that speaks D-Bus.

dbus-fast leaves the failure of a message that was being written in a future that nobody reads, and asyncio then logs it
with a traceback whenever it is garbage collected. Here `lost` reports it instead. Only Linux has dbus-fast: import this
module where it is needed, not at the top of a module that other systems import.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Self

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio.message_bus import MessageBus
from dbus_fast.errors import InvalidAddressError

from trayapp.system import session_bus

CALL_LIMIT = 5.0  # s; a healthy service answers in milliseconds
BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"


class BusError(OSError):
    """A failed call, or a bus that isn't available, in words. `name` is the D-Bus name of the error, if it has one."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


class _Bus(MessageBus):
    """What both buses share. `bus_name` names the bus in sentences."""

    bus_name = ""

    def send(self, msg: Message) -> asyncio.Future[Any]:  # type: ignore[override]  # as in the class above us
        """As in dbus-fast, but the future is marked as read before anything can go wrong. When the write fails
        immediately, the library watches a socket that it has just closed, and its own `send` raises without returning
        the future."""
        if not msg.serial:
            msg.serial = self.next_serial()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_mark_retrieved)
        if self._writer is None:
            future.set_exception(EOFError("not connected yet"))
            return future
        # `lost` reports the loss, and so does the reply that somebody awaits.
        with contextlib.suppress(OSError, ValueError):
            self._writer.schedule_write(msg, future)
        return future

    async def lost(self) -> str:
        """Wait for the end of the connection, whoever ended it; returns why it ended."""
        try:
            await self.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - whatever it was, the connection is over
            return f"the {self.bus_name} bus closed the connection ({error_text(error)})"
        return f"the {self.bus_name} bus closed the connection"


class SessionBus(_Bus):
    """The session bus, wherever `session_bus.py` finds it. Raises InvalidAddressError if there is none."""

    bus_name = "session"

    def __init__(self) -> None:
        try:  # without an address the library still knows the file that dbus-launch leaves for a display
            super().__init__(bus_address=session_bus.address(), bus_type=BusType.SESSION)
        except (OSError, KeyError) as error:  # what that file's search needs isn't there
            raise InvalidAddressError(f"there's no session bus ({error_text(error)})") from None


class SystemBus(_Bus):
    """The system bus, with file descriptors in replies."""

    bus_name = "system"

    def __init__(self) -> None:
        super().__init__(bus_type=BusType.SYSTEM, negotiate_unix_fd=True)

    @classmethod
    async def open(cls) -> Self:
        """A connected system bus. Raises `BusError` if there is none."""
        bus: Self | None = None
        try:
            bus = cls()
            async with asyncio.timeout(CALL_LIMIT):
                await bus.connect()
        except Exception as error:  # noqa: BLE001 - the library raises many kinds, and all mean the same here
            if bus is not None:
                bus.disconnect()
            raise BusError(f"can't reach the system bus ({error_text(error)})") from None
        return bus

    async def ask(self, name: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Message:
        """The reply to a call. Raises `BusError`. Never starts a service that isn't running."""
        call = Message(
            name, path, interface, member, signature=signature, body=list(body), flags=MessageFlag.NO_AUTOSTART
        )
        try:
            async with asyncio.timeout(CALL_LIMIT):
                reply = await self.call(call)
        except TimeoutError:
            raise BusError(f"{name} didn't answer within {CALL_LIMIT:.0f} seconds") from None
        except (OSError, EOFError) as error:
            raise BusError(f"the system bus closed the connection ({error_text(error)})") from None
        if reply.message_type is MessageType.ERROR:
            raise BusError(f"{name} said {reply.error_name}", reply.error_name or "")
        return reply


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def error_text(error: BaseException) -> str:
    """An exception in one line; some have no text, so their class stands in."""
    return str(error) or type(error).__name__
