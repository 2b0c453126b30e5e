"""The dashboard after the time zone of the machine has changed, in real Chromium."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.window import Window

pytestmark = pytest.mark.real


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns"])
def test_an_open_page_follows_the_zone(window: Window, show: Open, zone: str) -> None:
    """Times of day, the exact time that a pointer shows, and the hours of the timeline; without a reload."""

    window.cdp("Emulation.setTimezoneOverride", timezoneId="Europe/London")
    try:
        show(scenes.github())
        window.row("github")
        since = window.js("return document.querySelector('.row time').dateTime")
        before = exact_time(window)
        window.cdp("Emulation.setTimezoneOverride", timezoneId=zone)
        wanted = datetime.fromisoformat(str(since)).astimezone(ZoneInfo(zone))
        window.until(lambda: f"{wanted:%H:%M}" in window.text(".row .trouble"), "the new time")
        after = exact_time(window)
        assert f"{wanted:%H:%M}" in after
        assert before != after
    finally:
        window.cdp("Emulation.setTimezoneOverride", timezoneId="")


def exact_time(window: Window) -> str:
    """What a pointer over the time shows."""
    over = "document.querySelector('.row time').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));"
    return str(window.js(over + "return document.querySelector('.row time').title"))
