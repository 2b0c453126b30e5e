"""Client settings: the JSON to paste into another program so that it uses a workload through the proxy.

Each program has its own keys for the same three things: a name, a URL and a header with the local key. Claude Code
(`.mcp.json`, `claude mcp add-json`): `mcpServers`, `type` http. Cursor (`mcp.json`): `mcpServers`, remote if there is a
`url`. VS Code (`.vscode/mcp.json`): `servers`, `type` http. `json` is for all others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from trayapp.core.model import Secret


class Program(StrEnum):
    """The program that reads the settings."""

    CLAUDE = "claude"
    CURSOR = "cursor"
    VSCODE = "vscode"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """How a client on this machine reaches a workload."""

    name: str
    url: str  # of the proxy
    key: Secret | None  # None if the workload needs none
    lasting: bool = True  # False: the URL changes with the next start

    def headers(self) -> dict[str, str]:
        """The headers a client must send; they contain the local key."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key.reveal()}"}


def settings_text(access: ClientAccess, program: Program) -> str:
    """The text to paste; it contains the local key."""
    entry: dict[str, object] = {"type": "http", "url": access.url}
    if headers := access.headers():
        entry["headers"] = headers
    whole: dict[str, object]
    match program:
        case Program.CLAUDE:
            whole = {"mcpServers": {access.name: entry}}
        case Program.CURSOR:
            del entry["type"]  # Cursor tells local from remote by the url
            whole = {"mcpServers": {access.name: entry}}
        case Program.VSCODE:
            whole = {"servers": {access.name: entry}}
        case Program.JSON:
            whole = {"name": access.name, **entry, "headers": access.headers()}
        case _:
            assert_never(program)
    return json.dumps(whole, indent=2)
