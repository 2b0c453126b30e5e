"""Loopback sockets of a redirect address: bound before anybody learns the port (RFC 8252 section 8.3).

`localhost` may mean either loopback address to a browser, so where a server insists on that name both are ours, or
another program would get the codes that the browser sends to the other one.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

TRIES = 10  # free ports tried until one is free in IPv4 and IPv6
TAKEN = (errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", 0), getattr(errno, "WSAEACCES", 0))


@dataclass(frozen=True, slots=True)
class LoopbackSockets:
    """Bound sockets on one port: 127.0.0.1, and ::1 if the address says `localhost` and the machine has IPv6."""

    ipv4: socket.socket
    ipv6: socket.socket | None = None
    localhost: bool = True  # nobody else listens at what `localhost` means

    @property
    def port(self) -> int:
        return int(self.ipv4.getsockname()[1])

    def only_ipv4(self) -> LoopbackSockets:
        """Give up ::1, which an address with 127.0.0.1 doesn't need."""
        if self.ipv6 is not None:
            self.ipv6.close()
        return LoopbackSockets(self.ipv4)

    def close(self) -> None:
        self.only_ipv4().ipv4.close()


def bind(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1; port 0 lets the system choose. Raises OSError if the port is taken."""
    return _bound(socket.AF_INET, "127.0.0.1", port)


def bind_both(port: int) -> LoopbackSockets:
    """The same for 127.0.0.1 and ::1, or without ::1 where the machine has no IPv6. Raises OSError if either is taken;
    with port 0 after some tries."""
    for last in range(TRIES if port == 0 else 1)[::-1]:
        ipv4 = bind(port)
        try:
            return LoopbackSockets(ipv4, _bound(socket.AF_INET6, "::1", ipv4.getsockname()[1]))
        except OSError as exc:
            if exc.errno not in TAKEN:
                return LoopbackSockets(ipv4)
            ipv4.close()
            if not last:
                raise
    raise AssertionError


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # a fixed port must be free again immediately after the previous attempt
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:  # on Windows that option would let another program share the port; this one forbids it
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
