"""The table of clients: where each keeps its MCP servers on each system, and how it writes one. A client is one row.

Facts come from the clients' own documentation or from the clients themselves; docs/clients.md says which of them were
tried with the real program. In a place, `~` is the home directory, and a variable of the environment that moves the
directory is in braces with its default: `{CODEX_HOME:~/.codex}`. `%APPDATA%` and `%LOCALAPPDATA%` are Windows' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trayapp.clients.client import Client as Client
from trayapp.clients.client import Command
from trayapp.clients.client import Field as Field
from trayapp.clients.client import Syntax as Syntax

_VS_CODE = "In VS Code, run MCP: List Servers and start it."
_CASCADE = "Refresh the servers in Cascade."


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
        restart="Start a new session, or run /mcp in an open one.",
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
        restart="Quit and reopen Claude Desktop.",
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
        restart=_VS_CODE,
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
        restart=_VS_CODE,
    ),
    Client(
        "vscode-server",
        "VS Code Server",
        linux=("~/.vscode-server/data/User/mcp.json",),
        servers=("servers",),
        command=Command(more=_STDIO),
        folder="~/.vscode-server/data",
        restart=_VS_CODE,
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
        linux=tuple(f"{{XDG_CONFIG_HOME:~/.config}}/opencode/opencode.{end}" for end in ("json", "jsonc")),
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
        restart=_CASCADE,
    ),
    Client(
        "windsurf-jetbrains",
        "Windsurf for JetBrains",
        linux=("~/.codeium/mcp_config.json",),
        servers=("mcpServers",),
        url=("serverUrl",),
        kind=None,
        restart=_CASCADE,
    ),
    Client(
        "jetbrains-copilot",
        "Copilot for JetBrains",
        linux=("{XDG_CONFIG_HOME:~/.config}/github-copilot/intellij/mcp.json",),
        darwin=("~/.config/github-copilot/intellij/mcp.json",),
        windows=("%LOCALAPPDATA%/github-copilot/intellij/mcp.json",),
        servers=("servers",),
        kind=None,
        speaks_sse=False,
        headers=("requestInit", "headers"),
    ),
    _editor("cline", "Cline", "Code", _CLINE, servers=("mcpServers",), http="streamableHttp"),
    _editor("cline-cursor", "Cline in Cursor", "Cursor", _CLINE, servers=("mcpServers",), http="streamableHttp"),
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
    _editor("roo-code", "Roo Code", "Code", _ROO, servers=("mcpServers",), http="streamable-http"),
    Client(
        "amp",
        "Amp",
        linux=tuple(f"{{XDG_CONFIG_HOME:~/.config}}/amp/settings.{end}" for end in ("json", "jsonc")),
        darwin=("~/.config/amp/settings.json", "~/.config/amp/settings.jsonc"),
        windows=("~/.config/amp/settings.json", "~/.config/amp/settings.jsonc"),
        servers=("amp.mcpServers",),
        kind=None,
        speaks_sse=False,
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
        speaks_sse=False,
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
        speaks_sse=False,
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
        speaks_sse=False,
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
        speaks_sse=False,
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
        command=Command(
            arguments=None, more=MappingProxyType({"transport": "stdio"})
        ),  # a text would be split at spaces
        programs=("vibe",),
        restart="Start a new session.",
        aliases=("vibe",),
    ),
    Client(
        "kimi-cli",
        "Kimi CLI",
        linux=("{KIMI_SHARE_DIR:~/.kimi}/mcp.json",),
        servers=("mcpServers",),
        kind=("transport",),
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
        darwin=("~/.qoder/mcp.json", "~/Library/Application Support/Qoder/SharedClientCache/mcp.json"),
        windows=("%APPDATA%/Qoder/SharedClientCache/mcp.json",),
        servers=("mcpServers",),
        programs=("qoder",),
    ),
    Client(
        "qoder-cli",
        "Qoder CLI",
        linux=("~/.qoder/settings.json",),
        servers=("mcpServers",),
        programs=("qodercli",),
        folder="~/.qoder/logs",
        restart="Start a new session.",
        aliases=("qodercli",),
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
        url=None,  # how it writes one with a header is not known
        command=Command(more=MappingProxyType({"transport": "stdio"})),
        restart="Restart Sema4.ai Studio.",
    ),
)

BY_NAME: Mapping[str, Client] = MappingProxyType(
    {name: client for client in TABLE for name in (client.name, *client.aliases)}
)
