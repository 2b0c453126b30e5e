"""Address classes: this machine, a private network, the internet. No server may name an address nearer than itself.

Amberlight requests the addresses that a server names, and it does so from behind firewalls that keep the server itself
out (SSRF). So the addresses named by a remote server are judged twice: by how they are written, and by the address that
the connection really reached, before a byte is sent over it (SECURITY.md 8).
"""

from __future__ import annotations

import re
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
LOCAL_NAMES = ("localhost",)
PRIVATE_SUFFIXES = ("local", "internal", "lan", "home.arpa", "intranet", "corp", "home")  # RFC 6762, RFC 8375, ICANN
_TRANSLATED = (  # IPv6 prefixes under which the last 32 bits are the IPv4 address that is really reached
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped (RFC 4291 section 2.5.5.2)
    IPv6Network("::/96"),  # IPv4-compatible (section 2.5.5.1), but for :: and ::1
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765 section 2.1)
    IPv6Network("64:ff9b::/96"),  # NAT64 (RFC 6052 section 2.1)
)
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))  # RFC 5214 section 6.1; then comes an IPv4 address
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: a network's own


class AddressClass(IntEnum):
    """How close an address is; a smaller value is closer."""

    LOCAL = 0
    PRIVATE = 1
    PUBLIC = 2


PLACE_TEXTS = {AddressClass.LOCAL: "on this computer", AddressClass.PRIVATE: "in a private network"}


def too_near(host: str, reached: AddressClass) -> str:
    """Why a request isn't sent to an address that a server farther away has named."""
    return f"{host} is {PLACE_TEXTS[reached]}, but the server that named it isn't"


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
    if isinstance(address, IPv4Address):
        return _class_of_plain(address)
    if address.is_loopback or address.is_unspecified:
        return AddressClass.LOCAL
    if (reached := _reached_ipv4(address)) is not None:
        return min(_class_of_plain(each) for each in reached)
    classes = [AddressClass.PRIVATE if address in _LOCAL_NAT64 else _class_of_plain(address)]
    if address in _LOCAL_NAT64 or address.packed[8:12] in _ISATAP:
        classes.append(_class_of_plain(IPv4Address(address.packed[-4:])))
    return min(classes)


def _class_of_plain(address: IPv4Address | IPv6Address) -> AddressClass:
    """The class of an address that has no other inside it."""
    if address.is_loopback or address.is_unspecified:
        return AddressClass.LOCAL
    site_local = isinstance(address, IPv6Address) and address.is_site_local  # RFC 3879; Python calls it global
    outside = address.is_global and not address.is_multicast and not site_local
    return AddressClass.PUBLIC if outside else AddressClass.PRIVATE


def _reached_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...] | None:
    """The IPv4 addresses that a packet to this IPv6 address goes to; None if it stays IPv6."""
    if any(address in network for network in _TRANSLATED):
        return (IPv4Address(address.packed[-4:]),)
    if address.sixtofour is not None:  # RFC 3056: through the router at that address
        return (address.sixtofour,)
    return address.teredo  # RFC 4380: server and client
