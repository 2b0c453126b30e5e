"""KWallet behind the Secret Service (5.97 and newer): what that name neither says nor does.

A wallet that another program has opened, as the login does, is a *locked* collection there, without a signal, until
somebody unlocks it; that asks for nothing then. And a bus starts KWallet by its own name only.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from trayapp.system.plain_files import read_plain

INTERFACE = "org.kde.KWallet"
OPENED = "walletOpened"  # its signal, with the name of the wallet
DAEMONS = {"org.kde.kwalletd6": "/modules/kwalletd6", "org.kde.kwalletd5": "/modules/kwalletd5"}
BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
SETTINGS_MAX = 64 * 1024  # bytes of kwalletrc
APPEAR_LIMIT, POLL = 3.0, 0.05  # s; it takes 0.1 s on an idle machine
START_EVERY = 60.0  # s; where KWallet is switched off, it ends again

Ask = Callable[..., Awaitable[Any]]  # name, path, interface, member, signature, arguments → first value, or None

_asked_at = float("-inf")


async def daemon_behind(ask: Ask, service: str) -> str | None:
    """KWallet's own name, if the service that has this name is KWallet."""
    owner = await ask(BUS, BUS_PATH, BUS, "GetNameOwner", "s", service)
    for name in DAEMONS:
        if owner is not None and await ask(BUS, BUS_PATH, BUS, "GetNameOwner", "s", name) == owner:
            return name
    return None


async def opens_silently(ask: Ask, name: str, wallet: str) -> bool:
    """Whether unlocking this wallet shows no dialog: it is open, and KWallet does not ask who may use it then."""
    return not _asks_for_access() and bool(await ask(name, DAEMONS[name], INTERFACE, "isOpen", "s", wallet))


async def start(ask: Ask, service: str) -> bool:
    """Start KWallet where it belongs to the desktop; returns whether it then has the name of this service, which it takes
    a moment after its own."""
    global _asked_at
    now = time.monotonic()
    if "KDE" not in os.environ.get("XDG_CURRENT_DESKTOP", "").split(":") or now - _asked_at < START_EVERY:
        return False
    _asked_at = now
    for name in DAEMONS:
        if await ask(BUS, BUS_PATH, BUS, "StartServiceByName", "su", name, 0) is not None:
            return await _appeared(ask, service)
    return False


async def _appeared(ask: Ask, service: str) -> bool:
    for _ in range(round(APPEAR_LIMIT / POLL)):
        if await ask(BUS, BUS_PATH, BUS, "GetNameOwner", "s", service) is not None:
            return True
        await asyncio.sleep(POLL)
    return False


def _asks_for_access() -> bool:
    """KDE's setting "prompt when an application accesses an open wallet"; also if its file can't be read."""
    import configparser

    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    sites = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False)
    for folder in (*reversed(sites.split(os.pathsep)), home):  # the last one counts
        try:
            parser.read_string(read_plain(Path(folder, "kwalletrc"), SETTINGS_MAX).decode("utf-8"))
        except FileNotFoundError:
            continue
        except (configparser.Error, OSError, UnicodeDecodeError):
            return True
    return (parser.get("Wallet", "Prompt on Open", fallback="") or "").strip().lower() in ("true", "1", "yes", "on")
