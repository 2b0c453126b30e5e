"""What a routing message of macOS is about: enough to tell a change of the network from the noise of a quiet one.

Pure. Layouts and numbers are those of <net/route.h>, <net/if.h>, <net/if_dl.h> and <sys/socket.h> (XNU, arm64 and x86-64
alike, little-endian). A message that cannot be understood counts as a change: a look too many costs nothing.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator

# <net/route.h>
_VERSION = 5  # RTM_VERSION
_ADD, _DELETE, _CHANGE, _NEWADDR, _DELADDR, _IFINFO, _IFINFO2 = 0x1, 0x2, 0x3, 0xC, 0xD, 0xE, 0x12  # RTM_*
_ROUTES, _ADDRESSES, _LINKS = (_ADD, _DELETE, _CHANGE), (_NEWADDR, _DELADDR), (_IFINFO, _IFINFO2)
# RTF_LLINFO, RTF_WASCLONED, RTF_MULTICAST: a neighbour, a host that somebody talks to, a group; none is a way out.
_CHATTER = 0x400 | 0x20000 | 0x800000
_DESTINATION, _INTERFACE, _ADDRESS = 0, 4, 5  # RTAX_DST, RTAX_IFP, RTAX_IFA
_HEADER = struct.Struct("<HBB")  # length, version and type open every message
_ROUTE = struct.Struct("<4xH2xii")  # rt_msghdr: index, flags, addrs; 92 bytes with pid, seq, errno, use, inits, metrics
_ROUTE_SIZE = 92
_IFA = struct.Struct("<4xiiH2xi")  # ifa_msghdr: addrs, flags, index, metric; if_msghdr opens with the same three
_AF_INET, _AF_LINK, _AF_INET6 = 2, 18, 30  # <sys/socket.h>

# Wi-Fi between Apple devices, tunnels of the system and the loopback: they come and go and lead nowhere. A VPN through
# ipsec0 shows in the routes.
QUIET = ("awdl", "llw", "ipsec", "lo", "anpi", "gif", "stf")


def stirs(data: bytes, name_of: Callable[[int], str]) -> bool:
    """Whether anything in one read from the routing socket deserves a look. `name_of` an interface's index, or ""."""
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
    """Answers to somebody's `route get`, lookups, misses and multicast groups are none of the kinds asked for."""
    if kind in _ROUTES:
        _, flags, present = _ROUTE.unpack_from(message)
        return not flags & _CHATTER and not _local(_pick(message[_ROUTE_SIZE:], present, _DESTINATION))
    if kind in _ADDRESSES:
        present, _, index, _ = _IFA.unpack_from(message)
        named = _name(_pick(message[_IFA.size :], present, _INTERFACE)) or name_of(index)
        return not _quiet(named) and not _local(_pick(message[_IFA.size :], present, _ADDRESS))
    if kind in _LINKS:
        _, _, index, _ = _IFA.unpack_from(message)
        return not _quiet(name_of(index))
    return False


def _quiet(interface: str) -> bool:
    return interface.rstrip("0123456789") in QUIET


def _local(address: bytes) -> bool:
    """A sockaddr that never leaves the link, or a group."""
    if len(address) >= 8 and address[1] == _AF_INET:
        four = ipaddress.IPv4Address(address[4:8])
        return four.is_link_local or four.is_multicast
    if len(address) >= 24 and address[1] == _AF_INET6:
        six = ipaddress.IPv6Address(address[8:24])
        return six.is_link_local or six.is_multicast
    return False


def _name(address: bytes) -> str:
    """The interface that a sockaddr_dl names: length, family, index (2), type, name's length, two more, the name."""
    if len(address) < 8 or address[1] != _AF_LINK:
        return ""
    return address[8 : 8 + address[5]].decode("ascii", "replace")


def _pick(data: bytes, present: int, wanted: int) -> bytes:
    return next((address for which, address in _addresses(data, present) if which == wanted), b"")


def _addresses(data: bytes, present: int) -> Iterator[tuple[int, bytes]]:
    """(RTAX index, sockaddr) for each bit of `present`; each begins at a multiple of four bytes, an empty one is four."""
    for which in range(8):
        if present & 1 << which and data:
            length = data[0]
            yield which, data[:length]
            data = data[max(4, (length + 3) & ~3) :]
