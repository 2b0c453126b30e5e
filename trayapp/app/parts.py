"""Replaceable parts of the app: what the demo, the tests and the benches put in the place of the real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trayapp.app.start_at_login import system_autostart

if TYPE_CHECKING:
    from trayapp.app.control import AppControl
    from trayapp.autostart import Autostart
    from trayapp.clients.places import Machine
    from trayapp.core.snapshot import Snapshot
    from trayapp.external.owner import ExternalOwner
    from trayapp.vault.keystore import Keystore, MemoryKeystore


def this_machine() -> Machine:
    """The machine that this runs on."""
    from trayapp.clients.places import Machine

    return Machine.this()


@dataclass(slots=True)
class Parts:
    """The defaults are the real parts."""

    keystore: Callable[[], Keystore | MemoryKeystore] | None = None
    open_url: Callable[[str], bool] | None = None  # like `system/browser.py:browse`
    on_snapshot: Callable[[Snapshot], None] | None = None
    loading: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext  # wraps the import of the runtime
    on_start: Callable[[AppControl], None] | None = None  # on the engine's loop, once everything runs
    announce: Callable[[Path, str], None] | None = (
        None  # tells other processes where server.json is, or why there is none
    )
    notifications: bool = True
    autostart: Callable[[], Autostart] | None = system_autostart  # None: not offered in the menu
    machine: Callable[[], Machine] | None = this_machine  # where clients' files are; None: they are left alone
    owners: Callable[[Machine], Sequence[ExternalOwner]] | None = None  # None: the other programs of this machine
