"""Grammar of the commands that add and change workloads and settings."""

from __future__ import annotations

from typing import Any

from trayapp.cli.arguments import new_name, port
from trayapp.cli.parser import Parser, add_command, add_format, named

ACCOUNTS = ("google-mail", "microsoft-mail", "fastmail", "openid")  # of catalog/accounts.py; a test compares them
BY_DEVICE = "sign in with a code that you enter on any device"
NO_BROWSER = "print the sign-in address instead of opening it"
DRY_RUN = "only show what would change"


def entry_commands(commands: Any) -> None:
    """`add`, `edit`, `rename`, `set`, `sign-out` and `config`."""
    example = (
        "amberlight add notion\n"
        "amberlight add github https://mcp.example.com/mcp --issuer https://login.example.com --client-id desktop\n"
        "amberlight add files https://files.example.com --client-id c --scope read --scope offline_access "
        "--authorization-endpoint https://a.example/authorize --token-endpoint https://a.example/token\n"
        "amberlight add mail --account google-mail --client-id ID --client-secret"
    )
    add = add_command(commands, "add", "add a workload and sign in to it", example)
    add.add_argument("name", metavar="NAME", type=new_name, help="the workload")
    help_text = "the server's address; not needed for a NAME listed by `amberlight catalog`"
    add.add_argument("url", metavar="URL", nargs="?", help=help_text)
    help_text = "add an account, for mail programs, git and scripts; openid: at any --issuer"
    add.add_argument("--account", choices=ACCOUNTS, metavar="PROVIDER", help=f"{help_text} ({', '.join(ACCOUNTS)})")
    _options(add)
    how = add.add_mutually_exclusive_group()
    how.add_argument("--no-browser", action="store_true", help=NO_BROWSER)
    how.add_argument("--device", action="store_true", help=f"always {BY_DEVICE}")
    add.add_argument("--no-sign-in", action="store_true", help="only add it to the configuration")
    add_format(add)

    edit = named(
        commands,
        "edit",
        "change a workload, with options or in an editor",
        "amberlight edit notion\namberlight edit notion --url https://mcp.notion.com/mcp\n"
        "amberlight edit files --scope read --unset resource",
        "Without options, its entry opens in your editor ($VISUAL or $EDITOR).",
    )
    edit.add_argument("--url", metavar="URL", help="the server's address")
    _options(edit)
    edit.add_argument("--device", action="store_true", help=BY_DEVICE)
    help_text = "remove this key from its entry, such as resource; can be repeated"
    edit.add_argument("--unset", metavar="KEY", action="append", default=[], help=help_text)
    add_format(edit)

    more = "Login, history and local key stay. The entries of connected clients are updated."
    rename = named(commands, "rename", "give a workload another name", "amberlight rename notion notes", more)
    rename.add_argument("new", metavar="NEW", type=new_name, help="its new name")
    add_format(rename)

    change = add_command(
        commands,
        "set",
        "change a setting of a workload or of Amberlight",
        "amberlight set quiet_hours 22:00-07:00\namberlight set notion ceiling 12h\n"
        "amberlight set notion scopes read write\namberlight set notion ceiling --reset",
        "Settings and their values: docs/settings.md, or the dashboard's Settings.",
    )
    help_text = "a setting and its value; NAME comes first if the setting is a workload's"
    change.add_argument("words", metavar="[NAME] KEY VALUE", nargs="+", help=help_text)
    change.usage = "amberlight set [NAME] KEY VALUE…\n       amberlight set [NAME] KEY --reset"
    change.add_argument("--reset", action="store_true", help="remove it, so that its default applies; needs no VALUE")
    add_format(change)

    more = "The login is also revoked at its server. The workload stays."
    add_format(named(commands, "sign-out", "delete a workload's login", "amberlight sign-out notion", more))


def config_command(commands: Any) -> None:
    """`config path`, `check` and `edit`."""
    example = "amberlight config check\namberlight config edit"
    config = add_command(commands, "config", "show, check or edit config.toml", example)
    help_text = "path prints where it is, check says whether it is valid, edit opens it in your editor (path)"
    config.add_argument("what", choices=("path", "check", "edit"), nargs="?", default="path", help=help_text)
    add_format(config)


def _options(command: Parser) -> None:
    """What describes a workload."""
    command.add_argument("--issuer", metavar="URL", help="sign-in server whose metadata names its endpoints")
    help_text = "where the server's metadata is, if it isn't found where the standard says"
    command.add_argument("--metadata-url", metavar="URL", help=help_text)
    command.add_argument("--authorization-endpoint", metavar="URL", help="where the browser signs in")
    command.add_argument("--token-endpoint", metavar="URL", help="where tokens are refreshed")
    command.add_argument("--revocation-endpoint", metavar="URL", help="where a login is revoked when it is removed")
    command.add_argument("--client-id", metavar="ID", help="OAuth client ID at the sign-in server")
    help_text = "ask for the OAuth client's secret, or read it from a pipe, and store it in the keyring"
    command.add_argument("--client-secret", action="store_true", help=help_text)
    command.add_argument("--scope", metavar="SCOPE", action="append", help="scope to ask for; can be repeated")
    help_text = "git server that an account's token is for; can be repeated"
    command.add_argument("--host", metavar="HOST", action="append", help=help_text)
    command.add_argument("--resource", metavar="URI", help='audience of the tokens (RFC 8707); "" sends none')
    command.add_argument(
        "--redirect-port", metavar="PORT", type=port, help="fixed port of the redirect, if the server requires one"
    )
    help_text = "where a device code comes from (RFC 8628)"
    command.add_argument("--device-authorization-endpoint", metavar="URL", help=help_text)
