"""`amberlight run`: starts the app. Imports as little as possible, because every import delays the tray icon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trayapp.config.paths import Paths


def run(*, tray: bool, page: bool | None = None) -> int:
    """Run until the app quits; returns the exit code. `page`: whether one may be opened; None if nobody said.

    An unexpected failure is reported, and saved with its traceback.
    """
    from trayapp.app import memory
    from trayapp.system.stand_ins import StandIn, standing_in

    with memory.collector_paused():
        with standing_in(StandIn("locale")):  # 0.2 MB, for programs that are started and whose output is text
            from trayapp.app import launch
        from trayapp.config.paths import Paths

        paths = Paths.default()

        def show_running() -> bool:
            return page is not False and _show_running(paths)

        try:
            return launch.run(paths, dict(os.environ), tray=tray, show_running=show_running, page=page)
        except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, never a traceback
            from trayapp.cli.errors import unexpected_text
            from trayapp.cli.output import print_error

            print_error(unexpected_text(error, paths))
            return 1


def _show_running(paths: Paths) -> bool:
    from trayapp.cli.dashboard import show_running

    return show_running(paths)


def run_in_background(*, tray: bool) -> int:
    """`run --background`: start the app as a process of its own, and return once it answers.

    Exit code 1 if its configuration can't be read.
    """
    from trayapp.autostart.command import CannotStartError, login_command
    from trayapp.cli.background_start import StartFailedError, app_that_answers
    from trayapp.cli.client import ApiError
    from trayapp.cli.listing import report_app
    from trayapp.cli.output import clean, print_error, print_line
    from trayapp.config.paths import Paths
    from trayapp.stdio.starter import Starter

    paths = Paths.default()
    try:
        command = None if tray else [*login_command(), "--no-tray"]
        found = app_that_answers(paths, lambda client: client.app(), starter=Starter(paths, command))
    except (StartFailedError, CannotStartError, ApiError) as error:
        print_error("\n".join(f"amberlight: {clean(line)}" for line in str(error).splitlines()))
        return 1
    if found.started:
        print_line(f"Amberlight is now running in the background (process {found.client.pid}). End it: amberlight quit")
    else:
        print_line("Amberlight is already running.")
    return report_app(found.answer)
