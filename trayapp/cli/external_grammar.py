"""Grammar of the commands for workloads that other programs keep signed in."""

from __future__ import annotations

from typing import Any

from trayapp.cli.arguments import listed_name
from trayapp.cli.parser import Parser, add_command, add_format


def external_commands(commands: Any) -> None:
    """`restart`."""
    summary = "have ToolHive restart one of its workloads"
    more = "It starts to sign in anew, which ends its retries; ToolHive may open a sign-in page."
    restart = add_command(commands, "restart", summary, "amberlight restart toolhive/github", more)
    owned_name(restart)
    add_format(restart)


def owned_name(command: Parser) -> None:
    """Its argument is another program's workload; one of ours is refused by the command itself, which knows better."""
    command.add_argument("name", metavar="OWNER/NAME", type=listed_name, help="the workload, as `list` shows it")
