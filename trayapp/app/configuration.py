"""Load the configuration into the running app. An invalid file only shows a warning."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, Unpack

from trayapp.app.warning_lines import WarningLines
from trayapp.config.loader import Config, ConfigError, Settings
from trayapp.core.model import Spec
from trayapp.engine.publisher import AppFields

log = logging.getLogger(__name__)

STILL_IN_FORCE = "The last good configuration stays in force."


class ConfiguredEngine(Protocol):
    """What of the engine a configuration changes."""

    def configure(self, specs: Iterable[Spec]) -> None:
        """Take the workloads that the configuration names now."""
        ...

    def set_settling_times(self, settle: float, settle_max: float) -> None:
        """Set how long a network has to be quiet before anything is sent, and the longest wait for it; seconds (M10)."""
        ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        """Set `broken`: why there is no configuration at all; empty if there is one."""
        ...


class ConfigurationReader:
    """Holds the settings in force, on the engine's loop. `load` reads the files; it raises `ConfigError` or `OSError`."""

    def __init__(
        self,
        load: Callable[[], Config],
        file: Path,
        engine: ConfiguredEngine,
        warnings: WarningLines,
        before_read: Callable[[], None],
    ) -> None:
        """`before_read` is called before each reading, so that a change made during it is noticed later."""
        self._load = load
        self._file = file
        self._engine = engine
        self._warnings = warnings
        self._before_read = before_read
        self.settings = Settings()
        self._has_loaded = False  # from the first good configuration on, a bad file changes nothing

    def read(self) -> tuple[list[str], list[str]]:
        """Read the files and apply them. Returns errors and warnings, as sentences."""
        self._before_read()
        try:
            config = self._load()
        except ConfigError as error:
            return self._reject([str(mistake) for mistake in error.mistakes]), []
        except OSError as error:
            return self._reject([f"{error.filename or self._file} cannot be read: {error.strerror}"]), []
        for sentence in config.warnings:
            log.warning("configuration: %s", sentence)
        self.settings, self._has_loaded = config.settings, True
        self._engine.set_app_fields(broken="")
        self._warnings.set("configuration")
        self._engine.set_settling_times(config.settings.settle, config.settings.settle_max)
        self._engine.configure(config.workloads.values())
        return [], list(config.warnings)

    def _reject(self, sentences: list[str]) -> list[str]:
        """Report errors: at the start as a red icon, later as a warning that the last good configuration stays in force."""
        for sentence in sentences:
            log.error("configuration: %s", sentence)
        if self._has_loaded:
            self._warnings.set("configuration", f"{sentences[0]}. {STILL_IN_FORCE}")
        else:
            self._engine.set_app_fields(broken=sentences[0])
        return sentences
