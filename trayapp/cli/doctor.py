"""`amberlight doctor`: looks at everything Amberlight leans on, without needing the app, and says what to do.

Each check ends as ok, warning (it works, with less) or problem (it does not), within seconds, whatever hangs. Nothing is
changed, no prompt is raised, and no token is sent: endpoints are only connected to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from trayapp.cli.client import ApiError, Client, NotRunningError
from trayapp.config import Config, ConfigError, Paths, load

CONNECT_LIMIT = 5.0  # s per endpoint, TLS included
BUS_LIMIT = 3.0  # s per D-Bus call; a healthy one takes milliseconds
KEYRING_LIMIT = 5.0  # s
MOST_ENDPOINTS = 20  # a person reads this

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it (empty when all is well)."""

    name: str
    state: str
    text: str
    help: str = ""


def examine(paths: Paths, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """All checks, as `{name, state, text, help}`."""
    logging.getLogger("trayapp").addHandler(logging.NullHandler())  # what is worth saying is in the checks
    config, first = configuration(paths, environ)
    checks = [*first, *asyncio.run(_slow(config)), *running(paths)]
    return [asdict(check) for check in checks]


async def _slow(config: Config | None) -> list[Check]:
    """What waits for others, all at the same time; the order stays."""
    groups = await asyncio.gather(keyring(), *(bus(look) for look in (tray_host, notifications)), endpoints(config))
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
        text, help_ = f"There is no file yet ({paths.config_file}).", "Make one: amberlight add NAME URL"
        return config, [Check(name, WARNING, text, help_)]
    text = f"{', '.join(str(f) for f in config.files)}: {count} workload{'' if count == 1 else 's'}."
    return config, [Check(name, OK, text), *(Check(name, WARNING, w, "Correct it.") for w in config.warnings)]


def running(paths: Paths) -> list[Check]:
    """Whether the app runs and answers, and what it says of itself."""
    try:
        client = Client.find(paths.runtime_dir)
        said = client.doctor()
    except NotRunningError as error:
        text = f"Amberlight is not running. {error}".strip()
        return [Check("app", WARNING, text, "Start it: amberlight run")]
    except ApiError as error:
        return [Check("app", PROBLEM, str(error), "Quit Amberlight and start it again: amberlight run")]
    text = f"Running: process {client.pid}, version {client.version}, http://{client.host}:{client.port}."
    return [Check("app", OK, text), *(_said(check) for check in said)]


def _said(check: Mapping[str, Any]) -> Check:
    """One of the app's own checks; a state that we do not know counts as a problem."""
    state = str(check.get("state"))
    state = state if state in (OK, WARNING) else PROBLEM
    return Check(f"app: {check.get('name')}", state, str(check.get("text")), str(check.get("help") or ""))


# --- keyring ---------------------------------------------------------------------------------------------------------


async def keyring() -> list[Check]:
    """Which keyring would be used, and whether it is there and unlocked; without raising a prompt."""
    from trayapp.core.model import Trouble
    from trayapp.edge.keystore import Keystore

    keystore = Keystore("doctor", hang_limit=KEYRING_LIMIT)
    try:
        trouble, text = await keystore.status(), await keystore.describe()
    finally:
        await keystore.close()
    if trouble is None:
        return [Check("keyring", OK, text)]
    if trouble is Trouble.LOCKED:
        return [Check("keyring", WARNING, text, "Unlock it; logins can be read then.")]
    help_ = "Start one (GNOME Keyring, KWallet, …). Until then logins last only as long as Amberlight runs."
    return [Check("keyring", PROBLEM, text, help_)]


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
        text = f"There is no D-Bus session bus to be reached ({type(error).__name__})."
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


# --- endpoints -------------------------------------------------------------------------------------------------------


async def endpoints(config: Config | None) -> list[Check]:
    """Whether each authorization server can be connected to from here, now."""
    if config is None:
        return []
    servers: dict[tuple[str, str, int], list[str]] = {}
    for spec in config.workloads.values():
        parts = urlsplit(spec.token_endpoint or spec.issuer)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        servers.setdefault((parts.scheme, parts.hostname or "", port), []).append(spec.name)
    chosen = list(servers)[:MOST_ENDPOINTS]
    checks = await asyncio.gather(*(_endpoint(*server, servers[server]) for server in chosen))
    if (left := len(servers) - len(chosen)) > 0:
        checks.append(Check("endpoint", WARNING, f"{left} more servers were not tried."))
    return checks


async def _endpoint(scheme: str, host: str, port: int, names: list[str]) -> Check:
    label = f"{host}:{port} (for {', '.join(names[:3])}{' and others' if len(names) > 3 else ''})"
    proxy = proxy_for(scheme, host, port)
    try:
        if proxy is not None:
            await _connect(*proxy, tls=False)
            text = f"{label}: goes through the proxy {proxy[0]}:{proxy[1]}, which answers; beyond it nothing was tried."
            return Check("endpoint", OK, text)
        await _connect(host, port, tls=scheme == "https")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        through = f" through the proxy {proxy[0]}:{proxy[1]}" if proxy else ""
        reason, help_ = _why(error)
        return Check("endpoint", PROBLEM, f"{label}: {reason}{through}.", help_)
    return Check("endpoint", OK, f"{label}: can be reached{', certificate trusted' if scheme == 'https' else ''}.")


async def _connect(host: str, port: int, *, tls: bool) -> None:
    context = None
    if tls:
        import ssl

        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with asyncio.timeout(CONNECT_LIMIT):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host if tls else None)
        writer.transport.abort()  # a polite end would have to wait for the other side


def proxy_for(scheme: str, host: str, port: int) -> tuple[str, int] | None:
    """Host and port of the proxy that the environment names for this address; its password is not looked at."""
    from urllib.request import getproxies, proxy_bypass

    if host in ("127.0.0.1", "::1", "localhost") or proxy_bypass(f"{host}:{port}"):
        return None
    proxies = getproxies()
    written = proxies.get(scheme) or proxies.get("all")
    if not written:
        return None
    try:
        parts = urlsplit(written if "://" in written else f"http://{written}")
        return (parts.hostname, parts.port or 80) if parts.hostname else None
    except ValueError:
        return None


def _why(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do."""
    import socket
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        help_ = "A VPN, an inspecting firewall or a captive portal may be in between: open the address in a browser."
        return f"its certificate is not trusted ({error.verify_message})", help_
    if isinstance(error, ssl.SSLError):
        return "TLS failed", "Something in between may be in the way: open the address in a browser."
    if isinstance(error, socket.gaierror):
        return "its name is not known here", "Check the name in the configuration, the network and the VPN."
    if isinstance(error, TimeoutError):
        return f"no answer in {CONNECT_LIMIT:g} s", "Check the network, the VPN and the firewall."
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused", "The server may be down; Amberlight tries again by itself."
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower(), "Check the network, the VPN and the firewall."
    return f"it cannot be reached ({type(error).__name__})", "Check the network, the VPN and the firewall."
