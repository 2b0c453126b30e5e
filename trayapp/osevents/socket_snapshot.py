"""The picture of the network where nothing better is known (macOS, Windows): which address would a packet leave from?

A UDP socket that is connected to an address makes the kernel choose route and source address, and sends nothing. The
addresses asked for belong to documentation (RFC 5737, RFC 3849): nobody is there, nobody is told.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from trayapp.osevents.linux_snapshot import resolver
from trayapp.osevents.network import NetworkSnapshot

NOWHERE4 = ("203.0.113.1", 9)
NOWHERE6 = ("2001:db8::1", 9)
RESOLVER = Path("/etc/resolv.conf")  # macOS keeps one; Windows does not, and shows a new network by its address


def source(family: socket.AddressFamily, target: tuple[str, int]) -> str:
    """The address that a packet to `target` would leave from; empty if it could not leave."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:  # unreachable, or no such family here
        return ""


def lasting(address: str) -> str:
    """What of an address stays: IPv6 by its /64, as privacy addresses (RFC 8981) change daily. Empty if not global."""
    if not address:
        return ""
    known = ipaddress.ip_address(address.partition("%")[0])
    if known.is_loopback or known.is_link_local or known.is_unspecified:
        return ""
    if known.version == 4:
        return f"{known}/32"
    return str(ipaddress.ip_network((known, 64), strict=False))


def read_by_sockets() -> NetworkSnapshot:
    """The network now; never fails."""
    four = lasting(source(socket.AF_INET, NOWHERE4))
    six = lasting(source(socket.AF_INET6, NOWHERE6))
    try:
        names = resolver(RESOLVER.read_bytes())
    except OSError:
        names = ""
    # The kernel found a way for this address, so the address stands for the way too.
    return NetworkSnapshot(_some(four), _some(six), _some(four), _some(six), names)


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
