"""The table of clients: where each keeps its MCP servers on each system, and how it writes one. A client is one row.

Facts come from the clients' own documentation or from the clients themselves; docs/clients.md says which of them were
tried with the real program. In a place, `~` is the home directory, and a variable of the environment that moves the
directory is in braces with its default: `{CODEX_HOME:~/.codex}`. `%APPDATA%` and `%LOCALAPPDATA%` are Windows' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Field = tuple[str, ...]  # keys from an entry down to a value


class Syntax(StrEnum):
    """How a client's file is written. JSON files are read with comments, whether or not the client allows them."""

    JSON = "json"
    TOML = "toml"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Command:
    """How an entry names a program to start: its fields, and what else such an entry says."""

    program: Field = ("command",)
    arguments: Field | None = ("args",)  # None: `program` holds a list of program and arguments
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `name` is what commands call it, `title` what people do."""

    name: str
    title: str
    linux: tuple[str, ...]  # files, the newest place first: the first that exists counts
    servers: Field  # keys down to the servers
    darwin: tuple[str, ...] | None = None  # None: as on Linux
    windows: tuple[str, ...] | None = None
    syntax: Syntax = Syntax.JSON
    listed: bool = False  # the servers are a list of entries that have a `name`, not a table by name
    url: Field | None = ("url",)  # None: it starts programs and nothing else
    sse_url: Field | None = None  # where the address of an SSE server stands elsewhere
    kind: Field | None = ("type",)
    http: str | None = "http"  # value of `kind` for streamable HTTP; None: the field is left out
    sse: str | None = "sse"  # the same for SSE; None with `speaks_sse` False: it can't
    speaks_sse: bool = True
    headers: Field = ("headers",)
    more: Mapping[str, Any] = field(
        default_factory=dict
    )  # what else an entry with an address says; `NAME` stands for its name
    command: Command = field(default_factory=Command)
    programs: tuple[str, ...] = ()  # on the PATH of whoever has it installed
    folder: str | None = None  # exists where it is installed; None: the folder of the first file
    project: str | None = None  # file within a project
    restart: str = ""  # what to do so that it notices: an imperative; empty: nothing
    rewrites: bool = False  # it writes its file while it runs
    refusals: str | None = None  # file of servers that it leaves alone for a while (`refusals.py`)
    aliases: tuple[str, ...] = ()  # other names that `connect` takes

    def files(self, platform: str) -> tuple[str, ...]:
        """The places on `sys.platform`."""
        own = {"darwin": self.darwin, "win32": self.windows}.get(platform)
        return self.linux if own is None else own


def _code(folder: str, inner: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The places of a file below the user's data of an editor that descends from VS Code."""
    return (
        (f"{{XDG_CONFIG_HOME:~/.config}}/{folder}/User/{inner}",),
        (f"~/Library/Application Support/{folder}/User/{inner}",),
        (f"%APPDATA%/{folder}/User/{inner}",),
    )


def _editor(name: str, title: str, folder: str, inner: str, **facts: Any) -> Client:
    linux, darwin, windows = _code(folder, inner)
    return Client(name, title, linux=linux, darwin=darwin, windows=windows, **facts)


_STDIO = MappingProxyType({"type": "stdio"})
_CLINE = "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
_ROO = "globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"

TABLE: tuple[Client, ...] = (
    Client(
        "claude-code",
        "Claude Code",
        linux=("{CLAUDE_CONFIG_DIR:~}/.claude.json",),
        servers=("mcpServers",),
        command=Command(more=_STDIO),
        programs=("claude",),
        folder="~/.claude",
        project=".mcp.json",
        restart="Start a new session; an open one finds it with /mcp.",
        rewrites=True,
        refusals="{CLAUDE_CONFIG_DIR:~/.claude}/mcp-needs-auth-cache.json",
        aliases=("claude",),
    ),
    Client(
        "claude-desktop",
        "Claude Desktop",
        linux=("{XDG_CONFIG_HOME:~/.config}/Claude/claude_desktop_config.json",),
        darwin=("~/Library/Application Support/Claude/claude_desktop_config.json",),
        windows=("%APPDATA%/Claude/claude_desktop_config.json",),
        servers=("mcpServers",),
        url=None,
        restart="Quit Claude Desktop and start it again.",
        rewrites=True,
    ),
    Client(
        "codex",
        "Codex",
        linux=("{CODEX_HOME:~/.codex}/config.toml",),
        servers=("mcp_servers",),
        syntax=Syntax.TOML,
        kind=None,
        speaks_sse=False,
        headers=("http_headers",),
        programs=("codex",),
        restart="Start a new session.",
    ),
    Client(
        "cursor",
        "Cursor",
        linux=("~/.cursor/mcp.json",),
        servers=("mcpServers",),
        kind=None,
        programs=("cursor", "cursor-agent"),
        project=".cursor/mcp.json",
    ),
    _editor(
        "vscode",
        "VS Code",
        "Code",
        "mcp.json",
        servers=("servers",),
        command=Command(more=_STDIO),
        programs=("code",),
        project=".vscode/mcp.json",
        restart="Start the server in VS Code: MCP: List Servers.",
        aliases=("code",),
    ),
    _editor(
        "vscode-insiders",
        "VS Code Insiders",
        "Code - Insiders",
        "mcp.json",
        servers=("servers",),
        command=Command(more=_STDIO),
        programs=("code-insiders",),
        project=".vscode/mcp.json",
        restart="Start the server in VS Code: MCP: List Servers.",
    ),
    Client(
        "vscode-server",
        "VS Code Server",
        linux=("~/.vscode-server/data/User/mcp.json",),
        servers=("servers",),
        command=Command(more=_STDIO),
        folder="~/.vscode-server/data",
        restart="Start the server in VS Code: MCP: List Servers.",
    ),
    Client(
        "gemini-cli",
        "Gemini CLI",
        linux=("~/.gemini/settings.json",),
        servers=("mcpServers",),
        url=("httpUrl",),
        sse_url=("url",),
        kind=None,
        programs=("gemini",),
        project=".gemini/settings.json",
        restart="Start a new session.",
        aliases=("gemini",),
    ),
    Client(
        "qwen-code",
        "Qwen Code",
        linux=("~/.qwen/settings.json",),
        servers=("mcpServers",),
        url=("httpUrl",),
        sse_url=("url",),
        kind=None,
        programs=("qwen",),
        project=".qwen/settings.json",
        restart="Start a new session.",
        aliases=("qwen",),
    ),
    Client(
        "copilot-cli",
        "Copilot CLI",
        linux=("{COPILOT_HOME:~/.copilot}/mcp-config.json",),
        servers=("mcpServers",),
        more=MappingProxyType({"tools": ["*"]}),
        command=Command(more=MappingProxyType({"type": "local", "tools": ["*"]})),
        programs=("copilot",),
        restart="Start a new session.",
        aliases=("copilot",),
    ),
    Client(
        "opencode",
        "opencode",
        linux=(
            "{XDG_CONFIG_HOME:~/.config}/opencode/opencode.json",
            "{XDG_CONFIG_HOME:~/.config}/opencode/opencode.jsonc",
        ),
        darwin=("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc"),
        windows=("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc"),
        servers=("mcp",),
        http="remote",
        sse="remote",
        more=MappingProxyType({"enabled": True}),
        command=Command(arguments=None, more=MappingProxyType({"type": "local", "enabled": True})),
        programs=("opencode",),
        project="opencode.json",
        restart="Start a new session.",
    ),
    Client(
        "windsurf",
        "Windsurf",
        linux=("~/.codeium/windsurf/mcp_config.json",),
        servers=("mcpServers",),
        url=("serverUrl",),
        kind=None,
        programs=("windsurf",),
        restart="Refresh the servers in Cascade.",
    ),
    Client(
        "windsurf-jetbrains",
        "Windsurf for JetBrains",
        linux=("~/.codeium/mcp_config.json",),
        servers=("mcpServers",),
        url=("serverUrl",),
        kind=None,
        restart="Refresh the servers in Cascade.",
    ),
    _editor(
        "cline",
        "Cline",
        "Code",
        _CLINE,
        servers=("mcpServers",),
        http="streamableHttp",
    ),
    _editor(
        "cline-cursor",
        "Cline in Cursor",
        "Cursor",
        _CLINE,
        servers=("mcpServers",),
        http="streamableHttp",
    ),
    Client(
        "cline-cli",
        "Cline CLI",
        linux=("{CLINE_MCP_SETTINGS_PATH:~/.cline/data/settings/cline_mcp_settings.json}",),
        servers=("mcpServers",),
        url=("transport", "url"),
        kind=("transport", "type"),
        http="streamableHttp",
        headers=("transport", "headers"),
        command=Command(
            ("transport", "command"), ("transport", "args"), MappingProxyType({"transport": {"type": "stdio"}})
        ),
        programs=("cline",),
        folder="~/.cline/data",
        restart="Start a new task.",
    ),
    _editor(
        "roo-code",
        "Roo Code",
        "Code",
        _ROO,
        servers=("mcpServers",),
        http="streamable-http",
    ),
    Client(
        "amp",
        "Amp",
        linux=("{XDG_CONFIG_HOME:~/.config}/amp/settings.json",),
        darwin=("~/.config/amp/settings.json",),
        windows=("%APPDATA%/amp/settings.json",),
        servers=("amp.mcpServers",),
        kind=None,
        programs=("amp",),
        restart="Start a new thread.",
        aliases=("amp-cli",),
    ),
    Client(
        "lm-studio",
        "LM Studio",
        linux=("~/.lmstudio/mcp.json", "~/.cache/lm-studio/mcp.json"),
        servers=("mcpServers",),
        kind=None,
        programs=("lms",),
    ),
    Client(
        "goose",
        "Goose",
        linux=("{XDG_CONFIG_HOME:~/.config}/goose/config.yaml",),
        darwin=("~/.config/goose/config.yaml",),
        windows=("%APPDATA%/Block/goose/config/config.yaml",),
        servers=("extensions",),
        syntax=Syntax.YAML,
        url=("uri",),
        http="streamable_http",
        more=MappingProxyType({"name": "NAME", "description": "", "enabled": True, "timeout": 300}),
        command=Command(
            ("cmd",),
            ("args",),
            MappingProxyType({"type": "stdio", "name": "NAME", "description": "", "enabled": True, "timeout": 300}),
        ),
        programs=("goose",),
        restart="Start a new session.",
    ),
    _editor("trae", "Trae", "Trae", "mcp.json", servers=("mcpServers",), kind=None),
    Client(
        "continue",
        "Continue",
        linux=("~/.continue/config.yaml",),
        servers=("mcpServers",),
        syntax=Syntax.YAML,
        listed=True,
        http="streamable-http",
        headers=("requestOptions", "headers"),
        programs=("cn",),
    ),
    Client(
        "kiro",
        "Kiro",
        linux=("~/.kiro/settings/mcp.json",),
        servers=("mcpServers",),
        kind=None,
        programs=("kiro",),
        folder="~/.kiro",
        project=".kiro/settings/mcp.json",
    ),
    Client(
        "antigravity",
        "Antigravity",
        linux=("~/.gemini/config/mcp_config.json", "~/.gemini/antigravity/mcp_config.json"),
        servers=("mcpServers",),
        url=("serverUrl",),
        kind=None,
        programs=("antigravity", "agy"),
        restart="Refresh the servers in Antigravity.",
    ),
    Client(
        "zed",
        "Zed",
        linux=("{XDG_CONFIG_HOME:~/.config}/zed/settings.json",),
        darwin=("~/.config/zed/settings.json",),
        windows=("%APPDATA%/Zed/settings.json",),
        servers=("context_servers",),
        kind=None,
        programs=("zed", "zeditor"),
        project=".zed/settings.json",
    ),
    Client(
        "mistral-vibe",
        "Mistral Vibe",
        linux=("{VIBE_HOME:~/.vibe}/config.toml",),
        servers=("mcp_servers",),
        syntax=Syntax.TOML,
        listed=True,
        kind=("transport",),
        http="streamable-http",
        speaks_sse=False,
        command=Command(more=MappingProxyType({"transport": "stdio"})),
        programs=("vibe",),
        restart="Start a new session.",
        aliases=("vibe",),
    ),
    Client(
        "kimi-cli",
        "Kimi CLI",
        linux=("~/.kimi/mcp.json",),
        servers=("mcpServers",),
        kind=None,
        programs=("kimi",),
        restart="Start a new session.",
        aliases=("kimi",),
    ),
    Client(
        "factory",
        "Factory Droid",
        linux=("~/.factory/mcp.json",),
        servers=("mcpServers",),
        command=Command(more=_STDIO),
        programs=("droid",),
        project=".factory/mcp.json",
        restart="Start a new session.",
        aliases=("droid",),
    ),
    Client(
        "qoder",
        "Qoder",
        linux=("~/.qoder/mcp.json",),
        windows=("%APPDATA%/Qoder/SharedClientCache/mcp.json",),
        servers=("mcpServers",),
        programs=("qoder",),
    ),
    Client(
        "crush",
        "Crush",
        linux=("{XDG_CONFIG_HOME:~/.config}/crush/crush.json",),
        darwin=("~/.config/crush/crush.json",),
        windows=("%LOCALAPPDATA%/crush/crush.json",),
        servers=("mcp",),
        command=Command(more=_STDIO),
        programs=("crush",),
        project=".crush.json",
        restart="Start a new session.",
    ),
    Client(
        "sema4ai",
        "Sema4.ai Studio",
        linux=("~/.sema4ai/sema4ai-studio/mcp_servers.json",),
        windows=("%LOCALAPPDATA%/sema4ai/sema4ai-studio/mcp_servers.json",),
        servers=("mcpServers",),
        kind=("transport",),
        http="streamable-http",
        restart="Restart Sema4.ai Studio.",
    ),
)

BY_NAME: Mapping[str, Client] = MappingProxyType(
    {name: client for client in TABLE for name in (client.name, *client.aliases)}
)
