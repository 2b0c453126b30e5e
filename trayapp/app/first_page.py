"""Opens the dashboard's set-up at the first start that a person makes (`core/first_start.py`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

from trayapp.app.icon_notice import keep, told
from trayapp.core.first_start import Start, Told, opens_set_up
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.system.browser import DISPLAYS

OPENS = "Set-up opens in your browser. To open it again: amberlight dashboard"
SSH = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")


class App(Protocol):
    """What is needed of `AppControl`."""

    def snapshot(self) -> Snapshot: ...

    def post(self, action: Action) -> None: ...


def open_set_up(app: App, directory: Path, start: Start, stream: TextIO | None) -> None:
    """Open it if this is the start to do so, and keep that in `directory`; a terminal is told on `stream`."""
    snapshot = app.snapshot()
    if snapshot.broken or snapshot.outage is not None:  # the page couldn't help, or couldn't be reached
        return
    if not opens_set_up(start, told(directory), len(snapshot.workloads)):
        return
    keep(directory, Told.SET_UP)
    app.post(Action(Verb.SET_UP))
    if stream is not None and stream.isatty():
        print(OPENS, file=stream)


def this_start(environ: Mapping[str, str], page: bool | None) -> Start:
    """How this process was started."""
    return Start(
        page,
        terminal=all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)),
        remote=any(map(environ.get, SSH)),
        browser=not sys.platform.startswith("linux") or any(map(environ.get, DISPLAYS)),
    )
