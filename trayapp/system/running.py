"""Which programs this user runs, by name: enough to say that a client is open while its file is edited."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

PROC = Path("/proc")
PS_LIMIT = 5.0  # s; it takes milliseconds


def runs(programs: Collection[str], proc: Path = PROC) -> bool:
    """Whether one of these runs for this user. False where nobody can tell: a hint, not a fact to build on."""
    if not programs:
        return False
    if sys.platform == "win32":
        from trayapp.system import windows_processes

        found = {name.lower() for name in windows_processes.names()}
        return not found.isdisjoint(name.lower() for name in programs)
    return not set(programs).isdisjoint(_linux(proc) if sys.platform == "linux" else _by_ps())


def _linux(proc: Path) -> set[str]:
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for each in proc.iterdir():
            if each.name.isdecimal():
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    if each.stat().st_uid == os.geteuid():
                        found.add((each / "comm").read_text(errors="replace").strip())
    return found


def _by_ps() -> set[str]:
    command = ["/bin/ps", "-x", "-o", "comm="]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PS_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {line.strip().rsplit("/", 1)[-1] for line in done.stdout.splitlines()}
