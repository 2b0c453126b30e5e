"""Address classes: this machine, a private network, the internet. No server may name an address nearer than itself.

Amberlight requests the addresses that a server names, and it does so from behind firewalls that keep the server itself
out (SSRF). So the addresses named by a remote server are judged twice: by how they are written, and by the address that
the connection really reached, before a byte is sent over it (SECURITY.md 8).
"""

from __future__ import annotations

import re
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
LOCAL_NAMES = ("localhost",)
PRIVATE_SUFFIXES = ("local", "internal", "lan", "home.arpa", "intranet", "corp", "home")  # RFC 6762, RFC 8375, ICANN
NAT64 = bytes.fromhex("0064ff9b") + bytes(8)  # RFC 6052: the last four bytes are an IPv4 address


class AddressClass(IntEnum):
    """How close an address is; a smaller value is closer."""

    LOCAL = 0
    PRIVATE = 1
    PUBLIC = 2


PLACE_TEXTS = {AddressClass.LOCAL: "on this machine", AddressClass.PRIVATE: "in a private network"}


def class_of_address(text: str) -> AddressClass:
    """The class of an address literal. Raises ValueError for anything else."""
    return _classify(ip_address(text.partition("%")[0]))


def class_of_host(host: str) -> AddressClass:
    """The class of a host as it is written. A name that gives no hint counts as public until a connection shows its
    address."""
    host = host.rstrip(".").lower()
    try:
        return class_of_address(host)
    except ValueError:
        pass
    if NUMERIC.fullmatch(host):  # 127.1, 0x7f000001, 2130706433: a browser reads them as addresses
        try:
            return _classify(IPv4Address(socket.inet_aton(host)))
        except (OSError, ValueError):
            return AddressClass.LOCAL
    if _is_under(host, LOCAL_NAMES):
        return AddressClass.LOCAL
    return AddressClass.PRIVATE if "." not in host or _is_under(host, PRIVATE_SUFFIXES) else AddressClass.PUBLIC


def _is_under(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def _classify(address: IPv4Address | IPv6Address) -> AddressClass:
    if isinstance(address, IPv6Address) and (inner := _embedded_ipv4(address)) is not None:
        return _classify(inner)
    if address.is_loopback or address.is_unspecified:
        return AddressClass.LOCAL
    return AddressClass.PUBLIC if address.is_global and not address.is_multicast else AddressClass.PRIVATE


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 address: mapped, NAT64 or 6to4."""
    if address.packed.startswith(NAT64):
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
