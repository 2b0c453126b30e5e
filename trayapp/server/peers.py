"""Which user is behind a loopback connection, as the Linux kernel tells it.

A browser gets a page's address on its command line, which every user of the machine can read with `ps`. Where the
kernel says whose a connection is, that does no harm: another user who read a link there is refused (SECURITY.md 25).
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")  # the second lists IPv6 sockets that connect by IPv4
ESTABLISHED = "01"  # in any other state a socket may be orphaned, and the kernel has forgotten its user
ROOT = 0  # may do everything anyway; WSL forwards Windows' connections as root

Address = tuple[str, int]


def is_supported() -> bool:
    """Whether this system says whose a connection is."""
    return sys.platform == "linux" and os.access(TABLES[0], os.R_OK)


def is_own(peer: Address, own: Address) -> bool:
    """Whether `peer`, the other end of a connection to our `own` address, belongs to this user or to root.

    Both are IPv4. True where the system doesn't say; False where it does and knows no such connection.
    """
    return not is_supported() or user_id(peer, own) in (os.getuid(), ROOT)


def user_id(peer: Address, own: Address) -> int | None:
    """The user id behind `peer`; None if there is no such connection. Takes about a millisecond."""
    for table, format_entry in zip(TABLES, (_ipv4_entry, _ipv6_entry), strict=True):
        wanted = [format_entry(peer), format_entry(own), ESTABLISHED]
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            fields = line.split()
            if fields[1:4] == wanted:
                return int(fields[7])
    return None


def _ipv4_entry(address: Address) -> str:
    host, port = address
    return f"{_hex(socket.inet_aton(host))}:{port:04X}"


def _ipv6_entry(address: Address) -> str:
    host, port = address
    words = (bytes(4), bytes(4), b"\0\0\xff\xff", socket.inet_aton(host))
    return f"{''.join(map(_hex, words))}:{port:04X}"


def _hex(four: bytes) -> str:
    """Four bytes in network order as the kernel prints them: one number in this machine's byte order."""
    return f"{int.from_bytes(four, sys.byteorder):08X}"
