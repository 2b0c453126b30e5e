"""`amberlight exec`: runs a command with the token in its environment and nowhere else.

On POSIX the command replaces this process, so signals, terminal and exit code are its own. Windows has no such thing;
there it is a child process in the same console, and this one ends as it does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from trayapp.cli.output import clean, flush_output, print_error
from trayapp.core.model import Secret
from trayapp.system.processes import findable

NOT_EXECUTABLE = 126  # as shells report it
NOT_FOUND = 127
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)]
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")  # ignored signals stay ignored through exec, so they are restored


def replace_process(command: Sequence[str], variable: str, token: Secret) -> int:
    """Run the command. Doesn't return on POSIX unless it can't be run: then 126 or 127, after a message."""
    environment = {**os.environ, variable: token.reveal()}
    flush_output()
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        if os.name != "posix":
            return _run_child(command, environment)
        for name in _IGNORED_BY_PYTHON:
            if number := getattr(signal, name, None):
                signal.signal(number, signal.SIG_DFL)
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - no shell, on purpose
    except FileNotFoundError:
        print_error(f"amberlight: there's no command {clean(command[0])}")
        return NOT_FOUND
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds a character that no command can have"
        print_error(f"amberlight: {clean(command[0])} can't be run: {reason}")
        return NOT_EXECUTABLE


def _run_child(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run it until it ends. Ctrl-C and Ctrl-Break reach both processes, and the command decides what they mean."""
    found = findable(command)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    try:
        with subprocess.Popen(found, env=environment) as process:
            return exit_code(process.wait())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(code: int) -> int:
    """The same 32 bits as a signed number: Python ends with -1 for what is larger, and crashes have codes like 0xC0000005."""
    return code - (1 << 32) if code >= 1 << 31 else code
