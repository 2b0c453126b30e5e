"""The tray backend of Linux: StatusNotifierItem over D-Bus, as a pystray backend, without GTK and without an X display.

The law: one loop, in the thread that called `run`, owns the bus and all that is shown; `apply` and `stop` may be called
from any thread and only post to it. Nothing of the desktop is taken for granted. Without a bus, `run` waits for `stop`,
so the program also works without an icon. The icon registers again whenever a watcher or a host starts, and when a
watcher forgets it; what fails while a watcher is there is repeated. When the bus is lost, it is retried at growing
intervals.

Protocol: freedesktop.org's StatusNotifierItem as KDE implements it (org.kde.*); `sniitem.py` and `dbusmenu.py` are the
objects that hosts read.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dbus_fast import Message, MessageType, RequestNameReply
from dbus_fast.constants import NameFlag
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from trayapp.core.presentation import Action, MenuItem, Verb
from trayapp.system.dbus import PROPERTIES, SessionBus, error_text
from trayapp.tray import pixmap
from trayapp.tray.dbusmenu import DbusMenu
from trayapp.tray.mailbox import ViewUpdate
from trayapp.tray.sniitem import MENU_PATH, Item, ItemAppearance

# pystray chooses a backend at import and would look for GTK and an X display; its dummy backend needs neither.
_chosen_backend = os.environ.get("PYSTRAY_BACKEND")
os.environ["PYSTRAY_BACKEND"] = "dummy"
try:
    from pystray import _base as pystray_base
finally:
    if _chosen_backend is None:
        del os.environ["PYSTRAY_BACKEND"]
    else:
        os.environ["PYSTRAY_BACKEND"] = _chosen_backend

log = logging.getLogger(__name__)

WATCHER = "org.kde.StatusNotifierWatcher"
WATCHER_PATH = "/StatusNotifierWatcher"
ITEM_PATH = "/StatusNotifierItem"
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

HOST_GRACE = 15.0  # s without a host before that is reported: panels start late at login, and may restart
RETRY_FIRST, RETRY_LAST = 2.0, 60.0  # s between two tries to reach a lost bus, doubled each time
AGAIN_FIRST, AGAIN_LAST = 0.5, 60.0  # s between two registrations with one watcher, doubled each time
STEADY = 30.0  # s; a registration that stood so long is not the failure of the one before
CALL_LIMIT = 5.0  # s for one call: a hanging host must not keep the program from starting or ending
WATCHER_LIMIT = 30.0  # s for a call to the watcher, for which nothing waits: at login a panel may take its time
LEAVE_GRACE = 0.05  # s in which the host may still read the icon that it is removing

# Nobody owns the watcher's name, or nothing can be started that would: the bus reports when that changes.
NO_WATCHER = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
SPAWN_ERRORS = "org.freedesktop.DBus.Error.Spawn."

_item_numbers = itertools.count(1)

BUS_ERRORS = (OSError, EOFError, AuthError, DBusError, TimeoutError)


class Icon(pystray_base.Icon):  # type: ignore[misc]  # pystray has no types
    """The backend: pystray's `run` and setup thread around our own connection."""

    def __init__(
        self,
        title: str,
        on_action: Callable[[Action], None],
        on_host: Callable[[bool], None],
        *,
        host_grace: float = HOST_GRACE,
    ) -> None:
        super().__init__(title, title=title)
        self._on_host = on_host
        self._host_grace = host_grace
        self._host: bool | None = None  # what was last reported
        self._host_timer: asyncio.TimerHandle | None = None
        self._appearance = ItemAppearance(pixmap.pixmaps(pixmap.FIRST_VIEW), title)
        self._item = Item(title, self._appearance, lambda: on_action(Action(Verb.SHOW)))
        self._dbus_menu = DbusMenu(on_action)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._bus: SessionBus | None = None
        self._own_name = f"org.kde.StatusNotifierItem-{os.getpid()}-{next(_item_numbers)}"
        self._bus_name = self._own_name  # under which the icon is registered
        self._doubt = asyncio.Event()  # whether the watcher knows the icon, and a host shows it, has to be found out
        self._tried = asyncio.Event()  # whether registering was tried once
        self._registering: asyncio.Task[None] | None = None
        self._outage_reported = False  # this outage of the bus has been reported

    # --- any thread ---------------------------------------------------------------------------------------------------

    def apply(self, change: ViewUpdate) -> None:
        """Show a change. Draws in the calling thread and posts the rest; does nothing after `stop`."""
        changes: dict[str, Any] = {}
        if change.icon is not None:
            changes = {"pixmaps": pixmap.pixmaps(change.icon), "attention": change.icon.attention}
        if change.tooltip is not None:
            changes["tooltip"] = change.tooltip
        self._post(self._apply_now, changes, change.menu)

    def _post(self, call: Callable[..., None], *args: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed between the two lines
                self._loop.call_soon_threadsafe(call, *args)

    def _stop(self) -> None:
        if self._done is not None:
            self._post(self._done.set)

    # pystray calls these; everything shown comes through `apply` instead.
    def _show(self) -> None: ...
    def _hide(self) -> None: ...
    def _update_icon(self) -> None: ...
    def _update_title(self) -> None: ...
    def _update_menu(self) -> None: ...

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._main())

    def _apply_now(self, changes: dict[str, Any], menu: tuple[MenuItem, ...] | None) -> None:
        self._appearance = replace(self._appearance, **changes)
        self._item.show(self._appearance)
        if menu is not None:
            self._dbus_menu.update(menu)

    async def _main(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._keep_connected(self._done)
        finally:
            self._loop = None
            self._ready()  # whatever happened, nothing may wait for us for ever

    async def _keep_connected(self, done: asyncio.Event) -> None:
        delay = RETRY_FIRST
        while not done.is_set():
            try:
                await self._session(done)
                delay = RETRY_FIRST
            except InvalidAddressError as problem:
                self._report_outage(f"no tray icon: this session has no D-Bus session bus ({problem})")
            except BUS_ERRORS as problem:
                self._report_outage(f"no tray icon: the session bus can't be reached ({error_text(problem)})")
            except Exception:
                log.exception("the tray connection failed; it will be tried again")
            if not done.is_set():
                self._ready()
                self._host_seen(False)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), delay)
                delay = min(delay * 2, RETRY_LAST)

    def _ready(self) -> None:
        """Start the setup thread, once."""
        if not self._running:
            self._mark_ready()

    def _report_outage(self, sentence: str) -> None:
        if not self._outage_reported:
            log.warning("%s", sentence)
        self._outage_reported = True

    async def _session(self, done: asyncio.Event) -> None:
        """One bus connection, until `done` is set or the bus is lost."""
        bus = self._bus = SessionBus()
        try:
            async with asyncio.timeout(CALL_LIMIT):
                await bus.connect()
            lost = asyncio.create_task(bus.lost(), name="watch the bus of the tray")
            await self._appear_on_bus(bus)
            self._begin_registering()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._tried.wait(), CALL_LIMIT)
            self._outage_reported = False
            self._ready()
            stop = asyncio.ensure_future(done.wait())
            await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if lost.done():
                self._report_outage(f"the tray icon is gone: {lost.result()}")
            else:
                self._end_registering()  # the watcher is about to report that the icon is gone
                await self._leave_bus(bus)
                bus.disconnect()
                await lost
        finally:
            self._bus = None
            self._cancel_host_timer()
            self._end_registering()
            bus.unexport(ITEM_PATH)
            bus.unexport(MENU_PATH)
            bus.disconnect()

    async def _appear_on_bus(self, bus: SessionBus) -> None:
        bus.export(ITEM_PATH, self._item)
        bus.export(MENU_PATH, self._dbus_menu)
        bus.add_message_handler(self._on_message)
        rules = (
            f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{WATCHER}'",
            f"type='signal',sender='{WATCHER}',interface='{WATCHER}'",
        )
        *_, owned = await asyncio.gather(  # the bus keeps the order, so there is no need to wait for each reply
            *(self._call(*BUS, "AddMatch", "s", rule) for rule in rules), self._own(bus)
        )
        self._bus_name = self._own_name if owned else str(bus.unique_name)

    async def _own(self, bus: SessionBus) -> bool:
        """Whether the bus gives us our name: a process in another container may have our process id, and a sandbox
        refuses."""
        try:
            reply = await bus.request_name(self._own_name, NameFlag.DO_NOT_QUEUE)
        except DBusError as problem:
            log.debug("the bus does not give the name of the icon (%s)", problem.type)
            return False
        return reply in (RequestNameReply.PRIMARY_OWNER, RequestNameReply.ALREADY_OWNER)

    async def _leave_bus(self, bus: SessionBus) -> None:
        """Release the name, which makes the host remove the icon, and serve its last reads."""
        with contextlib.suppress(*BUS_ERRORS):
            if not self._bus_name.startswith(":"):
                async with asyncio.timeout(CALL_LIMIT):
                    await bus.release_name(self._bus_name)
            await asyncio.sleep(LEAVE_GRACE)

    def _begin_registering(self) -> None:
        """Register with the watcher that is there now, if one is."""
        self._end_registering()
        self._registering = asyncio.create_task(self._stay_registered(), name="keep the tray icon registered")

    def _end_registering(self) -> None:
        if self._registering is not None:
            self._registering.cancel()
            self._registering = None

    async def _stay_registered(self) -> None:
        """Register with this watcher, and again whenever that is in doubt. Runs until cancelled.

        A watcher that takes its name before it is ready, hangs or fails is tried again at growing intervals, for as
        long as it has its name. So is one that drops the icon as soon as it has it.
        """
        loop, delay = asyncio.get_running_loop(), AGAIN_FIRST
        while True:
            self._doubt.clear()
            present = await self._register()
            self._host_seen(bool(present))
            self._tried.set()
            since = loop.time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), delay if present is None else None)
            if loop.time() - since >= STEADY:
                delay = AGAIN_FIRST
            else:
                await asyncio.sleep(since + delay - loop.time())
                delay = min(delay * 2, AGAIN_LAST)

    async def _register(self) -> bool | None:
        """Register with the watcher and return whether a host shows icons; None if the watcher did not say."""
        reply: Message | None = None
        for interface, member, signature, body in (
            (WATCHER, "RegisterStatusNotifierItem", "s", (self._bus_name,)),
            (PROPERTIES, "Get", "ss", (WATCHER, "IsStatusNotifierHostRegistered")),
        ):
            reply = await self._ask(WATCHER, WATCHER_PATH, interface, member, signature, *body, limit=WATCHER_LIMIT)
            if reply is None:
                return None
            if reply.message_type is MessageType.ERROR:
                gone = reply.error_name in NO_WATCHER or (reply.error_name or "").startswith(SPAWN_ERRORS)
                return False if gone else None
        return bool(reply and reply.body and getattr(reply.body[0], "value", False))

    async def _call(
        self, name: str, path: str, interface: str, member: str, signature: str, *body: str
    ) -> Message | None:
        """The reply, or None for an error or a timeout."""
        reply = await self._ask(name, path, interface, member, signature, *body, limit=CALL_LIMIT)
        return None if reply is None or reply.message_type is MessageType.ERROR else reply

    async def _ask(
        self, name: str, path: str, interface: str, member: str, signature: str, *body: str, limit: float
    ) -> Message | None:
        """The reply, which may be an error, or None for a timeout. A lost connection is handled in `_session`."""
        if self._bus is None:
            return None
        call = Message(name, path, interface, member, signature=signature, body=list(body))
        try:
            async with asyncio.timeout(limit):
                reply = await self._bus.call(call)
        except BUS_ERRORS as problem:
            log.info("%s did not answer to %s (%s)", name, member, error_text(problem))
            return None
        if reply.message_type is MessageType.ERROR:
            log.debug("%s answered %s to %s", name, reply.error_name, member)
        return reply

    # --- the host -----------------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        """Handle a signal: the watcher or a host started or stopped, or the watcher dropped an icon."""
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.body[0] == WATCHER:
            if message.body[2]:
                self._begin_registering()
            else:
                self._end_registering()
                self._host_seen(False)
        elif message.interface == WATCHER and (
            message.member in ("StatusNotifierHostRegistered", "StatusNotifierHostUnregistered")
            or (message.member == "StatusNotifierItemUnregistered" and self._is_ours(message))
        ):
            self._doubt.set()

    def _is_ours(self, message: Message) -> bool:
        """Whether a watcher names our icon here: by a bus name of either kind, and mostly a path."""
        if self._bus is None or message.signature != "s":
            return False
        return message.body[0].partition("/")[0] in (self._bus_name, self._bus.unique_name)

    def _host_seen(self, present: bool) -> None:
        """Report a host immediately and its absence only after the grace period, and each only on change."""
        if present:
            self._cancel_host_timer()
            self._report_host(True)
        elif self._host is not False and self._host_timer is None:
            self._host_timer = asyncio.get_running_loop().call_later(self._host_grace, self._report_host, False)

    def _report_host(self, present: bool) -> None:
        self._host_timer = None
        if self._host is not present:
            self._host = present
            log.info("a tray host shows the icon" if present else "no tray host: nobody shows the icon")
            self._on_host(present)

    def _cancel_host_timer(self) -> None:
        if self._host_timer is not None:
            self._host_timer.cancel()
            self._host_timer = None
