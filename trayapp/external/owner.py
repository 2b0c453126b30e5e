"""The interface to another program that keeps workloads signed in. A new one is a class here and a row in `owners.py`.

All calls may wait (for a disk, for that program) and are made in a worker thread; each keeps within its own limit. No
implementation reads a secret of the other program: from its files it takes the fields it names, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trayapp.core.external import ExternalWorkload
from trayapp.core.presentation import Verb
from trayapp.importers.entries import ImportableEntry, SkippedEntry


class ExternalError(Exception):
    """The other program couldn't be read or didn't act. Its text is a sentence for people: what happened, then what to do.

    `files` are those that a `Reading` would have had: when they change, it may succeed.
    """

    def __init__(self, text: str, files: frozenset[Path] = frozenset()) -> None:
        super().__init__(text)
        self.files = files


class PendingError(ExternalError):
    """It hasn't answered in time, and may still do what it was asked."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What another program has now, and how to notice changes.

    `actions` are those that can be carried out at present, for every workload of it. `files` are directories whose
    entries change with it; one that doesn't exist yet counts, too. `processes` are those whose end changes something.
    Where `reports` is false, changes can happen without either, and the next look is due after a time
    (`core.external.look_after`) while `running`. `problems` are sentences about what couldn't be read.
    """

    workloads: Sequence[ExternalWorkload] = ()
    actions: Sequence[Verb] = ()
    running: bool = False
    files: frozenset[Path] = frozenset()
    processes: frozenset[int] = frozenset()
    reports: bool = True
    problems: Sequence[str] = ()


class ExternalOwner(Protocol):
    """Another program. `id` is the part of names before the slash, `title` what people call it.

    A workload's word is one of `core.snapshot.Status` wherever the program's own word means that; any other is shown as
    it is, in grey, and nobody is notified of it.
    """

    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...

    def read(self) -> Reading:
        """What it has now; nothing, if it isn't there. Raises `ExternalError`."""
        ...

    def restart(self, name: str) -> None:
        """Have it restart a workload: it signs in again. Raises `ExternalError`."""
        ...

    def stop(self, name: str) -> None:
        """Have it stop a workload, and return once it has stopped. Raises `ExternalError`."""
        ...

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        """The workload as one that Amberlight could keep. Raises `ExternalError`."""
        ...
