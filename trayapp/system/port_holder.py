"""Which program listens on a port of this machine, as far as Linux tells: from /proc, so only of this user's by name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
# 127.0.0.1 and 0.0.0.0, alone, and mapped into IPv6 or as a dual-stack listener; as the kernel prints them.
_IPV4 = ("0100007F", "00000000")
_IPV6 = ("0000000000000000FFFF00000100007F", "0" * 32)
AMBERLIGHT = "amberlight"  # the program, alone or as an argument of Python


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens there. `process` is its id, 0 if it isn't known: another user's."""

    user: int
    process: int = 0
    program: str = ""
    amberlight: bool = False

    @property
    def own(self) -> bool:
        """Whether it is a program of this user, who can end it."""
        return self.user == os.geteuid()


def port_holder(port: int, proc: Path = PROC) -> PortHolder | None:
    """The program that keeps others from listening on 127.0.0.1; None if that isn't known. Takes some milliseconds."""
    if not sys.platform.startswith("linux"):
        return None
    for user, inode in _listeners(port, proc):
        if user != os.geteuid():
            return PortHolder(user)
        for process in _processes(inode, proc):
            words = _read(process / "cmdline").split("\0")
            ours = AMBERLIGHT in (Path(word).name for word in words[:2]) or words[1:3] == ["-m", "trayapp"]
            program = _read(process / "comm").strip()
            return PortHolder(user, int(process.name), program, ours)
        return PortHolder(user)
    return None


def holder_text(holder: PortHolder | None) -> str:
    """Who that is, for a sentence: "python3 (process 1234)"; empty if nobody knows."""
    if holder is None:
        return ""
    if not holder.own:
        return "a system service" if holder.user == 0 else f"a program of another user ({_user_name(holder.user)})"
    if not holder.process:
        return ""
    program = "another Amberlight" if holder.amberlight else holder.program
    return f"{''.join(c for c in program if c.isprintable())} (process {holder.process})"


def _listeners(port: int, proc: Path) -> Iterator[tuple[int, str]]:
    """User id and inode of each socket that listens there."""
    for table, addresses in (("tcp", _IPV4), ("tcp6", _IPV6)):
        for line in _read(proc / "net" / table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN and fields[1] in {f"{at}:{port:04X}" for at in addresses}:
                yield int(fields[7]), fields[9]


def _processes(inode: str, proc: Path) -> Iterator[Path]:
    """The directories in /proc of this user's processes that have this socket."""
    wanted = f"socket:[{inode}]"
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # another user's, or gone
            if any(_target(each) == wanted for each in (process / "fd").iterdir()):
                yield process


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""


def _read(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_bytes().decode("utf-8", "replace")
    return ""


def _user_name(user: int) -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return str(user)
