"""Another program that keeps workloads signed in, as a strict fake: it knows what it has, and takes nothing it can't do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from trayapp.core.external import GONE, ExternalWorkload, status_of
from trayapp.core.presentation import Verb
from trayapp.external.owner import ExternalError, Reading
from trayapp.importers.entries import ImportableEntry, SkippedEntry


def workload(name: str = "github", port: int = 21001, word: str = "running", url: str = "") -> ExternalWorkload:
    """A remote workload with its proxy."""
    return ExternalWorkload(name, url or f"https://{name}.example/mcp", f"http://127.0.0.1:{port}/mcp", word)


@dataclass
class FakeOwner:
    """Implements `ExternalOwner`. `history` is what it was asked to do; `failing` are the sentences of what it refuses.

    `on_stop` and `on_restart` are called with a workload's name, for what the program does to others' files.
    """

    id: str = "toolhive"
    title: str = "ToolHive"
    workloads: dict[str, ExternalWorkload] = field(default_factory=dict)
    entries: dict[str, ImportableEntry | SkippedEntry] = field(default_factory=dict)
    actions: Sequence[Verb] = (Verb.RESTART, Verb.TAKE_OVER)
    failing: dict[str, str] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    on_stop: Callable[[str], None] = lambda name: None
    on_restart: Callable[[str], None] = lambda name: None

    def has(self, *workloads: ExternalWorkload) -> FakeOwner:
        """It has these, each importable by its address."""
        for each in workloads:
            self.workloads[each.name] = each
            self.entries.setdefault(each.name, ImportableEntry(each.name, {"url": each.url}))
        return self

    def word(self, name: str = "github") -> str:
        return self.workloads[name].word

    def read(self) -> Reading:
        self._may("read")
        return Reading(tuple(self.workloads.values()), tuple(self.actions), running=bool(self.actions))

    def restart(self, name: str) -> None:
        self._known(name)
        self.history.append(f"restart {name}")
        self._may("restart")
        assert Verb.RESTART in self.actions, "asked for what it doesn't offer"
        self.workloads[name] = replace(self.workloads[name], word="running")
        self.on_restart(name)

    def stop(self, name: str) -> None:
        self._known(name)
        self.history.append(f"stop {name}")
        self._may("stop")
        assert Verb.TAKE_OVER in self.actions, "asked for what it doesn't offer"
        assert status_of(self.word(name)) not in GONE, "stopped twice"
        self.on_stop(name)
        self.workloads[name] = replace(self.workloads[name], word="stopped")

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        self._known(name)
        self._may("entry")
        return self.entries[name]

    def _known(self, name: str) -> None:
        if name not in self.workloads:
            raise ExternalError(f"{self.title} has no workload {name}.")

    def _may(self, what: str) -> None:
        if (sentence := self.failing.get(what)) is not None:
            raise ExternalError(sentence)
