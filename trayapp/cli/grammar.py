"""The argument parser: every command with its options, its help and an example."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from trayapp import __version__
from trayapp.cli.codes import USAGE

EXIT_CODES = """\
exit codes:
  0  ok
  1  failed; a sentence says why
  2  wrong usage
  3  Amberlight isn't running
  4  sign-in needed (status, token, exec, reauthorize)
  5  no usable token right now; Amberlight keeps trying (status, token, exec)
  exec exits with its command's own code; 126 if it can't be run, 127 if it isn't found
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


class Parser(argparse.ArgumentParser):
    """A parser whose help shows an example and that accepts no abbreviated options."""

    def __init__(self, *, example: str = "", **kwargs: Any) -> None:
        lines = "\n".join(f"  {line}" for line in example.splitlines())
        epilog = kwargs.pop("epilog", "")
        kwargs["epilog"] = f"example:\n{lines}\n\n{epilog}".rstrip() if example else epilog
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"amberlight: {message}\nSee: {self.prog} --help\n")


def workload_name(text: str) -> str:
    """A NAME argument."""
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        raise argparse.ArgumentTypeError(
            "a name has 1 to 63 lowercase letters, digits, _ and -, and starts with a letter or digit"
        )
    return text


def seconds(text: str) -> float:
    """A --min-validity argument: seconds, or a duration like 5m."""
    from trayapp.config.durations import DurationError, parse_duration

    try:
        value = float(text) if text.isdecimal() and text.isascii() else parse_duration(text)
    except DurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError("must be from 0 to 86400 seconds")
    return value


def variable(text: str) -> str:
    """A --env argument."""
    import re

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise argparse.ArgumentTypeError(
            "a variable name has letters, digits and underscores, and doesn't start with a digit"
        )
    return text


def lines(text: str) -> int:
    """A -n argument."""
    if not (text.isdecimal() and text.isascii() and len(text) < 8):
        raise argparse.ArgumentTypeError("must be a whole number, like 50")
    return int(text)


def port(text: str) -> int:
    """A --redirect-port argument."""
    if not (text.isdecimal() and text.isascii() and len(text) < 6 and int(text) <= 65535):
        raise argparse.ArgumentTypeError("must be a port number from 0 to 65535")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The parser for the whole command line."""
    top = Parser(
        prog="amberlight",
        description="Keeps OAuth workloads signed in: amber while it recovers on its own, red only when a sign-in is needed.\n"
        "Without a command, the app starts, as with `amberlight run`.",
        example="amberlight setup\namberlight add notion\namberlight list",
        epilog=EXIT_CODES,
    )
    top.add_argument("--version", action="version", version=f"amberlight {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    _app_commands(commands)
    _entry_commands(commands)
    _import_command(commands)
    _client_commands(commands)
    _show_commands(commands)
    _action_commands(commands)
    return top


def _command(commands: Any, name: str, help_text: str, example: str) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", example=example
    )
    return parser


def _named(commands: Any, name: str, help_text: str, example: str) -> Parser:
    command = _command(commands, name, help_text, example)
    command.add_argument("name", metavar="NAME", type=workload_name, help="the workload")
    return command


def _min_validity(command: Parser) -> None:
    help_text = "time the token must stay valid (60); otherwise it is refreshed first, waiting up to 30 seconds"
    command.add_argument("--min-validity", metavar="SECONDS", type=seconds, default=60.0, help=help_text)


def _format(command: Parser) -> None:
    command.add_argument("--format", choices=("text", "json"), default="text", help="how to print it (text)")


def _app_commands(commands: Any) -> None:
    help_text = "set up servers, sign-ins, clients and start at login; asks before each step"
    setup = _command(commands, "setup", help_text, "amberlight setup")
    setup.add_argument("--yes", action="store_true", help="answer yes to every question")
    run = _command(commands, "run", "start the app", "amberlight run --no-tray")
    run.add_argument("--no-tray", action="store_true", help="run without a tray icon, for servers and terminals")
    run.add_argument("--background", action="store_true", help="never open a page; for programs that start Amberlight")

    help_text = "open the dashboard in your browser: all workloads and their history"
    dashboard = _command(commands, "dashboard", help_text, "amberlight dashboard\namberlight dashboard --print")
    help_text = "print the link instead of opening it; it works once, within a minute"
    dashboard.add_argument("--print", action="store_true", help=help_text)

    help_text = "play a day in a minute with simulated servers; needs no account and saves nothing"
    demo = _command(
        commands, "demo", help_text, "amberlight demo\namberlight demo --no-tray --fast --exit --format json"
    )
    demo.add_argument("--no-tray", action="store_true", help="show a live table in the terminal instead of the icon")
    demo.add_argument("--fast", action="store_true", help="play at high speed, including the one click")
    demo.add_argument("--exit", action="store_true", help="exit when the day is over")
    _format(demo)

    help_text = "turn start at login on or off, or show its status"
    example = "amberlight autostart on\namberlight autostart status --format json"
    login = _command(commands, "autostart", help_text, example)
    login.add_argument("what", choices=("on", "off", "status"), nargs="?", default="status", help="(status)")
    _format(login)

    _command(commands, "version", "print the version", "amberlight version")


def _entry_commands(commands: Any) -> None:
    example = (
        "amberlight add notion\n"
        "amberlight add github https://mcp.example.com/mcp --issuer https://login.example.com --client-id desktop\n"
        "amberlight add files https://files.example.com --client-id c --scope read --scope offline_access \\\n"
        "    --authorization-endpoint https://a.example/authorize --token-endpoint https://a.example/token"
    )
    add = _named(commands, "add", "add a workload to the configuration and sign in to it", example)
    help_text = "the server's address; not needed for a NAME listed by `amberlight catalog`"
    add.add_argument("url", metavar="URL", nargs="?", help=help_text)
    add.add_argument("--issuer", metavar="URL", help="authorization server whose metadata names its endpoints")
    help_text = "where the server's metadata is, if it isn't found where the standard says"
    add.add_argument("--metadata-url", metavar="URL", help=help_text)
    add.add_argument("--authorization-endpoint", metavar="URL", help="where the browser signs in")
    add.add_argument("--token-endpoint", metavar="URL", help="where tokens are refreshed")
    add.add_argument("--revocation-endpoint", metavar="URL", help="where a login is revoked when it is removed")
    add.add_argument("--client-id", metavar="ID", help="OAuth client id at the authorization server")
    help_text = "ask for the OAuth client's secret, or read it from a pipe, and store it in the keyring"
    add.add_argument("--client-secret", action="store_true", help=help_text)
    add.add_argument("--scope", metavar="SCOPE", action="append", help="scope to ask for; can be repeated")
    add.add_argument("--resource", metavar="URI", help='audience of the tokens (RFC 8707); "" sends none')
    add.add_argument(
        "--redirect-port", metavar="PORT", type=port, help="fixed port of the redirect, if the server requires one"
    )
    add.add_argument("--device-authorization-endpoint", metavar="URL", help="where a device code comes from (RFC 8628)")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--no-browser", action="store_true", help="print the sign-in address instead of opening it")
    how.add_argument("--device", action="store_true", help="always sign in with a code that you enter on any device")
    add.add_argument("--no-sign-in", action="store_true", help="only add it to the configuration")

    help_text = "list or search the well-known servers that `add` knows by name"
    catalog = _command(commands, "catalog", help_text, "amberlight catalog\namberlight catalog payments")
    catalog.add_argument("words", metavar="WORD", nargs="*", help="to find in name, address or description")
    _format(catalog)

    help_text = "revoke and delete a workload's login and remove it from the configuration"
    remove = _named(commands, "remove", help_text, "amberlight remove github --yes")
    remove.add_argument("--yes", action="store_true", help="don't ask")


def _import_command(commands: Any) -> None:
    help_text = "import servers from another app: names and addresses, never logins"
    example = (
        "amberlight import --from claude-code\namberlight import toolhive\n"
        "amberlight import mcp-json ~/.cursor/mcp.json --dry-run"
    )
    command = _command(commands, "import", help_text, example)
    help_text = "import this client's remote servers"
    command.add_argument("--from", metavar="CLIENT", type=client_name, dest="client", help=help_text)
    sources = command.add_subparsers(dest="source", metavar="SOURCE", title="sources", parser_class=Parser)
    toolhive = _command(sources, "toolhive", "ToolHive's remote workloads", "amberlight import toolhive --dry-run")

    help_text = "remote servers in a client's JSON file, such as Claude's, Cursor's or VS Code's"
    example = "amberlight import mcp-json ~/.cursor/mcp.json\namberlight import mcp-json .vscode/mcp.json --keep-file"
    listed = _command(sources, "mcp-json", help_text, example)
    listed.add_argument("file", metavar="FILE", help="a file with mcpServers or servers; comments are fine")
    for source in (command, listed):
        source.add_argument("--keep-file", action="store_true", help="don't offer to connect its client to Amberlight")
    for source in (command, toolhive, listed):
        source.add_argument("--yes", action="store_true", help="answer yes to every question")
        source.add_argument("--dry-run", action="store_true", help="only show what would change")


def client_name(text: str) -> str:
    """A CLIENT argument."""
    from trayapp.clients.table import BY_NAME, TABLE

    if text not in BY_NAME:
        names = ", ".join(client.name for client in TABLE)
        raise argparse.ArgumentTypeError(f"no client has this name. Known clients: {names}")
    return text


def reader(text: str) -> str:
    """A --for argument: a client, or the plain text for all others."""
    from trayapp.clients.table import BY_NAME

    return text if text == "json" else BY_NAME[client_name(text)].name


def _client_commands(commands: Any) -> None:
    help_text = "connect an MCP client to workloads, or show what each client is connected to"
    example = (
        "amberlight connect\namberlight connect claude-code\namberlight connect cursor notion linear --dry-run\n"
        "amberlight connect vscode notion --project ."
    )
    connect = _command(commands, "connect", help_text, example)
    help_text = "remove Amberlight's entries from the files of MCP clients"
    disconnect = _command(commands, "disconnect", help_text, "amberlight disconnect claude-code\namberlight disconnect")
    for command in (connect, disconnect):
        command.add_argument("client", metavar="CLIENT", type=client_name, nargs="?", help="the client")
        command.add_argument("names", metavar="NAME", type=workload_name, nargs="*", help="the workloads (all)")
        command.add_argument("--all", action="store_true", help="a single entry for all workloads")
        command.add_argument("--project", metavar="DIR", help="use the client's file in this project")
        command.add_argument("--dry-run", action="store_true", help="only show what would change")
    connect.add_argument(
        "--stdio", action="store_true", help="let the client start `amberlight stdio`: no key in its file"
    )
    connect.add_argument("--replace", action="store_true", help="replace entries that aren't Amberlight's")
    _format(connect)


def _show_commands(commands: Any) -> None:
    listing = _command(commands, "list", "list the workloads", "amberlight list --all\namberlight list --format json")
    listing.add_argument("--all", action="store_true", help="include paused ones")
    _format(listing)

    status = _named(commands, "status", "show one workload", "amberlight status github --verbose")
    _format(status)
    status.add_argument("--verbose", action="store_true", help="show all details")

    token = _named(
        commands,
        "token",
        "print a usable access token",
        'curl -H "$(amberlight token github --header)" https://mcp.example.com/mcp',
    )
    _min_validity(token)
    token.add_argument(
        "--header", action="store_true", help="print a complete header line: Authorization: Bearer TOKEN"
    )

    help_text = "run a command with a usable access token in its environment"
    execute = _named(commands, "exec", help_text, "amberlight exec github --env GITHUB_TOKEN -- gh repo list")
    _min_validity(execute)
    execute.add_argument(
        "--env",
        metavar="VAR",
        type=variable,
        default="AMBERLIGHT_TOKEN",
        help="name of the variable (AMBERLIGHT_TOKEN)",
    )
    execute.usage = "amberlight exec NAME [--min-validity SECONDS] [--env VAR] -- COMMAND..."

    help_text = "print the settings that connect a client to a workload, or to all of them"
    example = "amberlight client-config github --for vscode\namberlight client-config --all"
    client = _command(commands, "client-config", help_text, example)
    which = client.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="one MCP server with the tools of all workloads")
    help_text = "the client to print for: one that `connect` knows, or json for any other (claude-code)"
    client.add_argument("--for", metavar="CLIENT", type=reader, default="claude-code", dest="program", help=help_text)

    help_text = "serve a workload, or all of them, on stdin and stdout, for MCP clients that only start commands"
    example = "amberlight stdio github\namberlight stdio --all"
    stdio = _command(commands, "stdio", help_text, example)
    which = stdio.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="all of them, as one MCP server")

    logs = _command(commands, "logs", "print the end of the log", "amberlight logs -n 100 -f")
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines")
    logs.add_argument("-n", metavar="LINES", type=lines, default=50, dest="count", help="how many lines (50)")

    help_text = "check configuration, keyring, tray, notifications, endpoints, clients and the app"
    doctor = _command(commands, "doctor", help_text, "amberlight doctor\namberlight doctor --fix")
    help_text = "fix clients' entries that have an old port or key, and make their files private"
    doctor.add_argument("--fix", action="store_true", help=help_text)
    doctor.add_argument("--json", action="store_true", help="as a JSON array of {name, state, text, help}")


def _action_commands(commands: Any) -> None:
    retry = _command(commands, "retry", "try to refresh now", "amberlight retry github\namberlight retry --all")
    which = retry.add_mutually_exclusive_group()
    which.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help="the workload")
    which.add_argument("--all", action="store_true", help="all workloads; the same as no NAME")

    example = "amberlight reauthorize github\namberlight reauthorize github --device"
    again = _named(commands, "reauthorize", "sign in again, in the browser", example)
    how = again.add_mutually_exclusive_group()
    how.add_argument(
        "--no-browser",
        action="store_true",
        help="print the sign-in address; then paste the address that your browser ends up at",
    )
    how.add_argument("--device", action="store_true", help="sign in with a code that you enter on any device")
    again.add_argument(
        "--accept", action="store_true", help="accept the pending sign-in: another account, or fewer scopes"
    )

    help_text = "store an OAuth client secret in the keyring, or delete it; reads it without echo, or from a pipe"
    example = "amberlight secret set github\namberlight secret delete github"
    secret = _command(commands, "secret", help_text, example)
    secret.add_argument("action", choices=("set", "delete"), help="what to do")
    secret.add_argument("name", metavar="NAME", type=workload_name, help="the workload")

    _named(commands, "stop", "pause a workload: no attempts, no tokens", "amberlight stop github")
    _named(commands, "start", "resume a paused workload", "amberlight start github")
