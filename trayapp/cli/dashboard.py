"""`amberlight dashboard`, and what a second start of the app does: opens the running app's dashboard."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trayapp.app.dashboard import NOT_SEEN, open_link
from trayapp.cli.client import BASE, ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import print_error, print_json, print_line
from trayapp.system.browser import NoBrowserError

if TYPE_CHECKING:
    from trayapp.config.paths import Paths

NO_BROWSER = "amberlight: couldn't open a browser. For a link: amberlight dashboard --print"


def dashboard(arguments: argparse.Namespace, paths: Paths) -> int:
    """Open the dashboard, or print its link."""
    url = _link(ApiClient.of(paths))
    if arguments.format == "json":
        print_json({"url": url})
        return OK
    if arguments.print:
        print_line(url)
        return OK
    try:
        if not open_link(url, paths.runtime_dir):
            print_line(NOT_SEEN)
    except NoBrowserError:
        print_error(NO_BROWSER)
        return FAILED
    return OK


def show_running(paths: Paths) -> bool:
    """Open the running app's dashboard; False if there is none or no browser can be started."""
    try:
        open_link(_link(ApiClient.of(paths)), paths.runtime_dir)
    except (NotRunningError, ApiError, NoBrowserError):
        return False
    return True


def _link(client: ApiClient) -> str:
    url = client.request("POST", f"{BASE}/dashboard").get("url")
    if not isinstance(url, str) or not url.startswith(f"http://{client.host}:{client.port}/"):
        raise ApiError(200, "odd_answer", "The running Amberlight is a different version. Quit it and start it again.")
    return url
