"""A private session bus without a desktop, and fakes of the two desktop services that the tray uses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from dbus_fast import Message, MessageType
from dbus_fast.aio.message_bus import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from tests.requirements import skip_or_fail
from trayapp.tray.dbusmenu import Nothing

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/>{denied}</policy></busconfig>"""


class Bus:
    """A dbus-daemon that activates no services. It can be stopped and started again at the same address.

    `denied` are rules of its policy, such as `<deny own_prefix="org.kde"/>`.
    """

    def __init__(self, folder: Path, denied: str = "") -> None:
        self.path = folder / "bus"
        self.address = f"unix:path={self.path}"
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(path=self.path, denied=denied))
        self._process: subprocess.Popen[str] | None = None
        self._watches: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        command = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile", "--print-address"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("unix:"), "dbus-daemon did not start"

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
            self.path.unlink(missing_ok=True)

    async def connect(self) -> MessageBus:
        """A connection for the test, which it may lose without an error."""
        connection = await MessageBus(bus_address=self.address).connect()
        watch = asyncio.create_task(self._until_lost(connection))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return connection

    @staticmethod
    async def _until_lost(connection: MessageBus) -> None:
        with contextlib.suppress(Exception):
            await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]


def require_dbus() -> None:
    """Skip on a machine without D-Bus, such as a Mac; fail under CI, where a skip would go unnoticed."""
    if not shutil.which("dbus-daemon"):
        skip_or_fail("dbus-daemon is not installed")


@contextlib.contextmanager
def private_bus(denied: str = "") -> Iterator[Bus]:
    """A running bus of its own. A short path: a socket's may have 107 characters only."""
    require_dbus()
    with tempfile.TemporaryDirectory(prefix="bus-") as folder:
        bus = Bus(Path(folder), denied)
        bus.start()
        try:
            yield bus
        finally:
            bus.stop()


@contextlib.contextmanager
def sandboxed(bus: Bus, *allowed: str) -> Iterator[str]:
    """The address that a sandbox such as Flatpak's has for this bus; `allowed` are its rules, such as `--talk=NAME`."""
    if not shutil.which("xdg-dbus-proxy"):
        skip_or_fail("xdg-dbus-proxy is not installed")
    path = bus.path.with_name("proxied")
    read, write = os.pipe()
    command = ["xdg-dbus-proxy", f"--fd={write}", bus.address, str(path), "--filter", *allowed]
    with subprocess.Popen(command, pass_fds=(write,)) as process:
        os.close(write)
        try:
            assert os.read(read, 1), "xdg-dbus-proxy did not start"
            yield f"unix:path={path}"
        finally:
            os.close(read)
            process.terminate()


class Watcher(ServiceInterface):
    """A fake org.kde.StatusNotifierWatcher, as panels run one."""

    NAME = "org.kde.StatusNotifierWatcher"

    def __init__(self, *, host: bool = True, delay: float = 0.0) -> None:
        super().__init__(self.NAME)
        self.items: list[str] = []
        self.host = host
        self.delay = delay  # s before it answers

    async def appear(self, bus: MessageBus) -> None:
        self.export(bus)
        await bus.request_name(self.NAME)

    def export(self, bus: MessageBus) -> None:
        bus.export("/StatusNotifierWatcher", self)

    async def vanish(self, bus: MessageBus) -> None:
        await bus.release_name(self.NAME)
        bus.unexport("/StatusNotifierWatcher", self)

    @dbus_method(name="RegisterStatusNotifierItem")
    async def register(self, service: DBusStr) -> Nothing:
        await asyncio.sleep(self.delay)
        self.items.append(service)

    @dbus_property(PropertyAccess.READ, name="IsStatusNotifierHostRegistered")
    def host_registered(self) -> DBusBool:
        return self.host

    @dbus_signal(name="StatusNotifierHostRegistered")
    def host_came(self) -> Nothing:
        self.host = True

    @dbus_signal(name="StatusNotifierItemUnregistered")
    def forget(self, item: str) -> DBusStr:
        self.items.clear()
        return item


class Notifications(ServiceInterface):
    """A fake org.freedesktop.Notifications with the given capabilities."""

    NAME = "org.freedesktop.Notifications"

    def __init__(self, *capabilities: str, server: str = "pretend") -> None:
        super().__init__(self.NAME)
        self.capabilities = list(capabilities)
        self.server = server
        self.calls: list[list[Any]] = []
        self.closed: list[int] = []
        self._last = 0

    async def appear(self, bus: MessageBus) -> None:
        bus.export("/org/freedesktop/Notifications", self)
        await bus.request_name(self.NAME)

    async def vanish(self, bus: MessageBus) -> None:
        await bus.release_name(self.NAME)
        bus.unexport("/org/freedesktop/Notifications", self)

    @dbus_method(name="GetCapabilities")
    def get_capabilities(self) -> Annotated[list[str], DBusSignature("as")]:
        return self.capabilities

    @dbus_method(name="GetServerInformation")
    def get_server_information(self) -> Annotated[list[str], DBusSignature("ssss")]:
        return [self.server, "tests", "1", "1.2"]

    @dbus_method(name="Notify")
    def notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        body: DBusStr,
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        timeout: DBusInt32,
    ) -> DBusUInt32:
        self.calls.append([app, replaces, icon, title, body, actions, hints, timeout])
        if replaces:
            return replaces
        self._last += 1
        return self._last

    @dbus_method(name="CloseNotification")
    def close_notification(self, number: DBusUInt32) -> Nothing:
        self.closed.append(number)

    @dbus_signal(name="ActionInvoked")
    def action_invoked(self, number: int, action: str) -> Annotated[list[Any], DBusSignature("us")]:
        return [number, action]

    @dbus_signal(name="NotificationClosed")
    def notification_closed(self, number: int, reason: int) -> Annotated[list[int], DBusSignature("uu")]:
        return [number, reason]


async def call(bus: MessageBus, name: str, path: str, interface: str, member: str, signature: str, *body: Any) -> Any:
    """Call a method; returns its single value, or all of them. Raises AssertionError for an error reply."""
    reply = await bus.call(Message(name, path, interface, member, signature=signature, body=list(body)))
    assert reply.message_type is MessageType.METHOD_RETURN, reply.error_name
    return reply.body[0] if len(reply.body) == 1 else reply.body
