"""`amberlight activate URI`: what Windows runs when our address is opened, usually by a click on a notification.

Any web page, document or program can open it too. So there is one address, which must match exactly, and all it does is
show the dashboard, after starting the app if necessary. It isn't a command for people, and no help lists it.
"""

from __future__ import annotations

from collections.abc import Sequence

from trayapp.cli.background_start import StartFailedError, app_that_answers
from trayapp.cli.client import ApiError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.dashboard import show_running
from trayapp.config.paths import Paths
from trayapp.system.activation import SHOW_URI


def activate(words: Sequence[str]) -> int:
    """Show the dashboard if `words` is our address and nothing else. Prints nothing: there is no terminal."""
    if list(words) != [SHOW_URI]:  # not our address, or arguments that a quotation mark in it has made
        return USAGE
    paths = Paths.default()
    try:
        app_that_answers(paths, lambda client: client.app())
    except (StartFailedError, ApiError):
        return FAILED
    return OK if show_running(paths) else FAILED
