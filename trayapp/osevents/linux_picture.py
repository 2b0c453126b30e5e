"""The picture of the network on Linux: /proc for routes and IPv6, one netlink question for IPv4, and no process started.

Everything is read in the network namespace of this process, unprivileged, in well under a millisecond. The parsers take
text or bytes and are pure; only the functions at the end touch the system. Formats: proc(5), Documentation/networking
of the kernel, rtnetlink(7).
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from trayapp.osevents.network import Picture, noisy

PROC = Path("/proc/net")
RESOLVER = Path("/etc/resolv.conf")

_RTF_UP, _RTF_REJECT = 0x0001, 0x0200  # linux/route.h
_IFA_F_USELESS = 0x01 | 0x08 | 0x20 | 0x40  # temporary (RFC 8981), failed its check, deprecated, still being checked
_SCOPE_GLOBAL = 0  # both in if_inet6 and in ifaddrmsg; it includes private and unique local addresses
_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_ERROR, _NLMSG_DONE = 20, 22, 2, 3
_NLM_F_DUMP = 0x0001 | 0x0300  # request, root and match
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER, _IFADDRMSG, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBI"), struct.Struct("=HH")
_NETLINK_TIME = 2.0  # s; the kernel answers at once or never


def ways4(text: str) -> list[tuple[str, str]]:
    """(interface, gateway) of the default routes in `/proc/net/route`.

    A prefix of one bit counts too: some VPNs lay two halves of the address space over the old default route.
    """
    found = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 8:
            continue
        interface, gateway, flags, mask = columns[0], columns[2], int(columns[3], 16), int(columns[7], 16)
        up = flags & _RTF_UP and not flags & _RTF_REJECT
        if up and interface != "lo" and mask.bit_count() <= 1:
            # Written as the kernel holds it in memory, read as a number of this machine.
            found.append((interface, socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))))
    return sorted(set(found))


def ways6(text: str) -> list[tuple[str, str]]:
    """(interface, gateway) of the default routes in `/proc/net/ipv6_route`."""
    found = []
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 10:
            continue
        prefix, gateway, flags, interface = int(columns[1], 16), columns[4], int(columns[8], 16), columns[9]
        source_any = int(columns[3], 16) == 0
        up = flags & _RTF_UP and not flags & _RTF_REJECT
        multicast = columns[0].startswith("ff")
        if up and source_any and not multicast and interface != "lo" and prefix <= 1:
            found.append((interface, str(ipaddress.IPv6Address(bytes.fromhex(gateway)))))
    return sorted(set(found))


def addresses6(text: str, ways: Iterable[str] = ()) -> list[str]:
    """Global, lasting addresses in `/proc/net/if_inet6`. `ways` are interfaces that are no noise: they lead out."""
    out = set(ways)
    found = []
    for line in text.splitlines():
        columns = line.split()
        if len(columns) != 6:
            continue
        address, _, prefix, scope, flags, interface = columns
        useful = int(scope, 16) == _SCOPE_GLOBAL and not int(flags, 16) & _IFA_F_USELESS
        if useful and (interface in out or not noisy(interface)):
            found.append(f"{interface} {ipaddress.IPv6Address(bytes.fromhex(address))}/{int(prefix, 16)}")
    return sorted(set(found))


def addresses4(messages: Iterable[tuple[str, bytes]], ways: Iterable[str] = ()) -> list[str]:
    """Global addresses from whole RTM_NEWADDR payloads, each with its interface's name; `ways` as above."""
    out = set(ways)
    found = []
    for interface, payload in messages:
        _, prefix, _, scope, _ = _IFADDRMSG.unpack_from(payload)
        attributes = dict(_attributes(payload[_IFADDRMSG.size :]))
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)  # they differ on point-to-point links
        if address is None or len(address) != 4 or scope != _SCOPE_GLOBAL:
            continue
        known = ipaddress.IPv4Address(address)
        if not known.is_link_local and not known.is_loopback and (interface in out or not noisy(interface)):
            found.append(f"{interface} {known}/{prefix}")
    return sorted(set(found))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of the netlink messages in one datagram; a damaged rest is left out."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size or length > len(data):
            return
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size or length > len(data):
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def resolver(text: bytes) -> str:
    """A digest of what resolv.conf says. Not its time: every renewed lease writes the same text again."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith((b"#", b";")))
    said = b"\n".join(b" ".join(words) for words in lines if words)
    return hashlib.sha256(said).hexdigest()[:12] if said else ""


def read() -> Picture:
    """The network now. Raises `OSError` if the system does not say; a kernel without IPv6 is no error."""
    routes4, routes6 = ways4((PROC / "route").read_text()), ways6(_optional(PROC / "ipv6_route").decode())
    inet6 = _optional(PROC / "if_inet6").decode()
    return Picture(
        ways4=_joined(routes4),
        ways6=_joined(routes6),
        addresses4=tuple(addresses4(_ask_addresses4(), (way for way, _ in routes4))),
        addresses6=tuple(addresses6(inet6, (way for way, _ in routes6))),
        resolver=resolver(_optional(RESOLVER)),
    )


def _joined(ways: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{interface} {gateway}" for interface, gateway in ways)


def _optional(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _ask_addresses4() -> list[tuple[str, bytes]]:
    """Every IPv4 address by RTM_GETADDR, as (name of its interface, payload of RTM_NEWADDR)."""
    if sys.platform != "linux":
        raise OSError("netlink is Linux's")
    size = _HEADER.size + _IFADDRMSG.size
    request = _HEADER.pack(size, _RTM_GETADDR, _NLM_F_DUMP, 1, 0) + _IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0)
    found: list[tuple[str, bytes]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_NETLINK_TIME)
        kernel.bind((0, 0))
        kernel.send(request)
        while True:
            for kind, payload in messages(kernel.recv(65536)):
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR:
                    raise OSError("the kernel refused to list its addresses")
                if kind == _RTM_NEWADDR and len(payload) >= _IFADDRMSG.size:
                    found.append((_interface(payload), payload))


def _interface(payload: bytes) -> str:
    index = _IFADDRMSG.unpack_from(payload)[4]
    try:
        return socket.if_indextoname(index)
    except OSError:  # it went away in between; the next picture will not have it
        return f"#{index}"
