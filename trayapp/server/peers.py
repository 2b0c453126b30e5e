"""Whose a loopback connection is, as the Linux kernel tells it: asked once, when the connection is accepted.

Every user of the machine can connect to 127.0.0.1, and so can read a page's address from a browser's command line with
`ps`, or take all the connections there are. Where the kernel says whose a connection is, neither does harm (SECURITY.md
25): another user's connection is closed, unless the setting `allowed_users` names that user. An owner the kernel doesn't
know sits in another network namespace, such as a container's.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Collection
from enum import Enum

from aiohttp import web

from trayapp.system import sock_diag
from trayapp.system.sock_diag import Address, SockDiag

ROOT = 0  # may do everything anyway; WSL forwards Windows' connections as root

log = logging.getLogger(__name__)


class Owner(Enum):
    """Whose the other end of a connection is. Only the first may use the dashboard and the API."""

    OWN = "own"  # this user's or root's; everybody's where the system doesn't say
    ALLOWED = "allowed"  # of a user whom `allowed_users` names
    FOREIGN = "foreign"
    UNKNOWN = "unknown"  # another network namespace, or closed already


def is_supported() -> bool:
    """Whether this system says whose a connection is."""
    return sock_diag.is_supported()


class Peers:
    """Tells the owners of connections, from creation to `close`. `allowed` gives the user ids that may connect too."""

    def __init__(self, allowed: Callable[[], Collection[int]] = lambda: ()) -> None:
        self._allowed = allowed
        self._kernel = SockDiag() if is_supported() else None
        if self._kernel is None and sys.platform == "linux":
            log.info("this system does not say who owns a connection: other users may connect, and need a key")

    def close(self) -> None:
        """Ask no more."""
        if self._kernel is not None:
            self._kernel.close()

    def owner(self, peer: Address, own: Address) -> tuple[Owner, int | None]:
        """Whose `peer`, the other end of a connection to our `own` address, is; with the user id if the kernel said."""
        if self._kernel is None:
            return Owner.OWN, None
        try:
            user = self._kernel.user_id(peer, own)
        except OSError:
            user = None
        if user is None:
            return Owner.UNKNOWN, None
        if user in (os.geteuid(), ROOT):
            return Owner.OWN, user
        return (Owner.ALLOWED if user in self._allowed() else Owner.FOREIGN), user


def owner_of(request: web.Request) -> Owner:
    """Whose the connection of a request is; unknown if it has ended."""
    return getattr(request.protocol, "owner", Owner.UNKNOWN)
