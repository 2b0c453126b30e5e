"""The engine as the proxy sees it: implements `proxy.forwarding.TokenSource`, on the engine's loop."""

from __future__ import annotations

import hashlib
import json

from trayapp.core.messages import Accepted, Rejected
from trayapp.core.model import AccessToken, Spec
from trayapp.core.snapshot import Unavailable
from trayapp.engine.callers import Callers
from trayapp.engine.ports import EngineCore


class EngineTokenSource:
    """Asks for tokens, and reports what the upstream thought of them."""

    def __init__(self, engine: EngineCore, callers: Callers) -> None:
        self._engine = engine
        self._callers = callers
        self._accounts: dict[str, tuple[tuple[str, ...], str]] = {}  # whose login each workload has, and its digest

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured; None if there is none of that name."""
        found = self._engine.workloads.get(name)
        return None if found is None else found.spec

    async def token(self, name: str, *, counts: bool = True) -> AccessToken | Unavailable:
        """A usable token, or why there is none, after at most `hot_wait` seconds (M15)."""
        return await self._callers.token(name, 0.0, counts=counts)

    def peek(self, name: str) -> AccessToken | Unavailable:
        """The same from what is known now, without waiting."""
        return self._callers.peek(name)

    def account(self, name: str) -> str | None:
        """A digest of whose login it is, at which server and for what; None while no login is known."""
        found = self._engine.workloads.get(name)
        if found is None or (login := found.login) is None:
            self._accounts.pop(name, None)
            return None
        who = (found.spec.url, login.issuer, login.client_id, login.subject or login.lineage, login.scope)
        known = self._accounts.get(name)
        if known is None or known[0] != who:  # every MCP request asks, and digests are dear
            known = self._accounts[name] = who, hashlib.sha256(json.dumps(who).encode()).hexdigest()[:32]
        return known[1]

    def rejected(self, name: str, serial: int) -> None:
        """The upstream answered 401 to the token with this serial number (M8, M18)."""
        self._engine.apply(name, Rejected(self._engine.now(), serial))

    def accepted(self, name: str) -> None:
        """The upstream answered 2xx. That matters only where it had rejected tokens before (M18)."""
        found = self._engine.workloads.get(name)
        if found is not None and found.strikes:
            self._engine.apply(name, Accepted(self._engine.now()))
