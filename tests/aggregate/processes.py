"""Inspects processes from outside: whether one runs, what is public about it, and what its memory holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

linux = pytest.mark.linux("looks into /proc")


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie doesn't."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def public_data(pid: int) -> bytes:
    """Its arguments and environment, as other programs of this user can read them."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def in_memory(pid: int, wanted: Iterable[str]) -> set[str]:
    """Which of these texts are in its writable memory."""
    wanted, found = set(wanted), set[str]()
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if span is None:
                continue
            begin, end = (int(text, 16) for text in span.groups())
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(begin)
                held = memory.read(end - begin)
                found |= {text for text in wanted if text.encode() in held}
    return found
