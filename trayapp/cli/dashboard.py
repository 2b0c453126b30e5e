"""`amberlight dashboard`, and what a second start does: show the page of the app that runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trayapp.app.dashboard import open_link
from trayapp.cli.client import BASE, ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import complain, say

if TYPE_CHECKING:
    from trayapp.config.paths import Paths

NO_BROWSER = "amberlight: no browser could be started here. For a link: amberlight dashboard --print"


def dashboard(arguments: argparse.Namespace, paths: Paths) -> int:
    """Open it, or print its link."""
    url = _link(ApiClient.find(paths.runtime_dir))
    if arguments.print:
        say(url)
    elif not open_link(url, paths.runtime_dir):
        complain(NO_BROWSER)
        return FAILED
    return OK


def show_running(paths: Paths) -> bool:
    """Open the dashboard of the app that runs already; False if it has none to show or no browser is here."""
    try:
        return open_link(_link(ApiClient.find(paths.runtime_dir)), paths.runtime_dir)
    except (NotRunningError, ApiError):
        return False


def _link(client: ApiClient) -> str:
    url = client.request("POST", f"{BASE}/dashboard").get("url")
    if not isinstance(url, str) or not url.startswith(f"http://{client.host}:{client.port}/"):
        raise ApiError(200, "odd_answer", "The app that runs is another version; quit it and start it again.")
    return url
