"""The cache of the workloads' lists: survives a restart, is private, and may be damaged or unwritable."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.aggregate.site import until
from trayapp.aggregate.listing import CachedListings, Listing

LISTING = Listing("http://one", tools=[{"name": "say", "inputSchema": {}}], instructions="Hello", at=5.0)


async def test_it_is_there_in_the_next_run(tmp_path: Path) -> None:
    """All but when it was asked for: in a new run every list is an old one."""

    path = tmp_path / "state" / "kept.json"
    cached = CachedListings(path)
    assert cached.put("one", LISTING)
    assert not cached.put("one", replace(LISTING, at=6.0))
    await until(path.exists)
    again = CachedListings(path)
    assert LISTING.same(again.by_name["one"])
    assert 0.0 == again.by_name["one"].at
    if sys.platform != "win32":
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    again.drop("one")
    await until(lambda: "one" not in CachedListings(path).by_name)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"listings": 3}', '{"listings": {"one": {"odd": 1}}}'])
def test_a_damaged_file_is_forgotten(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said in the log, and that is all."""

    path = tmp_path / "kept.json"
    path.write_text(text)
    path.chmod(0o600)
    assert {} == CachedListings(path).by_name
    assert "is written anew" in caplog.text


async def test_a_place_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lists are kept in memory then."""

    (tmp_path / "file").write_text("in the way")
    cached = CachedListings(tmp_path / "file" / "kept.json")
    cached.put("one", LISTING)
    await until(lambda: "cannot be written" in caplog.text)
    assert "one" in cached.by_name
