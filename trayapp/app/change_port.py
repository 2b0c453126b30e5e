"""*Change port…*: move the loopback server to a free port, keep that in config.toml, and tell the clients' files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Protocol

from trayapp.api.controls import PortChanged
from trayapp.app.client_files import ClientFiles
from trayapp.app.configuration import ConfigurationReader
from trayapp.app.listening import Listening
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.core.model import Problem, Workload
from trayapp.core.outages import changed_text

log = logging.getLogger(__name__)

USUAL = 8765
NEAR = 50  # ports above the configured one that are tried: people recognise them, and no system hands them out
MAX = 65535


class Workloads(Protocol):
    """What is needed of the engine."""

    @property
    def workloads(self) -> Mapping[str, Workload]: ...


class PortChange:
    """Carries it out, on the engine's loop."""

    def __init__(
        self,
        listening: Listening,
        paths: Paths,
        configuration: ConfigurationReader,
        engine: Workloads,
        client_files: ClientFiles,
    ) -> None:
        self._listening = listening
        self._paths = paths
        self._configuration = configuration
        self._engine = engine
        self._client_files = client_files

    async def change(self, port: int | None) -> PortChanged | Problem:
        """Use this port from now on, or with None one that is free; nothing is changed if that fails."""
        errors, _ = await self._configuration.read()
        if errors:
            return Problem("configuration", _sentence(errors[0]))
        ports = self._free_ones() if port is None else iter((port,))
        result = await self._listening.change(ports, self._commit)
        if isinstance(result, str):
            return Problem("port", result)
        repaired = await self._client_files.repair()
        if isinstance(repaired, Problem):
            log.warning("the clients' files were not updated: %s", repaired.summary)
            return PortChanged(result, f"{changed_text(result)} {repaired.summary}")
        updated = tuple(each.title for each in repaired if not each.problem)
        failed = tuple(each.title for each in repaired if each.problem)
        for each in repaired:
            if each.problem:
                log.warning("%s was not updated: %s", each.title, each.problem)
        restart = " ".join(dict.fromkeys(each.restart for each in repaired if not each.problem and each.restart))
        return PortChanged(result, f"{changed_text(result, updated, failed)} {restart}".rstrip(), updated, failed)

    async def _commit(self, port: int) -> str:
        """Make it the configured port."""
        try:
            await asyncio.to_thread(_write, self._paths, port)  # waits for a lock and for the disk
        except ConfigError as error:
            return _sentence(str(error.mistakes[0]))
        except OSError as error:
            return f"{error.filename or self._paths.config_file} can't be written: {error.strerror}."
        except _EditFailedError as error:
            return _sentence(str(error))
        errors, _ = await self._configuration.read()
        if not errors and self._configuration.settings.port != port:
            errors = [f"{self._paths.config_file} doesn't decide the port here"]
        return _sentence(errors[0]) if errors else ""

    def _free_ones(self) -> Iterator[int]:
        """Ports to try, the nearest first; 0 lets the system choose."""
        start = self._configuration.settings.port or USUAL
        taken = {w.spec.redirect_port for w in self._engine.workloads.values()}  # sign-ins need those
        yield from (each for each in range(start + 1, min(start + NEAR, MAX) + 1) if each not in taken)
        yield 0


class _EditFailedError(Exception):
    """`config.editor` refused, and changed nothing."""


def _write(paths: Paths, port: int) -> None:
    """In a thread: set the key in the user's file."""
    from trayapp.config import editor  # imports tomlkit, which only editing needs

    try:
        editor.change(paths, ("settings",), {"port": port})
    except editor.EditError as error:
        raise _EditFailedError(str(error)) from None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
