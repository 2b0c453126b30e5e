"""`amberlight run`: starts the app. Imports as little as possible, because every import delays the tray icon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trayapp.config.paths import Paths


def run(*, tray: bool, background: bool = False) -> int:
    """Run until the app quits; returns the exit code. With `background`, no page is ever opened.

    An unexpected failure is reported, and saved with its traceback.
    """
    from trayapp.app import memory

    with memory.collector_paused():
        from trayapp.app import launch
        from trayapp.config.paths import Paths

        paths = Paths.default()

        def show_running() -> bool:
            return not background and _show_running(paths)

        try:
            return launch.run(paths, dict(os.environ), tray=tray, show_running=show_running)
        except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, never a traceback
            from trayapp.cli.errors import save_traceback
            from trayapp.cli.output import print_error

            print_error(
                f"amberlight: something unexpected went wrong ({type(error).__name__}). {save_traceback(paths)}"
            )
            return 1


def _show_running(paths: Paths) -> bool:
    from trayapp.cli.dashboard import show_running

    return show_running(paths)
