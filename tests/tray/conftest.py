"""The private session bus as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tray.bus import Bus, private_bus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    """A session bus of this test's own, and this process's environment pointing to it."""
    with private_bus() as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        yield bus
