"""The time of day as people read it, in the zone that the machine is set to now.

The C library reads the zone once; a laptop that has travelled would show the old one for as long as the program runs.
"""

from __future__ import annotations

import time
from datetime import datetime

from trayapp.core.wall_time import utc_datetime

TZSET = getattr(time, "tzset", None)  # Windows has none: its library asks the system each time


def local_time(wall: float) -> str:
    """The time of day of a wall time: 14:32."""
    return f"{local_datetime(wall):%H:%M}"


def local_datetime(wall: float) -> datetime:
    """The date and time of day of any wall time; in UTC for one that the system's calendar doesn't have."""
    moment = utc_datetime(wall)
    try:
        return moment.astimezone()
    except (OverflowError, OSError, ValueError):
        return moment


class Zone:
    """The time zone, read again at each `changed`, which costs microseconds."""

    def __init__(self) -> None:
        self._known = _rules()

    def changed(self) -> bool:
        """Whether local times differ from those of the previous call."""
        before, self._known = self._known, _rules()
        return self._known != before


def _rules() -> tuple[object, ...]:
    """What is known of the zone; summer and winter time count as two, as everything shown has to be drawn anew."""
    if TZSET is not None:
        TZSET()
    return time.tzname, time.timezone, time.altzone, time.localtime().tm_gmtoff
