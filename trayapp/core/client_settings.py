"""How a client on this machine reaches a workload. What each client writes of it is in `clients/`."""

from __future__ import annotations

from dataclasses import dataclass

from trayapp.core.model import Secret


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """How a client on this machine reaches a workload."""

    name: str
    url: str  # of the proxy
    key: Secret | None  # None if the workload needs none
    lasting: bool = True  # False: the URL changes with the next start
    sse: bool = False  # the server speaks HTTP with SSE (MCP 2024-11-05), and so the proxy does
    command: tuple[str, ...] = (
        "amberlight",
        "stdio",
        "--all",
    )  # the program and arguments that serve it over stdio, without a key

    def headers(self) -> dict[str, str]:
        """The headers a client must send; they contain the local key."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key.reveal()}"}
