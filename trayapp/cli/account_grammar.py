"""Grammar of the commands that give a token to programs: `token` and `git-credential`."""

from __future__ import annotations

from typing import Any

from trayapp.cli.arguments import seconds, workload_name
from trayapp.cli.parser import Parser, add_command, add_format, named

SASL = ("xoauth2", "oauthbearer")  # the mechanisms of cli/sasl.py, whose import would slow down every command


def min_validity(command: Parser) -> None:
    """How long the token has to be valid."""
    help_text = "time the token must stay valid (60); otherwise it is refreshed first, waiting up to 30 seconds"
    command.add_argument("--min-validity", metavar="SECONDS", type=seconds, default=60.0, help=help_text)


def token_command(commands: Any) -> None:
    """`token NAME`."""
    token = named(
        commands,
        "token",
        "print a usable access token",
        'curl -H "$(amberlight token github --header)" https://mcp.example.com/mcp\n'
        "amberlight token google-mail --sasl xoauth2 --user ada@example.com",
        "While an account is reconnecting, the exit code is 75, which mail programs treat as a temporary failure.",
    )
    min_validity(token)
    how = token.add_mutually_exclusive_group()
    how.add_argument("--header", action="store_true", help="print a complete header line: Authorization: Bearer TOKEN")
    help_text = "print it as mail servers expect it, in base64: xoauth2 or oauthbearer; needs --user"
    how.add_argument("--sasl", choices=SASL, metavar="MECHANISM", help=help_text)
    add_format(how)  # type: ignore[arg-type]  # a group takes arguments as a parser does
    token.add_argument("--user", metavar="ADDRESS", help="the mailbox's address, for --sasl")
    options = "[--header] [--sasl MECHANISM] [--user ADDRESS]"
    token.usage = f"amberlight token NAME [--min-validity SECONDS] {options} [--format {{text,json}}]"


def git_credential_command(commands: Any) -> None:
    """`git-credential [NAME] OPERATION`; git appends the operation."""
    summary = "give git an account's token (credential helper)"
    more = (
        "To set it up: git config --global credential.https://HOST.helper '!amberlight git-credential'. It answers only "
        "for https and the hosts of an account, which you set with: amberlight edit NAME --host HOST."
    )
    example = "amberlight git-credential get\namberlight git-credential work get"
    git = add_command(commands, "git-credential", summary, example, more)
    git.usage = "amberlight git-credential [NAME] OPERATION"
    help_text = "the account, if several name the same host"
    git.add_argument("name", metavar="NAME", type=workload_name, nargs="?", help=help_text)
    help_text = "what git appends: get, store or erase; it ignores any other"
    git.add_argument("operation", metavar="OPERATION", help=help_text)
