"""Whether the processes of a record still run, and are still that program's: process numbers are used again."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Collection

from trayapp.system.running import names_of

CONNECT_LIMIT = 0.2  # s; a loopback address answers within a millisecond
CONNECTS_LIMIT = 2.0  # s for all of one reading: Windows takes its time to say that nobody listens
OURS = ("thv", "toolhive")  # in the names of ToolHive's programs
HERE = ("", "localhost")  # hosts that aren't addresses, and mean this machine


class Liveness:
    """What runs of these processes, as it was when this was made. `processes` are those that are ToolHive's."""

    def __init__(self, recorded: Collection[int]) -> None:
        self._names = names_of({pid for pid in recorded if pid > 0})
        self._spent = 0.0  # s
        self.processes = frozenset(pid for pid, name in self._names.items() if _is_of(name))

    def stranger(self, pid: int) -> str:
        """The name of a process that runs and isn't ToolHive's; empty if it is, or has ended."""
        return "" if pid in self.processes else self._names.get(pid, "")

    def listens(self, host: str, port: int) -> bool:
        """Whether anything listens there. False for another machine, which isn't asked, and for what can't be found out
        within the limit."""
        address = own_address(host)
        if not address or not 0 < port < 1 << 16 or self._spent >= CONNECTS_LIMIT:
            return False
        began = time.monotonic()
        try:
            # From the same address: the system refuses one that isn't this machine's.
            with (
                contextlib.suppress(OSError),
                socket.create_connection((address, port), CONNECT_LIMIT, source_address=(address, 0)) as connection,
            ):
                return bool(connection.getsockname() != connection.getpeername())  # not to itself
            return False
        finally:
            self._spent += time.monotonic() - began


def own_address(host: str) -> str:
    """The address that a host of this machine is reached at; empty for a name, which isn't looked up: that can't be
    limited in time."""
    host = host.removeprefix("[").removesuffix("]")
    if host.lower() in HERE:
        return "127.0.0.1"
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if found.is_unspecified:
        return "127.0.0.1"
    is_zoned = isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None
    return "" if is_zoned or found.is_multicast or (found.is_reserved and not found.is_loopback) else str(found)


def _is_of(name: str) -> bool:
    return any(part in name.lower() for part in OURS)
