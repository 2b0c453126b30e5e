"""`--format json` for commands that tell their progress: it goes to standard error, and the result to standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.output import print_json
from trayapp.config.paths import Paths


class _Told(io.StringIO):
    """Passes everything on to standard error, and keeps it."""

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
        return super().write(text)


def with_lines(command: Callable[[], int]) -> int:
    """Run the command; the result is `{"ok", "done"}`: the lines that it would have printed."""
    with redirect_stdout(told := _Told()):
        code = command()
    print_json({"ok": code == 0, "done": [line for line in told.getvalue().splitlines() if line]})
    return code


def with_status(command: Callable[[], int], paths: Paths, name: Callable[[], str]) -> int:
    """Run the command; the result is the workload's status, as `amberlight status NAME --format json` prints it, or null
    if there is none."""
    with redirect_stdout(_Told()):
        code = command()
    try:
        print_json(ApiClient.of(paths).status(name()))
    except (ApiError, NotRunningError):
        print_json(None)
    return code
