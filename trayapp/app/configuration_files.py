"""Watch the configuration files: changes are noticed at once where the kernel reports them, else in the next pass.

Every look at the files is made in a worker with a time limit, because a file may lie on a share that is gone. A change
counts once its writer has closed the file, or once nothing has changed for `QUIET`: an editor may write in steps, and
tools that check files out remove them first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trayapp.osevents.inotify import Inotify
from trayapp.system.plain_files import is_directory
from trayapp.system.worker import ClosedError, HangingError, Worker

log = logging.getLogger(__name__)

QUIET = 1.0  # s without a change, after which a file that nobody was seen to close counts as completely written
BURST = 0.1  # s from a closed file to its reading: programs write a file in several steps, and several files together
LOOK_EVERY = 1.0  # s at least between two looks that no event asked for
LINKS_MAX = 40  # the kernel's own limit for one path

Stamps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """The files as they are now, and what has to be watched to notice that they are others."""

    stamps: Stamps  # per file: its identity and times, or the error that looking brought
    directories: frozenset[Path]
    names: frozenset[str]  # of entries in these directories


def survey(files: tuple[Path, ...]) -> Survey:
    """Look at the files. Takes as long as their file systems do."""
    directories: set[Path] = set()
    names: set[str] = set()
    for file in files:
        for directory, name in entries_on_the_way(file):
            directories.add(directory)
            names.add(name)
    return Survey(tuple(map(_stamp, files)), frozenset(directories), frozenset(names))


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError as error:
        return (error.errno or 0,)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


def entries_on_the_way(file: Path) -> Iterator[tuple[Path, str]]:
    """The directory entries that decide which file a path means: each symbolic link on the way, and its last part.

    Where the way ends early, the part that is missing.
    """
    parts = list(reversed(file.parts[1:]))
    here, links = Path(file.anchor), 0
    while parts:
        part = parts.pop()
        if part == "..":
            here = here.parent
            continue
        entry = here / part
        target = _link_target(entry)
        if target is not None and links < LINKS_MAX:
            yield here, part
            links += 1
            here = Path(target.anchor) if target.is_absolute() else here
            parts += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        elif not parts or not is_directory(entry):
            yield here, part
            return
        else:
            here = entry


def _link_target(path: Path) -> Path | None:
    with contextlib.suppress(OSError, ValueError):
        return path.readlink()
    return None


class ConfigurationFiles:
    """Asks for a reading when the files are others than at the last one. Belongs to the engine's loop.

    `stamps_read` gives the stamps of the files as they were last read; None if they have to be read again anyway.
    """

    def __init__(
        self,
        files: tuple[Path, ...],
        worker: Worker,
        stamps_read: Callable[[], Stamps | None],
        read: Callable[[], Awaitable[object]],
    ) -> None:
        self._files = files
        self._worker = worker
        self._stamps_read = stamps_read
        self._read = read
        self._inotify: Inotify | None = None
        self._names: frozenset[str] = frozenset()
        self._hint = asyncio.Event()
        self._written = False  # a writer has closed one of the files since the last look
        self._pending: tuple[Stamps, float] | None = (
            None  # a change that isn't read yet, and since when it is like this
        )
        self._looked_at = float("-inf")

    def passed(self) -> None:
        """The engine made a pass: a look is due, as not every file system reports changes."""
        if asyncio.get_running_loop().time() - self._looked_at >= LOOK_EVERY:
            self._hint.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            self._inotify = Inotify()
            loop.add_reader(self._inotify.descriptor, self._on_readable, self._inotify)
        except (OSError, AttributeError, NotImplementedError) as error:
            log.info("changes of the configuration are looked for in each pass: %s", error)
        self._hint.set()
        try:
            while True:
                await self._hint.wait()
                if self._written:
                    await asyncio.sleep(BURST)
                self._hint.clear()
                self._looked_at = loop.time()
                await self._look()
        finally:
            if self._inotify is not None:
                loop.remove_reader(self._inotify.descriptor)
                self._inotify.close()
                self._inotify = None

    def _on_readable(self, inotify: Inotify) -> None:
        for event in inotify.events():
            if event.name in self._names or not event.name:
                self._written = self._written or event.written
                self._hint.set()

    async def _look(self) -> None:
        """Compare with the last reading, and read if a change is complete."""
        written, self._written = self._written, False
        try:
            found = await self._worker.run(self._survey_and_watch)
        except HangingError:
            await self._read()  # which says so, once
            return
        except ClosedError:
            return
        if found.names != self._names:
            self._names = found.names
            self._hint.set()  # what happened to the new ones meanwhile was not listened to
        if found.stamps == self._stamps_read():
            self._pending = None
            return
        now = asyncio.get_running_loop().time()
        if self._pending is None or self._pending[0] != found.stamps:
            self._pending = found.stamps, now
        left = QUIET - (now - self._pending[1])
        if not written and left > 0:
            asyncio.get_running_loop().call_later(left, self._hint.set)
            return
        self._pending = None
        log.info("the configuration file changed")
        await self._read()

    def _survey_and_watch(self) -> Survey:
        """In the worker's thread: first what is to be watched, so that nothing happens unnoticed after the look."""
        if self._inotify is not None:
            self._inotify.watch(survey(self._files).directories)
        return survey(self._files)
