"""`amberlight exec`: become the command, with the token in its environment and nowhere else.

On POSIX the command takes our place: signals, terminal and exit code are its own. On Windows, which has no such thing,
it is a child whose exit code is handed on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from trayapp.cli.codes import INTERRUPTED
from trayapp.cli.output import clean, complain
from trayapp.core.model import Secret

NOT_EXECUTABLE = 126  # as shells report it
NOT_FOUND = 127
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")  # what is ignored stays ignored through exec


def become(command: Sequence[str], variable: str, token: Secret) -> int:
    """Does not return on POSIX, unless the command cannot be run: then 126 or 127 after a sentence."""
    environment = {**os.environ, variable: token.reveal()}
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name != "posix":
            return _child(command, environment)
        for name in _IGNORED_BY_PYTHON:
            if number := getattr(signal, name, None):
                signal.signal(number, signal.SIG_DFL)
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - no shell is what we want
    except FileNotFoundError:
        complain(f"amberlight: there is no command {clean(command[0])}")
        return NOT_FOUND
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds a character that no command can have"
        complain(f"amberlight: {clean(command[0])} cannot be run: {why}")
        return NOT_EXECUTABLE


def _child(command: Sequence[str], environment: dict[str, str]) -> int:
    """Ctrl-C reaches both of us; the command decides what it means."""
    with subprocess.Popen(list(command), env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                if process.poll() is not None:
                    return INTERRUPTED
