"""Watch directories that other programs write, also ones that don't exist yet: no wake-up while nothing changes.

Of a directory that doesn't exist, the nearest one on the way to it is watched, for the entry that is missing. Only this
machine's changes are reported; the programs run on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trayapp.app.configuration_files import entries_on_the_way
from trayapp.osevents.inotify import Inotify
from trayapp.system.plain_files import is_directory

log = logging.getLogger(__name__)

LOCK = ".lock"  # ends the names of files that come and go with each look of a program, also with ours
ROUNDS = 3  # of looking what to watch, until that is what is watched


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to watch: directories for all of their entries, and others for those on the way."""

    whole: frozenset[Path] = frozenset()
    others: frozenset[Path] = frozenset()
    names: frozenset[str] = frozenset()  # of entries in `others`


def _plan(directories: Iterable[Path]) -> _Plan:
    whole: set[Path] = set()
    on_the_way: set[tuple[Path, str]] = set()
    for directory in directories:
        entries = list(entries_on_the_way(directory))
        if is_directory(directory):
            whole.add(directory)
            entries = entries[:-1]  # symbolic links
        on_the_way.update(entries)
    return _Plan(frozenset(whole), frozenset(at for at, _ in on_the_way), frozenset(name for _, name in on_the_way))


class DirectoryChanges:
    """Calls `changed`, on the loop that made it, when an entry comes, goes or is written, or a directory itself does."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._plan = _Plan()
        self._complete = True
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
            asyncio.get_running_loop().add_reader(self._inotify.descriptor, self._on_readable, self._inotify)
        except (OSError, AttributeError, NotImplementedError) as error:
            log.info("changes of other programs are looked for: %s", error)
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None

    @property
    def reported(self) -> bool:
        """Whether every change is reported."""
        return self._inotify is not None and self._complete

    def watch(self, directories: Iterable[Path]) -> bool:
        """Watch these and no others, from a worker's thread; whether they are others than before, so that what
        happened there until now isn't known."""
        inotify, directories = self._inotify, tuple(directories)
        if inotify is None:
            return False
        new = False
        for _ in range(ROUNDS):
            if (plan := _plan(directories)) == self._plan:
                break
            self._complete = inotify.watch(plan.whole | plan.others)
            self._plan, new = plan, True
        return new

    def _on_readable(self, inotify: Inotify) -> None:
        plan, hit = self._plan, False
        for event in inotify.events():
            if event.directory is None or not event.name:
                hit = True
            elif not event.name.endswith(LOCK):
                hit = hit or event.directory in plan.whole or event.name in plan.names
        if hit:
            self._changed()

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.descriptor)
            self._inotify.close()
            self._inotify = None
