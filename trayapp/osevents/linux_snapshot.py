"""Network snapshots on Linux: /proc for routes and IPv6, netlink for links and IPv4; no process is started.

Routes and addresses stay in place when the cable is pulled or the Wi-Fi is out of reach, so those of an interface
without carrier do not count.

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
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from trayapp.osevents.network import NetworkSnapshot, is_noise

PROC = Path("/proc/net")
RESOLVER = Path("/etc/resolv.conf")

_RTF_UP, _RTF_REJECT = 0x0001, 0x0200  # linux/route.h
_IFA_F_USELESS = 0x01 | 0x08 | 0x20 | 0x40  # temporary (RFC 8981), failed its check, deprecated, still being checked
_SCOPE_GLOBAL = 0  # both in if_inet6 and in ifaddrmsg; it includes private and unique local addresses
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR, _NLMSG_ERROR, _NLMSG_DONE = 16, 18, 20, 22, 2, 3
_NLM_F_DUMP = 0x0001 | 0x0300  # request, root and match
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFLA_IFNAME, _IFLA_EXT_MASK, _SKIP_STATISTICS = 3, 29, 0x8
_CARRIER = 0x40 | 0x10000  # IFF_RUNNING and IFF_LOWER_UP: the link is up and (Wi-Fi) authenticated
_HEADER, _IFADDRMSG, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBI"), struct.Struct("=HH")
_IFINFOMSG = struct.Struct("=BxHiII")
_NETLINK_TIME = 2.0  # s; the kernel answers immediately or never


def default_routes4(text: str) -> list[tuple[str, str]]:
    """(interface, gateway) of the default routes in `/proc/net/route`.

    A prefix of one bit counts too: some VPNs cover the default route with two routes of half the address space each.
    """
    found = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 8:
            continue
        interface, gateway, flags, mask = columns[0], columns[2], int(columns[3], 16), int(columns[7], 16)
        up = flags & _RTF_UP and not flags & _RTF_REJECT
        if up and interface != "lo" and mask.bit_count() <= 1:
            # The kernel prints the four bytes as one integer in the machine's own byte order.
            found.append((interface, socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))))
    return sorted(set(found))


def default_routes6(text: str) -> list[tuple[str, str]]:
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


def addresses6(text: str, uplinks: Iterable[str] = ()) -> list[str]:
    """Global, lasting addresses in `/proc/net/if_inet6`.

    `uplinks` names the interfaces with a default route; they count whatever they are called.
    """
    leading_out = set(uplinks)
    found = []
    for line in text.splitlines():
        columns = line.split()
        if len(columns) != 6:
            continue
        address, _, prefix, scope, flags, interface = columns
        useful = int(scope, 16) == _SCOPE_GLOBAL and not int(flags, 16) & _IFA_F_USELESS
        if useful and (interface in leading_out or not is_noise(interface)):
            found.append(f"{interface} {ipaddress.IPv6Address(bytes.fromhex(address))}/{int(prefix, 16)}")
    return sorted(set(found))


def addresses4(messages: Iterable[tuple[str, bytes]], uplinks: Iterable[str] = ()) -> list[str]:
    """Global addresses from whole RTM_NEWADDR payloads, each with its interface's name; `uplinks` as in `addresses6`."""
    leading_out = set(uplinks)
    found = []
    for interface, payload in messages:
        _, prefix, _, scope, _ = _IFADDRMSG.unpack_from(payload)
        attributes = dict(_attributes(payload[_IFADDRMSG.size :]))
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)  # they differ on point-to-point links
        if address is None or len(address) != 4 or scope != _SCOPE_GLOBAL:
            continue
        ip = ipaddress.IPv4Address(address)
        if not ip.is_link_local and not ip.is_loopback and (interface in leading_out or not is_noise(interface)):
            found.append(f"{interface} {ip}/{prefix}")
    return sorted(set(found))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of the netlink messages in one datagram; a damaged tail is ignored."""
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


def resolver_digest(text: bytes) -> str:
    """A digest of what resolv.conf says, 12 hex digits or empty.

    Not of its modification time: every renewed lease writes the same text again.
    """
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith((b"#", b";")))
    relevant = b"\n".join(b" ".join(words) for words in lines if words)
    return hashlib.sha256(relevant).hexdigest()[:12] if relevant else ""


def links(payloads: Iterable[bytes]) -> dict[int, tuple[str, bool]]:
    """Interface index → (name, whether it has carrier), from RTM_NEWLINK payloads."""
    found = {}
    for payload in payloads:
        _, _, index, flags, _ = _IFINFOMSG.unpack_from(payload)
        name = dict(_attributes(payload[_IFINFOMSG.size :])).get(_IFLA_IFNAME, b"").rstrip(b"\0")
        found[index] = (name.decode("utf-8", "surrogateescape"), flags & _CARRIER == _CARRIER)
    return found


def read_kernel_tables() -> NetworkSnapshot:
    """The network now. Raises `OSError` if the kernel refuses or stays silent; a kernel without IPv6 is no error."""
    interfaces = links(_dump(_RTM_GETLINK, _RTM_NEWLINK, _LINK_REQUEST))
    with_carrier = {name for name, carrier in interfaces.values() if carrier}
    routes4 = _with_carrier(default_routes4((PROC / "route").read_text()), with_carrier)
    routes6 = _with_carrier(default_routes6(_read_optional(PROC / "ipv6_route").decode()), with_carrier)
    found4 = [
        (interfaces.get(_interface_index(payload), ("", False))[0], payload) for payload in _dump(*_ADDRESS_REQUEST)
    ]
    found6 = addresses6(_read_optional(PROC / "if_inet6").decode(), (interface for interface, _ in routes6))
    return NetworkSnapshot(
        routes4=_as_text(routes4),
        routes6=_as_text(routes6),
        addresses4=tuple(
            addresses4(((n, p) for n, p in found4 if n in with_carrier), (interface for interface, _ in routes4))
        ),
        addresses6=tuple(address for address in found6 if address.partition(" ")[0] in with_carrier),
        resolver=resolver_digest(_read_optional(RESOLVER)),
    )


def _with_carrier(routes: Iterable[tuple[str, str]], with_carrier: Collection[str]) -> list[tuple[str, str]]:
    return [(interface, gateway) for interface, gateway in routes if interface in with_carrier]


def _as_text(routes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{interface} {gateway}" for interface, gateway in routes)


def _read_optional(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


_LINK_REQUEST = (
    _IFINFOMSG.pack(0, 0, 0, 0, 0) + _ATTRIBUTE.pack(8, _IFLA_EXT_MASK) + struct.pack("=I", _SKIP_STATISTICS)
)
_ADDRESS_REQUEST = (_RTM_GETADDR, _RTM_NEWADDR, _IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0))


def _dump(request_type: int, reply_type: int, body: bytes) -> list[bytes]:
    """The payloads of type `reply_type` in the kernel's answer to a dump request. Raises `OSError`."""
    if sys.platform != "linux":
        raise OSError("netlink is Linux's")
    request = _HEADER.pack(_HEADER.size + len(body), request_type, _NLM_F_DUMP, 1, 0) + body
    size = _IFINFOMSG.size if reply_type == _RTM_NEWLINK else _IFADDRMSG.size
    found: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_NETLINK_TIME)
        kernel.bind((0, 0))
        kernel.send(request)
        while True:
            for kind, payload in messages(kernel.recv(65536)):
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR:
                    raise OSError("the kernel refused to list its interfaces or addresses")
                if kind == reply_type and len(payload) >= size:
                    found.append(payload)


def _interface_index(payload: bytes) -> int:
    """The interface index in an RTM_NEWADDR payload."""
    return int(_IFADDRMSG.unpack_from(payload)[4])
