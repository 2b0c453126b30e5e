"""Entry point of the command line: parses arguments and dispatches.

Nothing heavy is imported here: each command imports what it needs when it runs, and starting the app doesn't even need
the argument parser. `run` and `demo` are the app itself; every other command talks to the running app (`client.py`) or
edits the configuration file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from trayapp import __version__
from trayapp.cli.codes import BROKEN_PIPE, INTERRUPTED, OK, USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    try:
        for stream in (sys.stdout, sys.stderr):  # a glyph that the encoding lacks is no reason to fail
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _close_quietly()
        return BROKEN_PIPE
    return code


def _run(argv: Sequence[str] | None) -> int:
    words, exec_command = split_command(list(sys.argv[1:] if argv is None else argv))
    if words in ([], ["run"]):  # the start at login: nothing to parse, and the icon shouldn't wait for argparse
        return _start(tray=True)
    if len(words) == 2 and words[0] == "stdio" and (words[1] == "--all" or _is_plain(words[1])):
        return _stdio(words[1])  # a client waits for it, and starts one for each workload
    from trayapp.cli.grammar import parser

    try:
        arguments = parser().parse_args(words)
        if arguments.command == "exec" and not exec_command:
            parser().error("add the command to run: amberlight exec NAME -- COMMAND")
        if arguments.command == "import" and (arguments.source is None) == (arguments.client is None):
            text = "amberlight: add what to import: --from CLIENT, toolhive, or mcp-json FILE"
            parser().exit(USAGE, f"{text}\nSee: amberlight import --help\n")
        arguments.after = exec_command
    except SystemExit as end:  # --help, --version, wrong usage: argparse has printed everything
        return end.code if isinstance(end.code, int) else USAGE
    if arguments.command == "version":
        sys.stdout.write(f"amberlight {__version__}\n")
        return OK
    if arguments.command == "run":
        return _start(tray=not arguments.no_tray, background=arguments.background)
    if arguments.command == "stdio":
        return _stdio("--all" if arguments.all else arguments.name)

    from trayapp.cli import commands

    return commands.run(arguments)


def _start(*, tray: bool, background: bool = False) -> int:
    from trayapp.cli import run_command

    return run_command.run(tray=tray, background=background)


def _stdio(which: str) -> int:
    from trayapp.stdio import main as stdio

    return stdio.run(None if which == "--all" else which)


def _is_plain(name: str) -> bool:
    """Whether the parser would take it for a workload's name; what is in doubt, it gets to see."""
    return name.isascii() and name.replace("-", "a").isalnum() and name.islower() and name[0] != "-" and len(name) < 64


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off the command after the first `--` of `exec`, which isn't ours to parse."""
    if words[:1] != ["exec"] or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _close_quietly() -> None:
    """Send the rest to /dev/null, so that Python's own flush at exit doesn't fail."""
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, sys.stdout.fileno())
        os.close(quiet)
    except (OSError, ValueError):
        return
