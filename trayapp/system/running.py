"""Which programs this user runs, by name: enough to say that a client is open while its file is edited.

Also which program a process is. Command lines aren't read: people put secrets on them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

PROC = Path("/proc")
PS_LIMIT = 5.0  # s; it takes milliseconds
PS_MAX = 99_999 if sys.platform == "darwin" else (1 << 31) - 1  # given a higher number, `ps` rejects the whole list


def runs(programs: Collection[str], proc: Path = PROC) -> bool:
    """Whether one of these runs for this user. False where nobody can tell: a hint, not a fact to build on."""
    if not programs:
        return False
    if sys.platform == "win32":
        from trayapp.system import windows_processes

        found = {name.lower() for name in windows_processes.names()}
        return not found.isdisjoint(name.lower() for name in programs)
    return not set(programs).isdisjoint(_linux(proc) if sys.platform == "linux" else _by_ps())


def names_of(processes: Collection[int], proc: Path = PROC) -> Mapping[int, str]:
    """The program's name of each of these processes that still runs, without `.exe`; Linux cuts it to 15 characters."""
    if not processes:
        return {}
    if sys.platform == "win32":
        from trayapp.system import windows_processes

        return {pid: name for pid, name in windows_processes.by_id().items() if pid in processes}
    if sys.platform != "linux":
        return _named_by_ps(processes)
    return {pid: name for pid in processes if (name := _name_on_linux(proc / str(pid) / "stat"))}


def _name_on_linux(stat: Path) -> str:
    """The name in `PID (NAME) STATE …`; empty for one that has ended, though nobody has waited for it yet."""
    try:
        before, _, after = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
    except OSError:
        return ""
    return "" if after.split()[:1] in (["Z"], ["X"]) else before.partition("(")[2]


def _named_by_ps(processes: Collection[int]) -> Mapping[int, str]:
    possible = [str(pid) for pid in processes if 0 < pid <= PS_MAX]
    if not possible:
        return {}
    command = ["/bin/ps", "-o", "pid=,stat=,comm=", "-p", ",".join(possible)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PS_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    return {int(row[0]): row[2].rsplit("/", 1)[-1] for row in rows if len(row) == 3 and not row[1].startswith("Z")}


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
