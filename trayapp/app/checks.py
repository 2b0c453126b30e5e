"""Checks of what Amberlight depends on, for `amberlight doctor` and for the running app's diagnostics.

Each ends within seconds, whatever hangs. No prompt appears, and no token is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from trayapp.app.client_document_checks import client_documents
from trayapp.app.client_key_checks import client_keys
from trayapp.app.endpoint_checks import endpoints
from trayapp.config.loader import Config, ConfigError, load
from trayapp.config.paths import Paths
from trayapp.core.checks import CHECK_DISK, OK, PROBLEM, WARNING, Check, Report, keyring_check
from trayapp.system.plain_files import within

BUS_LIMIT = 3.0  # s per D-Bus call; a healthy one takes milliseconds
KEYRING_LIMIT = 5.0  # s


async def network_checks(config: Config | None, report: Report | None) -> list[Check]:
    """The checks that wait for others, run concurrently; returned in order."""
    token_endpoints = report.token_endpoints if report else {}
    groups = await asyncio.gather(
        keyring(report),
        tray(report),
        over_session_bus(notifications),
        endpoints(config, token_endpoints),
        client_documents(config),
        client_keys(config),
    )
    return [check for group in groups for check in group]


# --- configuration ---------------------------------------------------------------------------------------------------


def configuration(paths: Paths, environ: Mapping[str, str]) -> tuple[Config | None, list[Check]]:
    """The configuration, and a check for each mistake in it."""
    name = "configuration"
    try:
        config = within(paths.config_file, lambda: load(paths, environ))
    except ConfigError as error:
        return None, [
            Check(name, PROBLEM, str(m), "Fix this line and save the file." if m.line else "Fix the file.")
            for m in error.mistakes
        ]
    except OSError as error:
        text = f"{error.filename or paths.config_file} can't be read: {error.strerror}."
        return None, [Check(name, PROBLEM, text, CHECK_DISK)]
    count = len(config.workloads)
    if not config.files:
        text = f"No workloads configured. Config file: {paths.config_file} (not created yet)."
        return config, [Check(name, OK, text, "Add one: amberlight add NAME URL")]
    text = f"{', '.join(str(f) for f in config.files)}: {count} workload{'' if count == 1 else 's'}."
    return config, [Check(name, OK, text), *(Check(name, WARNING, w, "Correct it.") for w in config.warnings)]


def running_checks(report: Report, pid: int, version: str, url: str) -> list[Check]:
    """The checks shown for an app that runs: that it does, and its own."""
    own = (check if check.name == "app" else replace(check, name=f"app: {check.name}") for check in report.checks)
    return [Check("app", OK, f"Running: process {pid}, version {version}, {url}."), *own]


def autostart() -> Check:
    """Whether Amberlight starts at login."""
    from trayapp.autostart import AutostartError, Kind, native

    try:
        state = native().status()
    except AutostartError as error:
        return Check("autostart", WARNING, str(error))
    healthy = state.kind in (Kind.ON, Kind.OFF)  # not starting at login is a choice
    return Check("autostart", OK if healthy else WARNING, state.text, "" if healthy else state.help)


# --- keyring ---------------------------------------------------------------------------------------------------------


async def keyring(report: Report | None) -> list[Check]:
    """Which keyring would be used, and whether it is present and unlocked. Raises no prompt.

    For a running app only its own keyring matters, and its report covers that: this process may have another session.
    """
    if report is not None:
        return []
    from trayapp.vault.keystore import Keystore

    keystore = Keystore("doctor", hang_limit=KEYRING_LIMIT)
    try:
        return [keyring_check(await keystore.status(), await keystore.describe())]
    finally:
        await keystore.close()


# --- the desktop -----------------------------------------------------------------------------------------------------

CallMethod = Callable[..., Awaitable[Any]]  # (destination, path, interface, member, signature, *body) → reply body


async def over_session_bus(check: Callable[[CallMethod], Awaitable[Check]]) -> list[Check]:
    """Run one check over its own connection to the session bus."""
    if not sys.platform.startswith("linux"):
        return []
    from trayapp.system import session_bus
    from trayapp.system.dbus import SessionBus

    name = check.__name__.replace("_", " ")
    connection = None
    try:
        async with asyncio.timeout(BUS_LIMIT):
            connection = await SessionBus().connect()
            return [await check(_method_caller(connection))]
    except TimeoutError:
        if connection is None:
            return [Check(name, PROBLEM, "The session bus isn't responding.", "Log out and in again.")]
        text = "The service behind it isn't responding: it hangs, or can't start in this session."
        return [Check(name, WARNING, text, "Restart it, or log out and in again.")]
    except Exception as error:  # noqa: BLE001 - dbus-fast raises its own, OSError, EOFError and ValueError here
        text = "This isn't a desktop session (no D-Bus session bus)."
        if session_bus.address():
            text = f"The D-Bus session bus of this session can't be reached ({type(error).__name__})."
        return [Check(name, WARNING, text, "Start Amberlight inside a desktop session, or with: dbus-run-session")]
    finally:
        if connection is not None:
            connection.disconnect()
            with contextlib.suppress(Exception):  # wait for the disconnect; how it ends doesn't matter
                await asyncio.wait_for(connection.wait_for_disconnect(), BUS_LIMIT)  # type: ignore[no-untyped-call]


def _method_caller(connection: Any) -> CallMethod:
    from dbus_fast import Message, MessageType

    async def call(destination: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """The body of the reply; None if the reply is an error."""
        message = Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        reply = await connection.call(message)
        return reply.body if reply is not None and reply.message_type is MessageType.METHOD_RETURN else None

    return call


WATCHER = "org.kde.StatusNotifierWatcher"
NOTIFIER = "org.freedesktop.Notifications"
_DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


async def tray(report: Report | None) -> list[Check]:
    """No check if the app runs without an icon."""
    if report is not None and not report.tray:
        return [Check("tray host", OK, "Amberlight runs without an icon (--no-tray).")]
    return await over_session_bus(tray_host)


async def tray_host(call: CallMethod) -> Check:
    """Whether tray icons are shown: StatusNotifierItem's watcher, and a host registered with it."""
    help_ = (
        "On GNOME, turn on the AppIndicator extension; elsewhere, add a tray to the panel. Until then, use --no-tray."
    )
    if not (await call(*_DBUS, "NameHasOwner", "s", WATCHER) or [False])[0]:
        return Check("tray host", WARNING, "This desktop has no tray for icons (no StatusNotifierWatcher).", help_)
    hosted = await call(
        WATCHER,
        "/StatusNotifierWatcher",
        "org.freedesktop.DBus.Properties",
        "Get",
        "ss",
        WATCHER,
        "IsStatusNotifierHostRegistered",
    )
    if not hosted or not hosted[0].value:
        return Check("tray host", WARNING, "A tray service is running, but nothing shows its icons.", help_)
    return Check("tray host", OK, "Tray icons are shown (StatusNotifierItem).")


async def notifications(call: CallMethod) -> Check:
    """Whether notifications are shown, and with buttons."""
    capable = await call(NOTIFIER, "/org/freedesktop/Notifications", NOTIFIER, "GetCapabilities")
    if capable is None:
        help_ = "Start a notification service. The tray menu has the same actions."
        return Check("notifications", WARNING, "No program shows notifications here.", help_)
    if "actions" not in capable[0]:
        help_ = "Use the tray menu, or: amberlight reauthorize NAME"
        return Check("notifications", WARNING, "Notifications are shown, but without buttons.", help_)
    return Check("notifications", OK, "Notifications are shown, with buttons.")
