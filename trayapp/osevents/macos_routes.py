"""Routing messages of macOS: tell a change of the network from the chatter of an unchanged one.

Pure. Layouts and numbers are those of <net/route.h>, <net/if.h>, <net/if_dl.h> and <sys/socket.h> (XNU, arm64 and x86-64
alike, little-endian). A message that cannot be parsed counts as a change: one snapshot too many costs nothing.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator

# <net/route.h>
_VERSION = 5  # RTM_VERSION
_ADD, _DELETE, _CHANGE, _NEWADDR, _DELADDR, _IFINFO, _IFINFO2 = 0x1, 0x2, 0x3, 0xC, 0xD, 0xE, 0x12  # RTM_*
_ROUTES, _ADDRESSES, _LINKS = (_ADD, _DELETE, _CHANGE), (_NEWADDR, _DELADDR), (_IFINFO, _IFINFO2)
# RTF_LLINFO, RTF_WASCLONED, RTF_MULTICAST: a neighbour, a host in use, a multicast group; none leads out.
_HOST_AND_GROUP_FLAGS = 0x400 | 0x20000 | 0x800000
_DESTINATION, _INTERFACE, _ADDRESS = 0, 4, 5  # RTAX_DST, RTAX_IFP, RTAX_IFA
_HEADER = struct.Struct("<HBB")  # length, version and type open every message
_ROUTE = struct.Struct("<4xH2xii")  # rt_msghdr: index, flags, addrs; 92 bytes with pid, seq, errno, use, inits, metrics
_ROUTE_SIZE = 92
_IFA = struct.Struct("<4xiiH2xi")  # ifa_msghdr: addrs, flags, index, metric; if_msghdr opens with the same three
_AF_INET, _AF_LINK, _AF_INET6 = 2, 18, 30  # <sys/socket.h>

# Wi-Fi between Apple devices, system tunnels and the loopback: they come and go and lead nowhere. A VPN through ipsec0
# shows in the routes.
QUIET_INTERFACES = ("awdl", "llw", "ipsec", "lo", "anpi", "gif", "stf")


def reports_change(data: bytes, name_of: Callable[[int], str]) -> bool:
    """Whether one read from the routing socket holds a possible change of the network.

    `name_of` turns an interface's index into its name, or "" if it is gone.
    """
    while data:
        if len(data) < _HEADER.size:
            return True
        length, version, kind = _HEADER.unpack_from(data)
        if version != _VERSION or not _HEADER.size <= length <= len(data):
            return True
        try:
            if _matters(kind, data[:length], name_of):
                return True
        except (struct.error, ValueError, IndexError):
            return True
        data = data[length:]
    return False


def _matters(kind: int, message: bytes, name_of: Callable[[int], str]) -> bool:
    """Whether one message is a change. Replies to `route get`, lookup misses and multicast joins are of other kinds."""
    if kind in _ROUTES:
        _, flags, present = _ROUTE.unpack_from(message)
        return not flags & _HOST_AND_GROUP_FLAGS and not _is_local_scope(
            _sockaddr(message[_ROUTE_SIZE:], present, _DESTINATION)
        )
    if kind in _ADDRESSES:
        present, _, index, _ = _IFA.unpack_from(message)
        interface = _interface_name(_sockaddr(message[_IFA.size :], present, _INTERFACE)) or name_of(index)
        return not _is_quiet(interface) and not _is_local_scope(_sockaddr(message[_IFA.size :], present, _ADDRESS))
    if kind in _LINKS:
        _, _, index, _ = _IFA.unpack_from(message)
        return not _is_quiet(name_of(index))
    return False


def _is_quiet(interface: str) -> bool:
    return interface.rstrip("0123456789") in QUIET_INTERFACES


def _is_local_scope(address: bytes) -> bool:
    """Whether a sockaddr is link-local or a multicast group."""
    if len(address) >= 8 and address[1] == _AF_INET:
        ipv4 = ipaddress.IPv4Address(address[4:8])
        return ipv4.is_link_local or ipv4.is_multicast
    if len(address) >= 24 and address[1] == _AF_INET6:
        ipv6 = ipaddress.IPv6Address(address[8:24])
        return ipv6.is_link_local or ipv6.is_multicast
    return False


def _interface_name(address: bytes) -> str:
    """The interface in a sockaddr_dl: length, family, index (2 bytes), type, length of the name, 2 bytes, the name."""
    if len(address) < 8 or address[1] != _AF_LINK:
        return ""
    return address[8 : 8 + address[5]].decode("ascii", "replace")


def _sockaddr(data: bytes, present: int, wanted: int) -> bytes:
    return next((address for index, address in _sockaddrs(data, present) if index == wanted), b"")


def _sockaddrs(data: bytes, present: int) -> Iterator[tuple[int, bytes]]:
    """(RTAX index, sockaddr) for each bit of `present`; each begins at a multiple of four bytes, an empty one is four."""
    for index in range(8):
        if present & 1 << index and data:
            length = data[0]
            yield index, data[:length]
            data = data[max(4, (length + 3) & ~3) :]
