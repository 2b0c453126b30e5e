"""The grammar of the command line: every command with its arguments, its help and an example."""

from __future__ import annotations

import argparse
from typing import Any

from trayapp import __version__
from trayapp.cli.account_grammar import git_credential_command, min_validity, token_command
from trayapp.cli.arguments import (
    client_name,
    limit,
    lines,
    listed_name,
    listening_port,
    one_of,
    reader,
    variable,
    workload_name,
)
from trayapp.cli.entry_grammar import BY_DEVICE, DRY_RUN, config_command, entry_commands
from trayapp.cli.external_grammar import external_commands
from trayapp.cli.parser import Groups, Parser, add_command, add_format, add_since, named, one_or_all

EXIT_CODES = """\
exit codes:
  0  ok
  1  failed; a message says why
  2  wrong usage
  3  Amberlight isn't running
  4  sign-in needed (status, wait, token, exec, reauthorize)
  5  no usable token right now; Amberlight keeps trying (status, wait, token, exec)
  75 the same for an account (token); mail programs treat it as a temporary failure
  exec exits with its command's own code; 126 if it can't be run, 127 if it isn't found

With AMBERLIGHT_HOME set to the full path of a directory, everything is kept there: settings, state and log.
See `amberlight help COMMAND` for the options of one command.
"""
GROUPS: Groups = (
    ("get started", ("setup", "run", "open", "demo")),
    ("check the state", ("list", "status", "history", "dashboard", "logs", "doctor", "wait")),
    ("sign in, pause, retry", ("reauthorize", "retry", "stop", "start", "restart", "sign-out")),
    (
        "add and change workloads",
        ("add", "catalog", "import", "take-over", "edit", "rename", "set", "secret", "client-metadata", "remove"),
    ),
    (
        "connect clients and scripts",
        ("connect", "disconnect", "client-config", "stdio", "token", "exec", "git-credential"),
    ),
    (
        "Amberlight itself",
        ("config", "autostart", "change-port", "quit", "report", "uninstall", "completion", "version", "help"),
    ),
)
COLOURS = ("green", "amber", "red", "blue", "grey")
STATES = (  # the labels of core/labels.py, whose import would slow down every command; a test compares them
    "connected",
    "reconnecting",
    "sign-in-needed",
    "not-signed-in",
    "keyring-locked",
    "keyring-unavailable",
    "offline",
    "access-refused",
    "configuration-error",
    "paused",
    "starting",
)
YES = "answer yes to every question"
SHELLS = ("bash", "zsh", "fish", "powershell")


def parser() -> Parser:
    """The parser for the whole command line."""
    top = Parser(
        prog="amberlight",
        usage="amberlight [--help] [--version] COMMAND …",
        description="Keeps OAuth workloads signed in: amber while it recovers on its own, red only when a sign-in is "
        "needed. Without a command, the app starts, as with `amberlight run`.",
        example="amberlight setup\namberlight add notion\namberlight list",
        epilog=EXIT_CODES,
        groups=GROUPS,
    )
    top.add_argument("--version", action="version", version=f"amberlight {__version__}", help="show the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, prog="amberlight")
    _app_commands(commands)
    _own_commands(commands)
    _entry_commands(commands)
    _import_command(commands)
    _client_commands(commands)
    _show_commands(commands)
    _log_commands(commands)
    _script_commands(commands)
    _action_commands(commands)
    top.commands = commands.choices
    return top


def _app_commands(commands: Any) -> None:
    setup = add_command(
        commands,
        "setup",
        "set up servers, sign-ins, clients and start at login",
        "amberlight setup",
        "It asks before each step.",
    )
    setup.add_argument("--yes", action="store_true", help=YES)

    run = add_command(commands, "run", "start Amberlight", "amberlight run\namberlight run --background")
    run.add_argument("--background", action="store_true", help="start it in the background and return once it answers")
    run.add_argument("--no-tray", action="store_true", help="run without a tray icon, for servers and terminals")
    run.add_argument("--page", action="store_true", help="open the set-up at the first start; for the desktop's menu")
    run.add_argument("--no-page", action="store_true", help="never open a page; for programs that start Amberlight")

    summary = "open the dashboard in your browser"
    for name, text in (("open", summary), ("dashboard", f"{summary} (the same as open)")):
        example = f"amberlight {name}\namberlight {name} --print"
        dashboard = add_command(commands, name, text, example, "It shows all workloads, clients and settings.")
        help_text = "print the link instead of opening it; it works once, within a minute"
        dashboard.add_argument("--print", action="store_true", help=help_text)
        add_format(dashboard)

    demo = add_command(
        commands,
        "demo",
        "play a day in a minute with simulated servers",
        "amberlight demo\namberlight demo --no-tray --fast --exit --format json",
        "It needs no account and saves nothing.",
    )
    demo.add_argument("--no-tray", action="store_true", help="show a live table in the terminal instead of the icon")
    demo.add_argument("--fast", action="store_true", help="play at high speed, including the one click")
    demo.add_argument("--exit", action="store_true", help="exit when the day is over")
    add_format(demo)


def _own_commands(commands: Any) -> None:
    """What is about the program, not about a workload."""
    config_command(commands)

    example = "amberlight autostart on\namberlight autostart status --format json"
    login = add_command(commands, "autostart", "turn start at login on or off, or show it", example)
    login.add_argument("what", choices=("on", "off", "status"), nargs="?", default="status", help="(status)")
    add_format(login)

    change_port = add_command(
        commands,
        "change-port",
        "let clients reach Amberlight on another port",
        "amberlight change-port\namberlight change-port 9000",
        "The port is written to config.toml and used immediately. The files of connected clients are updated.",
    )
    change_port.add_argument("port", metavar="PORT", type=listening_port, nargs="?", help="the port (one that is free)")
    add_format(change_port)

    add_format(add_command(commands, "quit", "quit the running Amberlight", "amberlight quit"))

    report = add_command(
        commands,
        "report",
        "write a file for a bug report, without secrets",
        "amberlight report\namberlight report --output - | less",
        "It contains versions, settings, states, the results of `amberlight doctor` and the end of the log. It names your "
        "workloads and their servers.",
    )
    help_text = "where to write it; - prints it (amberlight-report-DATE.txt)"
    report.add_argument("-o", "--output", metavar="FILE", help=help_text)
    add_format(report)

    uninstall = add_command(
        commands,
        "uninstall",
        "remove what Amberlight set up on this machine",
        "amberlight uninstall\namberlight uninstall --logins --files --yes",
        "It turns off start at login, takes Amberlight out of your clients' files and quits Amberlight. It asks first, "
        "and says what is left.",
    )
    uninstall.add_argument("--logins", action="store_true", help="also revoke and delete all logins")
    help_text = "also delete configuration, history, local keys and log; needs --logins"
    uninstall.add_argument("--files", action="store_true", help=help_text)
    uninstall.add_argument("--yes", action="store_true", help="don't ask")
    add_format(uninstall)

    example = (
        'eval "$(amberlight completion bash)"\n'
        "amberlight completion zsh > ~/.zfunc/_amberlight\n"
        "amberlight completion fish > ~/.config/fish/completions/amberlight.fish\n"
        "amberlight completion powershell | Out-String | Invoke-Expression"
    )
    completion = add_command(commands, "completion", "print the completion script for your shell", example)
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh, fish or powershell")

    add_format(add_command(commands, "version", "print the version", "amberlight version"))
    help_ = add_command(commands, "help", "show the help of a command", "amberlight help exec")
    help_.add_argument("words", metavar="COMMAND", nargs="*", help="the command")


def _entry_commands(commands: Any) -> None:
    entry_commands(commands)

    summary = "list or search what `add` knows by name"
    catalog = add_command(commands, "catalog", summary, "amberlight catalog\namberlight catalog payments")
    catalog.add_argument("words", metavar="WORD", nargs="*", help="to find in name, address or description")
    add_format(catalog)

    remove = named(
        commands,
        "remove",
        "remove a workload and delete its login",
        "amberlight remove github --yes",
        "The login is revoked at its server, and the entry is removed from the configuration.",
    )
    remove.add_argument("--yes", action="store_true", help="don't ask")
    add_format(remove)

    summary = "store an OAuth client secret in the keyring, or delete it"
    example = "amberlight secret set github\namberlight secret delete github"
    secret = add_command(commands, "secret", summary, example, "The secret is read without echo, or from a pipe.")
    secret.add_argument("action", choices=("set", "delete"), help="what to do")
    secret.add_argument("name", metavar="NAME", type=workload_name, help="the workload")
    add_format(secret)

    summary = "print the document to host as Amberlight's client ID"
    more = "Servers that accept such documents need no registration. Set client_metadata_url to its address first."
    metadata = add_command(commands, "client-metadata", summary, "amberlight client-metadata > amberlight.json", more)
    metadata.add_argument(
        "name",
        metavar="NAME",
        type=workload_name,
        nargs="?",
        help="use this workload's client_metadata_url (the general one)",
    )


def _import_command(commands: Any) -> None:
    example = (
        "amberlight import --from claude-code\namberlight import toolhive\n"
        "amberlight import mcp-json ~/.cursor/mcp.json --dry-run"
    )
    more = "Names and addresses are imported, never logins."
    command = add_command(commands, "import", "import servers from another app", example, more)
    help_text = "import this client's remote servers"
    command.add_argument("--from", metavar="CLIENT", type=client_name, dest="client", help=help_text)
    sources = command.add_subparsers(dest="source", metavar="SOURCE", title="sources", parser_class=Parser)
    command.commands = sources.choices
    toolhive = add_command(sources, "toolhive", "ToolHive's remote workloads", "amberlight import toolhive --dry-run")

    help_text = "remote servers in a client's JSON file, such as Claude's, Cursor's or VS Code's"
    example = "amberlight import mcp-json ~/.cursor/mcp.json\namberlight import mcp-json .vscode/mcp.json --keep-file"
    listed = add_command(sources, "mcp-json", help_text, example)
    listed.add_argument("file", metavar="FILE", help="a file with mcpServers or servers; comments are fine")
    for source in (command, listed):
        source.add_argument("--keep-file", action="store_true", help="don't offer to connect its client to Amberlight")
    for source in (command, toolhive, listed):
        source.add_argument("--yes", action="store_true", help=YES)
        source.add_argument("--dry-run", action="store_true", help=DRY_RUN)
        add_format(source)


def _client_commands(commands: Any) -> None:
    summary = "connect an MCP client to workloads, or show what is connected"
    example = (
        "amberlight connect\namberlight connect claude-code\namberlight connect cursor notion linear --dry-run\n"
        "amberlight connect vscode notion --project ."
    )
    connect = add_command(commands, "connect", summary, example)
    summary = "remove Amberlight's entries from clients' files"
    example = "amberlight disconnect claude-code\namberlight disconnect"
    disconnect = add_command(commands, "disconnect", summary, example)
    for command in (connect, disconnect):
        command.add_argument("client", metavar="CLIENT", type=client_name, nargs="?", help="the client")
        command.add_argument("names", metavar="NAME", type=workload_name, nargs="*", help="the workloads (all)")
        command.add_argument("--all", action="store_true", help="a single entry for all workloads")
        command.add_argument("--project", metavar="DIR", help="use the client's file in this project")
        command.add_argument("--dry-run", action="store_true", help=DRY_RUN)
    connect.add_argument(
        "--stdio", action="store_true", help="let the client start `amberlight stdio`: no key in its file"
    )
    connect.add_argument("--replace", action="store_true", help="replace entries that aren't Amberlight's")
    add_format(connect)
    add_format(disconnect)

    summary = "print the settings that connect a client"
    example = "amberlight client-config github --for vscode\namberlight client-config --all"
    config = add_command(commands, "client-config", summary, example, "Use them for a client that you set up by hand.")
    config.usage = "amberlight client-config (NAME | --all) [--for CLIENT] [--format {text,json}]"
    which = config.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="one MCP server with the tools of all workloads")
    help_text = "the client to print for: one that `connect` knows, or json for any other (claude-code)"
    config.add_argument("--for", metavar="CLIENT", type=reader, default="claude-code", dest="program", help=help_text)
    add_format(config)


def _show_commands(commands: Any) -> None:
    example = "amberlight list --all\namberlight list --watch\namberlight list --format json"
    more = "ToolHive's workloads are named toolhive/NAME."
    listing = add_command(commands, "list", "list the workloads", example, more)
    listing.add_argument("--all", action="store_true", help="include paused and stopped ones")
    listing.add_argument("--watch", action="store_true", help="keep showing changes until Ctrl-C")
    add_format(listing)

    example = "amberlight status\namberlight status github --verbose"
    more = "Without NAME: how many workloads are connected, and what needs attention."
    status = add_command(commands, "status", "show one workload, or the overall state", example, more)
    status.add_argument("name", metavar="NAME", type=listed_name, nargs="?", help="the workload")
    status.add_argument("--verbose", action="store_true", help="show all details")
    add_format(status)

    example = "amberlight history github\namberlight history github --since 7d"
    history = named(commands, "history", "show the history of a workload", example, of=listed_name)
    add_since(history, "24h")
    history.add_argument("-n", metavar="LINES", type=lines, default=None, dest="count", help="only the newest ones")
    add_format(history)

    wait = named(
        commands,
        "wait",
        "wait until a workload is in a state",
        "amberlight wait github --for connected --timeout 2m && make sync\namberlight wait github --for amber",
        "Exits with 0 once it is. When the time is up, the code is that of `amberlight status`: 4 if a sign-in is needed, "
        "5 if it is reconnecting, otherwise 1.",
        of=listed_name,
    )
    states = f"{', '.join(STATES)}; or a colour: {', '.join(COLOURS)} (connected)"
    wait.add_argument(
        "--for", metavar="STATE", type=one_of((*STATES, *COLOURS)), default="connected", dest="state", help=states
    )
    help_text = "longest wait, in seconds or as 5m or 2h; 0 only looks (5m)"
    wait.add_argument("--timeout", metavar="TIME", type=limit, default=300.0, help=help_text)
    add_format(wait)


def _log_commands(commands: Any) -> None:
    example = "amberlight logs -n 100 -f\namberlight logs github --since 2h"
    logs = add_command(commands, "logs", "show the log", example)
    logs.add_argument("name", metavar="NAME", type=listed_name, nargs="?", help="only lines about this workload")
    add_since(logs)
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines")
    help_text = "how many lines (50; all with --since)"
    logs.add_argument("-n", metavar="LINES", type=lines, default=None, dest="count", help=help_text)
    add_format(logs)

    more = "It checks configuration, files, keyring, tray, notifications, servers, clients and the app."
    doctor = add_command(
        commands, "doctor", "find problems, and say what to do", "amberlight doctor\namberlight doctor --fix", more
    )
    help_text = "fix clients' entries that have an old port or key, and make their files private"
    doctor.add_argument("--fix", action="store_true", help=help_text)
    add_format(doctor)
    doctor.add_argument("--json", action="store_const", const="json", dest="format", help=argparse.SUPPRESS)


def _script_commands(commands: Any) -> None:
    token_command(commands)

    summary = "run a command with a token in its environment"
    execute = named(commands, "exec", summary, "amberlight exec github --env GITHUB_TOKEN -- gh repo list")
    min_validity(execute)
    help_text = "name of the variable (AMBERLIGHT_TOKEN)"
    execute.add_argument("--env", metavar="VAR", type=variable, default="AMBERLIGHT_TOKEN", help=help_text)
    execute.usage = "amberlight exec NAME [--min-validity SECONDS] [--env VAR] -- COMMAND…"

    summary = "serve workloads to a client that only starts commands"
    example = "amberlight stdio github\namberlight stdio --all"
    stdio = add_command(commands, "stdio", summary, example, "It speaks MCP on stdin and stdout.")
    stdio.usage = "amberlight stdio (NAME | --all)"
    which = stdio.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="all of them, as one MCP server")

    git_credential_command(commands)


def _action_commands(commands: Any) -> None:
    retry = add_command(commands, "retry", "try to refresh now", "amberlight retry github\namberlight retry --all")
    retry.usage = "amberlight retry [NAME | --all] [--format {text,json}]"
    which = retry.add_mutually_exclusive_group()
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="all workloads; the same as no NAME")
    add_format(retry)

    example = "amberlight reauthorize github\namberlight reauthorize github --device"
    again = named(commands, "reauthorize", "sign in again, in the browser", example)
    how = again.add_mutually_exclusive_group()
    how.add_argument(
        "--no-browser",
        action="store_true",
        help="print the sign-in address; then paste the address that your browser ends up at",
    )
    how.add_argument("--device", action="store_true", help=BY_DEVICE)
    again.add_argument(
        "--accept", action="store_true", help="accept the pending sign-in: another account, or fewer scopes"
    )
    add_format(again)

    more = "Paused workloads aren't refreshed, and clients get no tokens."
    one_or_all(commands, "stop", "pause workloads", "amberlight stop github\namberlight stop --all", more)
    one_or_all(commands, "start", "resume paused workloads", "amberlight start github\namberlight start --all")
    external_commands(commands)
