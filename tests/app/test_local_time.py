"""Local times after the machine's time zone has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.requirements import skip_or_fail
from tests.time_zone import OwnZone
from trayapp.app.local_time import local_datetime

SCRIPT = """
from trayapp.app.local_time import Zone, local_time

zone = Zone()
while True:
    print(zone.changed(), local_time(0.0), zone.changed(), flush=True)
    input()
"""


def test_the_zone_of_now(tmp_path: Path) -> None:
    """Every change is noticed once, also back and to a zone with a half hour; the times are those of the new zone."""

    zone = OwnZone(tmp_path)
    with subprocess.Popen(
        zone.command(sys.executable, "-c", SCRIPT),
        env={name: value for name, value in os.environ.items() if name != "TZ"},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = [process.stdout.readline()]
        if not seen[0]:
            skip_or_fail("no mount namespace could be made here")
        for name in ("Asia/Tokyo", "Asia/Kolkata", "Etc/UTC"):
            zone.set(name)
            process.stdin.write("\n")
            process.stdin.flush()
            seen.append(process.stdout.readline())
    assert ["False 00:00 False\n", "True 09:00 False\n", "True 05:30 False\n", "True 00:00 False\n"] == seen


@pytest.mark.parametrize(
    ("wall", "year"),
    [(-62135596800.0, 1), (-3e9, 1874), (0.0, 1970), (5e10, 3554), (253402300799.0, 9999), (1e300, 9999)],
)
def test_any_wall_time_has_a_local_date(wall: float, year: int) -> None:
    """In the zone of this machine or, beyond the system's calendar, in UTC."""

    assert abs(local_datetime(wall).year - year) <= 1  # around New Year the zone decides
