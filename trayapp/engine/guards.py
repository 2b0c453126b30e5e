"""Calls of adapters that must not raise: whatever goes wrong is logged, and comes back as a value (M13)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from trayapp.core.model import Login, Trouble
from trayapp.engine.ports import TokenEndpoint

log = logging.getLogger(__name__)

T = TypeVar("T")


async def from_keyring(what: str, work: Awaitable[T]) -> T | Trouble:
    """What the keyring answers. No time limit here: the keystore's own thread enforces one."""
    try:
        return await work
    except Exception:
        log.exception("%s failed", what)
        return Trouble.FAILED


async def revoked(tokens: TokenEndpoint, login: Login) -> bool:
    """One revocation request (RFC 7009); whether the server confirmed it."""
    try:
        return await tokens.revoke(login)
    except Exception:
        log.exception("revoking failed unexpectedly")
        return False
