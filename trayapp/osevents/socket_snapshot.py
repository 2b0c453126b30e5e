"""Network snapshots without an OS interface (macOS, Windows): which source address would a packet get?

Connecting a UDP socket makes the kernel choose a route and a source address, and sends nothing. The targets are
addresses reserved for documentation (RFC 5737, RFC 3849), so no host learns of the question.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from trayapp.osevents.linux_snapshot import resolver_digest
from trayapp.osevents.network import NetworkSnapshot

PROBE_TARGET4 = ("203.0.113.1", 9)
PROBE_TARGET6 = ("2001:db8::1", 9)
RESOLVER = Path("/etc/resolv.conf")  # macOS maintains one; on Windows a new network shows by its address


def source_address(family: socket.AddressFamily, target: tuple[str, int]) -> str:
    """The source address of a packet to `target`; empty if there is no route."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:  # unreachable, or no such family here
        return ""


def stable_prefix(address: str) -> str:
    """The part of an address that lasts, as `address/prefix`; empty if it is not global.

    IPv6 counts by its /64, as temporary addresses (RFC 8981) change daily.
    """
    if not address:
        return ""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        return ""
    if ip.version == 4:
        return f"{ip}/32"
    return str(ipaddress.ip_network((ip, 64), strict=False))


def read_by_sockets() -> NetworkSnapshot:
    """The network now; never raises."""
    ipv4 = stable_prefix(source_address(socket.AF_INET, PROBE_TARGET4))
    ipv6 = stable_prefix(source_address(socket.AF_INET6, PROBE_TARGET6))
    try:
        resolver = resolver_digest(RESOLVER.read_bytes())
    except OSError:
        resolver = ""
    # An address exists only where the kernel found a route, so it stands for the route as well.
    return NetworkSnapshot(_as_tuple(ipv4), _as_tuple(ipv6), _as_tuple(ipv4), _as_tuple(ipv6), resolver)


def _as_tuple(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
