"""Entry point of the command line: parses arguments and dispatches.

Nothing heavy is imported here: each command imports what it needs when it runs, and starting the app doesn't even need
the argument parser. `run` and `demo` are the app itself; every other command talks to the running app (`client.py`) or
edits the configuration file.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from trayapp.cli.codes import FAILED, INTERRUPTED, OK, USAGE, OutputError
from trayapp.cli.plain_signs import use_plain_signs
from trayapp.config.home import HomeError

if TYPE_CHECKING:
    import argparse

    from trayapp.cli.parser import Parser

COMPLETING = "_ARGCOMPLETE"  # set by the script of `completion` in the environment
WITHOUT_OUTPUT = ("run", "stdio", "exec")  # that need no standard output of ours


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    try:
        for stream in (sys.stdout, sys.stderr):  # a sign that the encoding lacks is no reason to fail
            if stream is not None:
                use_plain_signs(stream)
        code = _run(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except HomeError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"amberlight: {error}\n")
        return FAILED
    except OutputError as error:
        return _output_lost(str(error))
    except OSError as error:
        return _output_lost(str(OutputError(error)))
    finally:
        _flush_errors()
    return code


def _run(argv: list[str]) -> int:
    if COMPLETING in os.environ:
        from trayapp.cli.completion import complete

        return complete()
    words, exec_command = split_command(argv)
    if words in ([], ["run"]):  # the start at login: nothing to parse, and the icon shouldn't wait for argparse
        return _start(tray=True)
    if words == ["run", "--page"]:  # from the desktop's menu, just as quickly
        return _start(tray=True, page=True)
    if len(words) == 2 and words[0] == "stdio" and (words[1] == "--all" or _is_plain(words[1])):
        return _stdio(words[1])  # a client waits for it, and starts one for each workload
    if words[0] == "activate":  # Windows', and before the parser, so that no option is read from an address
        from trayapp.cli.activate import activate

        return activate(argv[1:])
    if words[0] == "search-path":  # Setup.exe's
        from trayapp.cli.search_path import search_path

        return search_path(argv[1:])
    if sys.stdout is None and words[0] not in WITHOUT_OUTPUT:
        return _output_lost("it is closed.")
    from trayapp.cli.grammar import parser

    try:
        arguments = parsed(parser(), words, exec_command)
    except SystemExit as end:  # --help, --version, wrong usage: argparse has printed everything
        return end.code if isinstance(end.code, int) else USAGE
    if arguments.command == "run":
        if arguments.background:
            from trayapp.cli.run_command import run_in_background

            return run_in_background(tray=not arguments.no_tray)
        return _start(tray=not arguments.no_tray, page=True if arguments.page else False if arguments.no_page else None)
    if arguments.command == "stdio":
        return _stdio("--all" if arguments.all else arguments.name)
    if arguments.command == "version":
        return _version(as_json=arguments.format == "json")

    from trayapp.cli import commands

    return commands.run(arguments)


def parsed(top: Parser, words: list[str], exec_command: Sequence[str] = ()) -> argparse.Namespace:
    """The parsed command line. Raises `SystemExit` after `--help` or a usage error."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    first = words[0]
    if not first.startswith("-") and first not in top.commands:
        from trayapp.cli.parser import near

        top.error(f"there's no command {first}{near(first, list(top.commands))}")
    arguments, extra = top.parse_known_args(words)
    command: Parser = getattr(arguments, "parser", top)
    if arguments.command == "exec" and extra and not extra[0].startswith("-"):
        from trayapp.system.shown_command import shown

        rest = shown(words[words.index(arguments.name) + 1 :])
        command.error(f"put -- before the command to run: amberlight exec {arguments.name} -- {rest}")
    if extra:
        command.unexpected(extra)
    if arguments.command is None:
        command.error("add a command")
    if arguments.command == "exec" and not exec_command:
        command.error(f"add the command to run: amberlight exec {arguments.name} -- COMMAND")
    if arguments.command == "import" and (arguments.source is None) == (arguments.client is None):
        command.error("add what to import: --from CLIENT, toolhive, or mcp-json FILE")
    if arguments.command == "uninstall" and arguments.files and not arguments.logins:
        command.error("--files needs --logins: without these files, Amberlight can't find the logins to delete them")
    if arguments.command == "run":
        given = [f"--{each}" for each in ("background", "page", "no-page") if vars(arguments)[each.replace("-", "_")]]
        if len(given) > 1:
            command.error(f"{given[0]} and {given[1]} exclude each other")
    arguments.after = list(exec_command)
    return arguments


def _start(*, tray: bool, page: bool | None = None) -> int:
    from trayapp.cli import run_command

    return run_command.run(tray=tray, page=page)


def _stdio(which: str) -> int:
    from trayapp.stdio import main as stdio

    return stdio.run(None if which == "--all" else which)


def _version(*, as_json: bool) -> int:
    from trayapp import __version__

    sys.stdout.write(f'{{"version": "{__version__}"}}\n' if as_json else f"amberlight {__version__}\n")
    return OK


def _is_plain(name: str) -> bool:
    """Whether the parser would take it for a workload's name; what is in doubt, it gets to see."""
    return name.isascii() and name.replace("-", "a").isalnum() and name.islower() and name[0] != "-" and len(name) < 64


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off the command after the first `--` of `exec`, which isn't ours to parse."""
    if words[:1] != ["exec"] or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _flush_errors() -> None:
    """What standard error doesn't take is dropped, or Python's flush at exit would fail and change the exit code."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _drop(sys.stderr)


def _drop(stream: TextIO | None) -> None:
    """Send the rest of a stream to /dev/null."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, stream.fileno())
        os.close(quiet)


def _output_lost(why: str) -> int:
    """Say that the output can't be written. The rest goes to /dev/null, so that Python's flush at exit doesn't fail too."""
    _drop(sys.stdout)
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"amberlight: the output can't be written: {why}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
    return FAILED
