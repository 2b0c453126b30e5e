"""Replaceable parts of the application: what the demonstration and the tests put in the place of the real thing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trayapp.app.start_at_login import system

if TYPE_CHECKING:
    from trayapp.app.control import AppControl
    from trayapp.autostart import Autostart
    from trayapp.core.snapshot import Snapshot
    from trayapp.vault.keystore import Keystore, MemoryKeystore


@dataclass(slots=True)
class Parts:
    """None and the defaults mean the real thing."""

    keystore: Callable[[], Keystore | MemoryKeystore] | None = None
    open_url: Callable[[str], bool] | None = None
    on_snapshot: Callable[[Snapshot], None] | None = None
    loading: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext  # while everything is imported
    on_start: Callable[[AppControl], None] | None = None  # on the engine's loop, once everything runs
    notifications: bool = True
    autostart: Callable[[], Autostart] | None = system  # None: not offered in the menu
