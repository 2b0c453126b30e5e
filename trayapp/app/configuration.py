"""Reading the configuration in the running app: what is taken up, and what a file with a mistake changes (nothing)."""

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
    """What the engine takes from a configuration."""

    def configure(self, specs: Iterable[Spec]) -> None:
        """The workloads that there are now."""
        ...

    def set_settling_times(self, settle: float, settle_max: float) -> None:
        """How long a network has to be quiet before anything is sent (M10); seconds."""
        ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        """`broken`: why there is no configuration at all; empty: there is one."""
        ...


class ConfigurationReader:
    """Keeps the settings in force. `load` reads the files; it raises `ConfigError` or `OSError`. On the engine's loop."""

    def __init__(
        self,
        load: Callable[[], Config],
        file: Path,
        engine: ConfiguredEngine,
        warnings: WarningLines,
        before: Callable[[], None],
    ) -> None:
        """`before` is called before each reading: whoever watches the files remembers how they are now."""
        self._load = load
        self._file = file
        self._engine = engine
        self._warnings = warnings
        self._before = before
        self.settings = Settings()
        self._good = False  # a configuration was read; from then on a bad file changes nothing

    def read(self) -> tuple[list[str], list[str]]:
        """Read the files and take up what they say: errors and warnings, as sentences."""
        self._before()
        try:
            config = self._load()
        except ConfigError as error:
            return self._misread([str(mistake) for mistake in error.mistakes]), []
        except OSError as error:
            return self._misread([f"{error.filename or self._file} cannot be read: {error.strerror}"]), []
        for sentence in config.warnings:
            log.warning("configuration: %s", sentence)
        self.settings, self._good = config.settings, True
        self._engine.set_app_fields(broken="")
        self._warnings.set("configuration")
        self._engine.set_settling_times(config.settings.settle, config.settings.settle_max)
        self._engine.configure(config.workloads.values())
        return [], list(config.warnings)

    def _misread(self, sentences: list[str]) -> list[str]:
        """At the start it is a red cross; later the last good configuration stays in force, and that is said."""
        for sentence in sentences:
            log.error("configuration: %s", sentence)
        if self._good:
            self._warnings.set("configuration", f"{sentences[0]}. {STILL_IN_FORCE}")
        else:
            self._engine.set_app_fields(broken=sentences[0])
        return sentences
