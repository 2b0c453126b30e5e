"""What clients say of the servers in their own files: the command of each that lists them."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.real import node
from tests.real.clients.process import Process, environment

LIMIT = 120.0  # s; some of them ask servers that don't answer, first
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
SYSTEM = f"{sys.platform}-{CPU}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One client and its command. `before` is what its file says at first, as the client itself or a person writes it."""

    client: str  # its name in our table
    command: tuple[str, ...]  # {packages}; {node} before a script
    shows: str  # a pattern that the list matches only with the server in it, and reached if the client tries
    before: str
    env: tuple[tuple[str, str], ...] = ()


NODE = "{node}"
LISTINGS = (
    Listing(
        "claude-code",
        (f"{{packages}}/@anthropic-ai/claude-code-{SYSTEM}/claude", "mcp", "list"),
        r"lab: .*Connected",
        '{\n  "numStartups": 1,\n  "mcpServers": {\n    "own": {\n      "type": "stdio",\n      "command": "false",\n'
        '      "args": []\n    }\n  }\n}',
        env=(("DISABLE_AUTOUPDATER", "1"), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")),
    ),
    Listing(
        "codex",
        (NODE, "{packages}/@openai/codex/bin/codex.js", "mcp", "list"),
        r"lab +.*enabled",
        '# mine\nmodel = "x"\n\n[mcp_servers.own]\ncommand = "false" # keep\n',
    ),
    Listing(
        "gemini-cli",
        (NODE, "{packages}/@google/gemini-cli/bundle/gemini.js", "mcp", "list"),
        r"lab: .*Connected",
        '{\n  // mine\n  "security": { "folderTrust": { "enabled": false } },\n  "privacy": { "usageStatisticsEnabled": false }\n}\n',
        env=(("GEMINI_CLI_TRUST_WORKSPACE", "true"), ("GEMINI_CLI_NO_RELAUNCH", "true")),
    ),
    Listing(
        "qwen-code",
        (NODE, "{packages}/@qwen-code/qwen-code/cli.js", "mcp", "list"),
        r"lab: .*Connected",
        '{\n  "privacy": { "usageStatisticsEnabled": false } // mine\n}\n',
    ),
    Listing(
        "opencode",
        (f"{{packages}}/opencode-{SYSTEM}/bin/opencode", "mcp", "list"),
        r"lab.*connected",
        '{\n  "$schema": "https://opencode.ai/config.json",\n  "autoupdate": false,\n}\n',
        env=tuple(
            (f"OPENCODE_DISABLE_{name}", "1")
            for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
        ),
    ),
    Listing(
        "copilot-cli",
        (f"{{packages}}/@github/copilot-{SYSTEM}/copilot", "mcp", "list"),
        r"lab \((?:http|local)\)",
        '{\n  "mcpServers": {}\n}\n',
    ),
    Listing(
        "amp",
        (f"{{packages}}/@ampcode/cli-{SYSTEM}/amp", "mcp", "list"),
        r"lab",
        '{\n  "amp.showCosts": false\n}\n',
    ),
    Listing(
        "cline-cli",
        (NODE, str(Path(__file__).with_name("cline_list.mjs")), "{packages}"),
        r"lab: connected, .*echo",
        '{\n  "mcpServers": {}\n}',
    ),
)


def shown(listing: Listing, packages: Path, home: Path) -> str:
    """What the client prints, without colours."""
    words = {"packages": str(packages / "node_modules"), "node": str(node.node())}
    env = environment(home) | dict(listing.env)
    process = Process([word.format(**words) for word in listing.command], env, home / "work")
    process.finish(LIMIT)
    said = process.whole()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", str(said.get("text", said)))
