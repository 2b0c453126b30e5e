"""ToolHive's command `thv`, for when its API isn't running or requires a sign-in: `thv restart NAME`, `thv stop NAME`.

Its workloads outlive it. It gets no input, no window and a limit of time.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping

from trayapp.core.one_line import clean
from trayapp.core.redaction import redact_start
from trayapp.system.processes import NO_WINDOW

LIMIT = 15.0  # s; a restart takes two
OUTPUT_MAX = 1 << 16  # bytes of its output that are looked at, from the end
REASON_MAX = 200  # characters
_PREFIX = "Error:"


class CommandError(Exception):
    """It couldn't be run or it failed. The text completes "`thv` …". `slow`: it may still happen."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.slow = slow


def run(program: str, verb: str, name: str, environ: Mapping[str, str]) -> None:
    """Run `thv VERB NAME` and wait for its end. Raises `CommandError`."""
    with tempfile.TemporaryFile() as output:  # not a pipe: a workload that kept it open would hold us up
        try:
            done = subprocess.run(
                [program, verb, "--", name],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=False,
                creationflags=NO_WINDOW,
                start_new_session=os.name == "posix",
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"didn't finish within {LIMIT:g} seconds", slow=True) from None
        except OSError as error:
            raise CommandError(f"can't be started: {error.strerror}") from None
        if done.returncode:
            output.seek(max(0, output.seek(0, os.SEEK_END) - OUTPUT_MAX))
            reason = _reason(output.read().decode("utf-8", "replace"))
            raise CommandError(f"failed: {reason}" if reason else f"failed ({done.returncode})")


def _reason(output: str) -> str:
    """Why it failed, as it says itself: its line `Error: …`."""
    lines = [clean(line).strip() for line in output.splitlines()]
    found = next((line.removeprefix(_PREFIX).strip() for line in reversed(lines) if line.startswith(_PREFIX)), "")
    return redact_start(found, REASON_MAX).rstrip(".")
