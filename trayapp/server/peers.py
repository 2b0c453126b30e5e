"""Whose connection this is: on Linux the kernel says to which user the other end of a loopback connection belongs.

A browser gets the address of a page on its command line, which every user of the machine can read (`ps`). Where the
kernel tells whose a connection is, that does no harm: a link that somebody else read there is refused to him.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")  # the second holds who speaks IPv4 through an IPv6 socket
ESTABLISHED = "01"  # any other state may be an orphan, of which the kernel no longer knows whose it was
ROOT = 0  # may do everything anyway; WSL forwards the connections of Windows as root

Address = tuple[str, int]


def tells() -> bool:
    """Whether this system says whose a connection is."""
    return sys.platform == "linux" and os.access(TABLES[0], os.R_OK)


def is_own(peer: Address, own: Address) -> bool:
    """Whether `peer`, the other end of a connection to our `own` address, is this user's (or root's).

    Both are IPv4. True where the system does not say; False where it does and knows no such connection.
    """
    return not tells() or owner(peer, own) in (os.getuid(), ROOT)


def owner(peer: Address, own: Address) -> int | None:
    """The user id behind `peer`; None if there is no such connection. Takes about a millisecond."""
    for table, write in zip(TABLES, (_v4, _v6), strict=True):
        wanted = [write(peer), write(own), ESTABLISHED]
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            fields = line.split()
            if fields[1:4] == wanted:
                return int(fields[7])
    return None


def _v4(address: Address) -> str:
    host, port = address
    return f"{_word(socket.inet_aton(host))}:{port:04X}"


def _v6(address: Address) -> str:
    host, port = address
    words = (bytes(4), bytes(4), b"\0\0\xff\xff", socket.inet_aton(host))
    return f"{''.join(map(_word, words))}:{port:04X}"


def _word(four: bytes) -> str:
    """Four bytes of the network as the kernel prints them: one number in the order of this machine."""
    return f"{int.from_bytes(four, sys.byteorder):08X}"
