"""The limit on open files: raised at the start as far as this user may."""

from __future__ import annotations

import sys

MANY = 1 << 20  # where nothing bounds it: some programs we start try to close every descriptor they may have
OPEN_MAX = 10240  # macOS takes no more, even where it says that nothing bounds it


def raise_file_limit() -> None:
    """Raise this process's limit to its hard limit: macOS begins with 256 files, of which each client needs two."""
    if sys.platform == "win32":  # no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = MANY if hard == resource.RLIM_INFINITY else min(hard, MANY)
    for wanted in (highest, OPEN_MAX):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return
