"""Another program on a port."""

from __future__ import annotations

import socket


def take(port: int) -> socket.socket:
    """Listen on this port. Raises `OSError` if somebody else does.

    By the option, also in Wine: without it, Linux refuses a port whose connections have just ended.
    """
    taken = socket.socket()
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
    except OSError:
        taken.close()
        raise
    return taken
