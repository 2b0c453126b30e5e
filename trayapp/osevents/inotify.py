"""Changes in directories from the Linux kernel (inotify(7)): one file descriptor, and no wake-up while nothing changes.

Directories are watched and not files, because most editors replace a file, and a watch would stay with the old one.
Network shares report only what this machine does itself, so whoever watches also polls. Python has no such call; the C
library does.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CLOSE_WRITE, MOVED_TO = 0x8, 0x80  # sys/inotify.h: IN_*
_ATTRIB, _MOVED_FROM, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x4, 0x40, 0x100, 0x200, 0x400, 0x800
_ONLYDIR, _EXCL_UNLINK = 0x01000000, 0x04000000
_MASK = CLOSE_WRITE | MOVED_TO | _ATTRIB | _MOVED_FROM | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_IGNORED = 0x8000  # a watch was removed, which the kernel reports as well
_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000
_EVENT = struct.Struct("@iIII")  # watch, mask, cookie, length of the name
_READ_SIZE = 65536  # bytes


@dataclass(frozen=True, slots=True)
class DirectoryEvent:
    """Something happened to the entry `name`; to the directory itself, or to all of them, if that is empty."""

    name: str
    written: bool  # the entry is complete: it was closed after writing, or moved here
    directory: Path | None = None  # None: any of them


class Inotify:
    """`descriptor` becomes readable when something happened. Raises `OSError` where the kernel has no such thing."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("inotify is Linux's")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(self._libc.inotify_init1(_NONBLOCK | _CLOEXEC))
        self._watches: dict[int, Path] = {}

    def watch(self, directories: Iterable[Path]) -> bool:
        """Watch these and no others; False if one of them can't be. Looks at the paths, so it may take its time."""
        watches: dict[int, Path] = {}
        complete = True
        for directory in directories:
            number = self._libc.inotify_add_watch(
                self.descriptor, os.fsencode(directory), _MASK | _ONLYDIR | _EXCL_UNLINK
            )
            if number >= 0:  # the same as before for the same directory
                watches[number] = directory
            else:
                complete = False
        for number in self._watches.keys() - watches.keys():
            self._libc.inotify_rm_watch(self.descriptor, number)  # fails for one that went with its directory
        self._watches = watches
        return complete

    def events(self) -> Iterator[DirectoryEvent]:
        """What happened since the last call. Never waits."""
        while True:
            try:
                data = os.read(self.descriptor, _READ_SIZE)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                if not mask & _IGNORED:
                    written = bool(mask & (CLOSE_WRITE | MOVED_TO))
                    yield DirectoryEvent(os.fsdecode(name), written, self._watches.get(number))

    def close(self) -> None:
        """Stop watching."""
        os.close(self.descriptor)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
