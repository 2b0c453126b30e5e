"""The private session bus as a fixture."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tray.bus import Bus, require_dbus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    """A session bus of this test's own, and this process's environment pointing to it."""
    require_dbus()
    with tempfile.TemporaryDirectory(prefix="bus-") as folder:  # short: a socket's path has 107 characters at most
        bus = Bus(Path(folder))
        bus.start()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        try:
            yield bus
        finally:
            bus.stop()
