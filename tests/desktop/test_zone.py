"""The machine's time zone changes while the app runs: the menu follows, although nothing else has changed."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import CONFIG, NAME, Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import labels
from tests.time_zone import OwnZone
from trayapp.oauthtest import Grant, Mode, OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=1.0, grace=60)]


def test_the_menu_follows_the_zone(on_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> None:
    """The time of the next attempt, an hour away: nothing else redraws the menu until then."""

    places = tmp_path / "zone"
    places.mkdir()
    zone = OwnZone(places)
    program = Program(on_desk, tmp_path, server)
    program.python = tuple(zone.command(sys.executable))
    program.environment.pop("TZ", None)
    hour = CONFIG.format(name=NAME, server=server)
    for short in ('initial_retry_interval = "200ms"', 'max_retry_interval = "400ms"', 'tick_interval = "500ms"'):
        hour = hour.replace(short, f'{short.split(" = ")[0]} = "1h"')
    program.configure(hour.replace('again = ["0s", "200ms", "400ms"]', 'again = ["0s"]'))
    program.sign_in(grant)
    server.mode = Mode.FIREWALL
    with program:
        seen = program.until(lambda seen: seen["auth"]["next_attempt_at"] is not None, "a next attempt", 20.0)
        at = datetime.fromisoformat(seen["auth"]["next_attempt_at"])
        for name in ("Etc/UTC", "Asia/Kolkata"):
            zone.set(name)
            program.client().reload()  # a pass of the engine, which comes within 30 s on its own
            shown = f"next attempt at {at.astimezone(ZoneInfo(name)):%H:%M}"
            wait_for(lambda shown=shown: shown in "\n".join(labels(on_desk)), shown)  # type: ignore[misc]
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")
