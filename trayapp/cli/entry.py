"""The command line's one way in: where a failure becomes a sentence and an exit code.

Nothing heavy is imported here: a command loads what it needs when it runs, and a start of the app not even the grammar.
`run` and `demo` are the app itself; every other command talks to the running app (`client.py`) or to the configuration
file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from trayapp import __version__
from trayapp.cli.codes import BROKEN_PIPE, INTERRUPTED, OK, USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and lets no exception out."""
    try:
        for stream in (sys.stdout, sys.stderr):  # a glyph that the terminal's encoding lacks is no reason to fail
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
    words, after = split_command(list(sys.argv[1:] if argv is None else argv))
    if words in ([], ["run"]):  # the start at login: nothing to be parsed, and the icon should not wait for it
        return _start(tray=True)
    from trayapp.cli.grammar import parser

    try:
        arguments = parser().parse_args(words)
        if arguments.command == "exec" and not after:
            parser().error("say what to run, after --: amberlight exec NAME -- COMMAND")
        arguments.after = after
    except SystemExit as end:  # --help, --version, wrong usage: argparse has said all
        return end.code if isinstance(end.code, int) else USAGE
    if arguments.command == "version":
        sys.stdout.write(f"amberlight {__version__}\n")
        return OK
    if arguments.command == "run":
        return _start(tray=not arguments.no_tray)

    from trayapp.cli import commands

    return commands.run(arguments)


def _start(*, tray: bool) -> int:
    from trayapp.cli import starting

    return starting.run(tray=tray)


def split_command(words: list[str]) -> tuple[list[str], list[str]]:
    """For `exec`, what stands after the first `--` is not ours to read, whatever it looks like."""
    if words[:1] != ["exec"] or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _close_quietly() -> None:
    """Whoever read our output is gone: what is left goes nowhere, and Python's own flush at exit stays silent."""
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, sys.stdout.fileno())
        os.close(quiet)
    except (OSError, ValueError):
        return
