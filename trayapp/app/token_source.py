"""The engine as the proxy sees it: implements `proxy.forwarding.TokenSource`, on the engine's loop."""

from __future__ import annotations

import hashlib
import json

from trayapp.core import deadlines, view
from trayapp.core.messages import Accepted, PermissionNeeded, Rejected
from trayapp.core.model import ACCOUNT, AccessToken, Phase, Spec, Workload
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Unavailable, WorkloadView
from trayapp.engine.callers import Callers
from trayapp.engine.ports import CallerHost


class EngineTokenSource:
    """Asks for tokens, and reports what the upstream thought of them."""

    def __init__(self, engine: CallerHost, callers: Callers) -> None:
        self._engine = engine
        self._callers = callers
        self._accounts: dict[str, tuple[tuple[str, ...], str]] = {}  # whose login each workload has, and its digest

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured; None if there is none of that name. An account is none: it has no address."""
        found = self._engine.workloads.get(name)
        return None if found is None or found.spec.kind == ACCOUNT else found.spec

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

    def rejected(self, name: str, serial: int, code: str) -> Unavailable | None:
        """The upstream answered 401 to the token with this serial number (M8, M18). If the login can't be renewed, there
        is no other token, so it stays in use until a second request confirms that (RULES.md section 6)."""
        self._engine.apply(name, Rejected(self._engine.now(), serial, code))
        w = self._current(name, serial)
        if w is None or not deadlines.access_only(w) or w.phase is not Phase.VALID:
            return None
        return view.doubted(w, self._view(w))

    def lacks(self, name: str, serial: int, needs: Needs) -> Unavailable | None:
        """The upstream wants more than the token with this serial number grants (RULES.md section 7)."""
        w = self._current(name, serial)
        if w is None or w.access is None:
            return None
        needs = needs.without(w.access.value.reveal())  # what is asked for will be shown
        self._engine.apply(name, PermissionNeeded(self._engine.now(), serial, needs))
        return view.not_permitted(w, self._view(w), needs)

    def _current(self, name: str, serial: int) -> Workload | None:
        """The workload, if this is still its token."""
        found = self._engine.workloads.get(name)
        return found if found is not None and found.access is not None and found.access.serial == serial else None

    def _view(self, w: Workload) -> WorkloadView:
        return self._engine.view_of(w.spec.name) or view.derive(w, self._engine.gate, self._engine.now())

    def accepted(self, name: str) -> None:
        """The upstream answered 2xx. That matters only where it had rejected tokens before (M18)."""
        found = self._engine.workloads.get(name)
        if found is not None and found.strikes:
            self._engine.apply(name, Accepted(self._engine.now()))
