"""`run`: the app itself. Until its icon is there every import counts, so this file needs nothing of the other commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trayapp.config.paths import Paths


def run(*, tray: bool) -> int:
    """Until somebody quits; the exit code. An unexpected failure leaves its traceback in a file and says where."""
    from trayapp.app import memory

    with memory.no_collections_yet():
        from trayapp.app import app
        from trayapp.config.paths import Paths

        paths = Paths.default()
        try:
            return app.run(paths, dict(os.environ), tray=tray, show_running=lambda: _shown(paths))
        except Exception as error:  # noqa: BLE001 - the last net: a person gets a sentence, never a traceback
            from trayapp.cli.failing import leave_traceback
            from trayapp.cli.output import complain

            complain(f"amberlight: something unexpected went wrong ({type(error).__name__}). {leave_traceback(paths)}")
            return 1


def _shown(paths: Paths) -> bool:
    from trayapp.cli.dashboard import show_running

    return show_running(paths)
