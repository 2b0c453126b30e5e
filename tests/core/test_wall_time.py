"""Wall seconds as dates."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from trayapp.core.wall_time import utc_datetime


@pytest.mark.parametrize(
    ("wall", "moment"),
    [
        (0.0, "1970-01-01T00:00:00"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250000"),
        (-1.0, "1969-12-31T23:59:59"),
        (-12_219_292_800.0, "1582-10-15T00:00:00"),
        (32_536_850_400.0, "3001-01-19T22:00:00"),
        (253402300799.0, "9999-12-31T23:59:59"),
        (1e300, "9999-12-31T23:59:59"),
        (-1e300, "0001-01-01T00:00:00"),
        (math.inf, "9999-12-31T23:59:59"),
        (math.nan, "0001-01-01T00:00:00"),
    ],
)
def test_any_number_is_a_date(wall: float, moment: str) -> None:
    """Before 1970 and after 3000 too, for which Windows has no calendar; no number fails."""

    assert datetime.fromisoformat(moment).replace(tzinfo=UTC) == utc_datetime(wall)
