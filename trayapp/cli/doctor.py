"""`amberlight doctor`: looks at everything Amberlight leans on, without needing the app, and says what to do.

Each check ends as ok, warning (it works, with less) or problem (it does not), within seconds, whatever hangs. Nothing is
changed, no prompt is raised, and no token is sent: endpoints are asked for nothing but the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.reaching import endpoints
from trayapp.config.loader import Config, ConfigError, Paths, load
from trayapp.core.checks import OK, PROBLEM, WARNING, Check, Report, keyring_check

BUS_LIMIT = 3.0  # s per D-Bus call; a healthy one takes milliseconds
KEYRING_LIMIT = 5.0  # s


def examine(paths: Paths, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """All checks, as `{name, state, text, help}`."""
    logging.getLogger("trayapp").addHandler(logging.NullHandler())  # what is worth saying is in the checks
    config, first = configuration(paths, environ)
    report, app = running(paths)
    checks = [*first, *asyncio.run(_slow(config, report)), at_login(), *app]
    return [asdict(check) for check in checks]


async def _slow(config: Config | None, report: Report | None) -> list[Check]:
    """What waits for others, all at the same time; the order stays."""
    found = report.token_endpoints if report else {}
    groups = await asyncio.gather(keyring(report), tray(report), bus(notifications), endpoints(config, found))
    return [check for group in groups for check in group]


# --- configuration and app -------------------------------------------------------------------------------------------


def configuration(paths: Paths, environ: Mapping[str, str]) -> tuple[Config | None, list[Check]]:
    """What the files say, and every mistake in them."""
    name = "configuration"
    try:
        config = load(paths, environ)
    except ConfigError as error:
        return None, [Check(name, PROBLEM, str(m), "Mend this line and save the file.") for m in error.mistakes]
    count = len(config.workloads)
    if not config.files:
        text = f"No workload yet; there is no {paths.config_file}."
        return config, [Check(name, OK, text, "Add one: amberlight add NAME URL")]
    text = f"{', '.join(str(f) for f in config.files)}: {count} workload{'' if count == 1 else 's'}."
    return config, [Check(name, OK, text), *(Check(name, WARNING, w, "Correct it.") for w in config.warnings)]


def running(paths: Paths) -> tuple[Report | None, list[Check]]:
    """What the app says, asked once (None: nobody answers), and what is shown of it."""
    try:
        client = ApiClient.find(paths.runtime_dir)
        report = client.doctor()
    except NotRunningError as error:
        text = f"Amberlight is not running. {error}".strip()
        return None, [Check("app", WARNING, text, "Start it: amberlight run")]
    except ApiError as error:
        return None, [Check("app", PROBLEM, str(error), "Quit Amberlight and start it again: amberlight run")]
    text = f"Running: process {client.pid}, version {client.version}, http://{client.host}:{client.port}."
    own = (check if check.name == "app" else replace(check, name=f"app: {check.name}") for check in report.checks)
    return report, [Check("app", OK, text), *own]


def at_login() -> Check:
    """Whether the next login starts Amberlight."""
    from trayapp.autostart import AutostartError, Kind, native

    try:
        state = native().status()
    except AutostartError as error:
        return Check("autostart", WARNING, str(error))
    well = state.kind in (Kind.ON, Kind.OFF)  # to start it by hand is a choice
    return Check("autostart", OK if well else WARNING, state.text, "" if well else state.help)


# --- keyring ---------------------------------------------------------------------------------------------------------


async def keyring(report: Report | None) -> list[Check]:
    """Which keyring would be used, and whether it is there and unlocked; without raising a prompt. Of an app that runs
    only its own counts, and it has said how that is: here may be another session, or none."""
    if report is not None:
        return []
    from trayapp.vault.keystore import Keystore

    keystore = Keystore("doctor", hang_limit=KEYRING_LIMIT)
    try:
        return [keyring_check(await keystore.status(), await keystore.describe())]
    finally:
        await keystore.close()


# --- the desktop -----------------------------------------------------------------------------------------------------

Ask = Callable[..., Awaitable[Any]]  # (destination, path, interface, member, signature, body) → the reply's body


async def bus(look: Callable[[Ask], Awaitable[Check]]) -> list[Check]:
    """One check over a session-bus connection of its own."""
    if not sys.platform.startswith("linux"):
        return []
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    name = look.__name__.replace("_", " ")
    connection = None
    try:
        async with asyncio.timeout(BUS_LIMIT):
            connection = await MessageBus(bus_type=BusType.SESSION).connect()
            return [await look(_asker(connection))]
    except TimeoutError:
        return [Check(name, PROBLEM, "The session bus does not answer.", "Log out and in again.")]
    except Exception as error:  # noqa: BLE001 - dbus-fast raises its own, OSError, EOFError and ValueError here
        text = "This is not inside a desktop session (there is no D-Bus session bus)."
        if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            text = f"The D-Bus session bus of this session cannot be reached ({type(error).__name__})."
        return [Check(name, WARNING, text, "Start Amberlight inside a desktop session, or with: dbus-run-session")]
    finally:
        if connection is not None:
            connection.disconnect()
            with contextlib.suppress(Exception):  # the bus hangs up a moment later; how does not matter
                await asyncio.wait_for(connection.wait_for_disconnect(), BUS_LIMIT)  # type: ignore[no-untyped-call]


def _asker(connection: Any) -> Ask:
    from dbus_fast import Message, MessageType

    async def ask(destination: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """The body of the reply; None if the answer is an error."""
        message = Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        reply = await connection.call(message)
        return reply.body if reply is not None and reply.message_type is MessageType.METHOD_RETURN else None

    return ask


WATCHER = "org.kde.StatusNotifierWatcher"
NOTIFIER = "org.freedesktop.Notifications"
_DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


async def tray(report: Report | None) -> list[Check]:
    """Nobody has to show the icon of an app that has none."""
    if report is not None and not report.tray:
        return [Check("tray host", OK, "Amberlight runs without an icon (--no-tray); none is needed.")]
    return await bus(tray_host)


async def tray_host(ask: Ask) -> Check:
    """Whether somebody shows tray icons: StatusNotifierItem's watcher, and a host behind it."""
    help_ = "On GNOME switch on the AppIndicator extension; elsewhere add a tray to the panel. Until then: --no-tray"
    if not (await ask(*_DBUS, "NameHasOwner", "s", WATCHER) or [False])[0]:
        return Check("tray host", WARNING, "This desktop has no tray for icons (no StatusNotifierWatcher).", help_)
    hosted = await ask(
        WATCHER,
        "/StatusNotifierWatcher",
        "org.freedesktop.DBus.Properties",
        "Get",
        "ss",
        WATCHER,
        "IsStatusNotifierHostRegistered",
    )
    if not hosted or not hosted[0].value:
        return Check("tray host", WARNING, "A watcher for tray icons runs, but nothing shows them.", help_)
    return Check("tray host", OK, "Tray icons are shown (StatusNotifierItem).")


async def notifications(ask: Ask) -> Check:
    """Whether notifications are shown, and with buttons."""
    capable = await ask(NOTIFIER, "/org/freedesktop/Notifications", NOTIFIER, "GetCapabilities")
    if capable is None:
        help_ = "Start a notification service; the tray menu has the same actions."
        return Check("notifications", WARNING, "Nobody shows notifications here.", help_)
    if "actions" not in capable[0]:
        help_ = "Use the tray menu, or: amberlight reauthorize NAME"
        return Check("notifications", WARNING, "Notifications are shown, but without buttons.", help_)
    return Check("notifications", OK, "Notifications are shown, with buttons.")
