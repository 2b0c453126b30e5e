"""The fake of another program for take-overs: it notes what it was asked to do, refuses on request, and touches files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.external.fake_owner import FakeOwner
from trayapp.core.external import GONE, status_of
from trayapp.external.owner import ExternalError
from trayapp.importers.entries import ImportableEntry, SkippedEntry


@dataclass
class StoppingOwner(FakeOwner):
    """`history` is what it was asked to do; `failing` are the sentences of what it refuses, by the call's name.

    `on_stop` and `on_restart` are what it does to other programs' files meanwhile.
    """

    history: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    entries: dict[str, ImportableEntry | SkippedEntry] = field(default_factory=dict)
    on_stop: Callable[[str], None] = lambda name: None

    def word(self, name: str = "github") -> str:
        return self._known(name).word

    def has(self, name: str) -> bool:
        return any(each.name == name for each in self.workloads)

    def restart(self, name: str) -> None:
        self.history.append(f"restart {name}")
        self._may("restart")
        super().restart(name)
        self.becomes(name, "running")

    def stop(self, name: str) -> None:
        self.history.append(f"stop {name}")
        self._may("stop")
        assert status_of(self.word(name)) not in GONE, "stopped twice"
        self.on_stop(name)
        super().stop(name)

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        self._may("entry")
        made = super().entry(name)
        return self.entries.get(name, made)

    def becomes(self, name: str, word: str, context: str = "") -> None:
        old = self._known(name)
        new = replace(old, word=word, context=context, since=old.since + 1.0)
        self.workloads = [new if each is old else each for each in self.workloads]

    def _may(self, what: str) -> None:
        if (sentence := self.failing.get(what)) is not None:
            raise ExternalError(sentence)
