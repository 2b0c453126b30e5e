"""What the proxy may ask of the engine (`proxy.proxy.EngineTokenSource`), and the two things that it tells it. On the engine's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trayapp.core.messages import Accepted, Rejected
from trayapp.core.model import AccessToken, Spec
from trayapp.core.snapshot import Unavailable

if TYPE_CHECKING:
    from trayapp.engine.engine import Engine


class EngineTokenSource:
    """The engine as the proxy sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured."""
        return self._engine.spec(name)

    async def token(self, name: str) -> AccessToken | Unavailable:
        """M15."""
        return await self._engine.callers.token(name, 0.0)

    def peek(self, name: str) -> AccessToken | Unavailable:
        """What is known now."""
        return self._engine.callers.peek(name)

    def rejected(self, name: str, serial: int) -> None:
        """The upstream answered 401."""
        self._engine.apply(name, Rejected(self._engine.now(), serial))

    def accepted(self, name: str) -> None:
        """The upstream answered 2xx. It is news only where it had rejected tokens before."""
        found = self._engine.workloads.get(name)
        if found is not None and found.strikes:
            self._engine.apply(name, Accepted(self._engine.now()))
