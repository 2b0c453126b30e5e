"""Load the configuration into the running app. A bad or missing file only shows a warning.

At the start a mistake in one workload keeps only that one from starting: from then on until the file is good, the others
follow it, and what was running isn't dropped because of a mistake.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Unpack

from trayapp.app.configuration_files import ConfigurationFiles, Stamps, survey
from trayapp.app.warning_lines import WarningLines
from trayapp.config.loader import Config, ConfigError, Settings
from trayapp.core.model import Spec
from trayapp.engine.publisher import AppFields
from trayapp.system.plain_files import NOT_RESPONDING, READ_LIMIT
from trayapp.system.worker import ClosedError, HangingError, Worker

log = logging.getLogger(__name__)

STILL_IN_FORCE = "Amberlight keeps using the last valid configuration."
MISSING = "is missing. Restore it, or restart Amberlight to run without it"
BLANK = "is empty. Restore it, or write [workloads] into it to have no workloads"


class ConfiguredEngine(Protocol):
    """What of the engine a configuration changes."""

    async def configure(self, specs: Iterable[Spec]) -> None:
        """Take the workloads that the configuration names now, in slices; calls are carried out one after the other."""
        ...

    def set_settling_times(self, settle: float, settle_max: float) -> None:
        """Set how long a network has to be quiet before anything is sent, and the longest wait for it; seconds (M10)."""
        ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        """Set `broken`, why there is no configuration, or not all of it; `outdated`, why an earlier one is in force."""
        ...


class ConfigurationReader:
    """Holds the settings in force, on the engine's loop. `load` reads the files; it raises `ConfigError` or `OSError`.

    It runs in a worker with a time limit: the engine must not wait for a file on a share that is gone.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        files: tuple[Path, ...],
        engine: ConfiguredEngine,
        warnings: WarningLines,
        has_read: Callable[[], object],
        applied: Callable[[Collection[Spec]], None],
        hides: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """`files` are the site-wide file and the user's; `has_read` is called after each reading, whatever it found, and
        `applied` with the workloads of each that is good, before the engine takes them. A workload that
        `hides` says yes to counts as not there."""
        self._load = load
        self._files = files
        self._engine = engine
        self._warnings = warnings
        self._has_read = has_read
        self._applied = applied
        self._hides = hides
        self._worker = Worker("configuration", READ_LIMIT)
        self.settings = Settings()
        self.watch = ConfigurationFiles(files, self._worker, lambda: self._stamps, self.read)
        self._stamps: Stamps | None = None  # of the files as they were last read; None if that failed for now
        self._in_force: Config | None = None  # from the first good configuration on, a bad file changes nothing
        self._without: frozenset[str] = frozenset()  # workloads that it leaves out because of their mistakes
        self._rejected: list[str] = []

    async def read(self) -> tuple[list[str], list[str]]:
        """Read the files and apply them. Returns errors and warnings, as sentences."""
        try:
            self._stamps, result = await self._worker.run(self._job)
        except (HangingError, ClosedError):
            self._stamps = None
            return self._reject([f"{self._files[-1]} can't be read: {NOT_RESPONDING}"]), []
        self._has_read()
        match result:
            case ConfigError():
                sentences = self._reject([str(mistake) for mistake in result.mistakes])
                if (good := self._at_the_start(result)) is not None:
                    await self._apply(good, result.bad, sentences)
                return sentences, []
            case OSError():
                self._stamps = None
                return self._reject([f"{result.filename or self._files[-1]} can't be read: {result.strerror}"]), []
            case Config() if lost := self._lost(result):
                return self._reject(lost), []
        await self._apply(result)
        return [], list(result.warnings)

    async def reread(self) -> None:
        """Read the files; what is wrong with them is shown like any other mistake."""
        await self.read()

    def _job(self) -> tuple[Stamps, Config | ConfigError | OSError]:
        """In the worker's thread: the stamps first, so that a change made during the reading is noticed later."""
        stamps = survey(self._files).stamps
        try:
            return stamps, self._load()
        except (ConfigError, OSError) as error:
            return stamps, error

    def _at_the_start(self, error: ConfigError) -> Config | None:
        """What can be used of a file with mistakes, as long as there was none without; None if that is nothing."""
        if error.good is None or (self._in_force is not None and not self._without):
            return None
        running = {} if self._in_force is None else self._in_force.workloads
        kept = {name: spec for name, spec in running.items() if name in error.bad}
        good = replace(error.good, workloads={**error.good.workloads, **kept})
        return good if good.workloads and not self._lost(good) else None

    def _lost(self, config: Config) -> list[str]:
        """What became of files with text in them. Nobody drops all workloads like that: they are being replaced."""
        before = self._in_force
        if before is None:
            return []
        missing = [f"{file} {MISSING}" for file in before.files if file not in config.files]
        blank = [f"{file} {BLANK}" for file in config.blank if file in before.files and file not in before.blank]
        return missing + blank

    async def _apply(self, config: Config, without: frozenset[str] = frozenset(), mistakes: Sequence[str] = ()) -> None:
        for sentence in config.warnings:
            log.warning("configuration: %s", sentence)
        self.settings, self._in_force, self._without = config.settings, config, without
        if not mistakes:
            self._rejected = []
            self._engine.set_app_fields(broken="", outdated="")
            self._warnings.set("configuration")
        self._engine.set_settling_times(config.settings.settle, config.settings.settle_max)
        specs = [spec for spec in config.workloads.values() if not self._hides(spec.name)]
        self._applied(specs)
        await self._engine.configure(specs)

    def _reject(self, sentences: list[str]) -> list[str]:
        """Report errors: from the start on as a red icon, later as a warning that the last good configuration stays in force."""
        if sentences != self._rejected:
            for sentence in sentences:
                log.error("configuration: %s", sentence)
        self._rejected = sentences
        if self._in_force is not None and not self._without:
            self._warnings.set("configuration", f"{sentences[0]}. {STILL_IN_FORCE}")
            self._engine.set_app_fields(outdated=f"{sentences[0]}. {STILL_IN_FORCE}")
        else:
            self._engine.set_app_fields(broken=sentences[0])
        return sentences

    async def close(self) -> None:
        """End the worker."""
        await self._worker.close()
