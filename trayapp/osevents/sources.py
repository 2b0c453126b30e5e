"""The registry of native event sources by operating system, and which of them work on this machine."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TypeAlias, cast

from trayapp.osevents.events import Source

log = logging.getLogger(__name__)

SourceFactory: TypeAlias = Callable[[], Source]


def _lazily(module: str, name: str) -> SourceFactory:
    """A factory that imports its module when called, so that no system loads what only another one has."""

    def make() -> Source:
        return cast(SourceFactory, getattr(import_module(f"trayapp.osevents.{module}"), name))()

    return make


NATIVE: Mapping[str, tuple[SourceFactory, ...]] = {  # by the beginning of `sys.platform`
    "linux": (
        _lazily("linux", "RtNetlink"),
        _lazily("linux", "Logind"),
        _lazily("linux", "Timerfd"),
        _lazily("linux", "NetworkManager"),
    ),
    "darwin": (_lazily("macos", "MacNetwork"), _lazily("macos", "MacPower")),
    "win32": (
        _lazily("windows", "WindowsNetwork"),
        _lazily("windows", "WindowsPower"),
        _lazily("windows", "WindowsSession"),
    ),
}


def native_sources(
    platform: str = sys.platform, native: Mapping[str, tuple[SourceFactory, ...]] = NATIVE
) -> list[Source]:
    """The native sources that work here. Where one is missing, the log says why, and polling takes its place."""
    factories = [factory for system, made in native.items() if platform.startswith(system) for factory in made]
    if not factories:
        log.info("os events: no native source for %s; polling notices changes within 30 s", platform)
    found: list[Source] = []
    for factory in factories:
        try:
            found.append(factory())
        except (OSError, ImportError) as error:
            log.warning("os events: a native source is not available (%s); polling takes its place", error)
    return found
