"""A strict fake of another program that keeps workloads signed in: an `ExternalOwner` that says what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trayapp.core.external import ExternalWorkload
from trayapp.core.presentation import Verb
from trayapp.external.owner import Reading
from trayapp.importers.entries import ImportableEntry, SkippedEntry, make_entry

BOTH = (Verb.RESTART, Verb.TAKE_OVER)
CANARY = "canary-refresh-token-of-another-program"  # what it keeps and nobody may read


def workload(name: str, word: str = "running", context: str = "", since: float = 100.0) -> ExternalWorkload:
    """One of its workloads."""
    return ExternalWorkload(name, f"https://{name}.example/mcp", "http://127.0.0.1:21000/mcp", word, context, since)


@dataclass
class FakeOwner:
    """Has `workloads` while `there`. Every call is noted in `calls`; a name that it doesn't have fails the test.

    `failure` is raised by the next calls. While `hanging` is cleared, calls wait for it.
    """

    workloads: list[ExternalWorkload] = field(default_factory=list)
    id: str = "toolhive"
    title: str = "ToolHive"
    there: bool = True
    running: bool = True
    reports: bool = True
    actions: Sequence[Verb] = BOTH
    files: frozenset[Path] = frozenset()
    processes: frozenset[int] = frozenset()
    problems: Sequence[str] = ()
    failure: Exception | None = None
    hanging: threading.Event | None = None
    on_restart: Callable[[str], None] = lambda name: None
    calls: list[str] = field(default_factory=list)
    secret: str = field(default=CANARY, repr=False)

    def read(self) -> Reading:
        """What it has now."""
        self._called("read")
        if not self.there:
            return Reading(files=self.files)
        return Reading(
            tuple(self.workloads),
            self.actions,
            self.running,
            self.files,
            self.processes,
            self.reports,
            tuple(self.problems),
        )

    def restart(self, name: str) -> None:
        """Restart one."""
        self._known(name)
        assert Verb.RESTART in self.actions
        self._called(f"restart {name}")
        self.on_restart(name)

    def stop(self, name: str) -> None:
        """Stop one."""
        self._known(name)
        self._called(f"stop {name}")
        self.becomes(name, "stopped")

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        """One of its workloads as one of ours."""
        found = self._known(name)
        self._called(f"entry {name}")
        return make_entry(name, {"url": found.url})

    def becomes(self, name: str, word: str, context: str = "") -> None:
        """One of its workloads is in another state."""
        old = self._known(name)
        new = replace(old, word=word, context=context, since=old.since + 1.0)
        self.workloads = [new if each is old else each for each in self.workloads]

    def reads(self) -> int:
        """How often it was read."""
        return self.calls.count("read")

    def acts(self) -> list[str]:
        """What else it was asked."""
        return [each for each in self.calls if each != "read"]

    def _known(self, name: str) -> ExternalWorkload:
        found = [each for each in self.workloads if each.name == name]
        assert found, f"asked about {name}, which it does not have"
        return found[0]

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.hanging is not None:
            self.hanging.wait(30.0)
        if self.failure is not None:
            raise self.failure
