"""Grammar of the commands for workloads that other programs keep signed in."""

from __future__ import annotations

from typing import Any

from trayapp.cli.arguments import listed_name, name_here, new_name
from trayapp.cli.entry_grammar import BY_DEVICE, DRY_RUN, NO_BROWSER
from trayapp.cli.parser import Parser, add_command, add_format


def external_commands(commands: Any) -> None:
    """`restart` and `take-over`."""
    summary = "have ToolHive restart one of its workloads"
    more = "ToolHive signs in again, which ends its retries, and may open a sign-in page."
    restart = add_command(commands, "restart", summary, "amberlight restart toolhive/github", more)
    owned_name(restart)
    add_format(restart)

    summary = "move one of ToolHive's workloads to Amberlight, or back"
    example = (
        "amberlight take-over toolhive/github --dry-run\namberlight take-over toolhive/github\n"
        "amberlight take-over --undo github"
    )
    more = (
        "ToolHive stops it, client entries are pointed to Amberlight, and you sign in once. ToolHive's own login is never "
        "read."
    )
    take_over = add_command(commands, "take-over", summary, example, more)
    take_over.usage = "amberlight take-over OWNER/NAME [options]\n       amberlight take-over --undo NAME [--yes]"
    owned_name(take_over, nargs="?")
    help_text = "give it back: client entries are restored, and ToolHive runs it again"
    take_over.add_argument("--undo", metavar="NAME", type=name_here, help=help_text)
    help_text = "the name to use here (its name there)"
    take_over.add_argument("--name", metavar="NAME", type=new_name, dest="new", help=help_text)
    take_over.add_argument("--yes", action="store_true", help="don't ask")
    take_over.add_argument("--dry-run", action="store_true", help=DRY_RUN)
    how = take_over.add_mutually_exclusive_group()
    how.add_argument("--no-browser", action="store_true", help=NO_BROWSER)
    how.add_argument("--device", action="store_true", help=BY_DEVICE)
    add_format(take_over)


def owned_name(command: Parser, **more: Any) -> None:
    """Its argument is another program's workload; the command itself refuses one of ours, with a better reason."""
    help_text = "the workload, as `list` shows it"
    command.add_argument("name", metavar="OWNER/NAME", type=listed_name, help=help_text, **more)
