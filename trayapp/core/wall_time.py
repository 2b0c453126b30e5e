"""Wall seconds as a date, by arithmetic: the calendar of Windows has no time before 1970 and none after the year 3000."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -62135596800.0, 253402300799.0  # s since the epoch: the first and last second that a date can hold


def utc_datetime(wall: float) -> datetime:
    """The moment in UTC. A number beyond every calendar becomes the first or last second of one."""
    return EPOCH + timedelta(seconds=min(max(FIRST, wall), LAST))
