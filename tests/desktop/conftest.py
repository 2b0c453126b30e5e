"""The desk as a fixture. On a machine that lacks its programs the tests skip and say what is missing; under CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.days import Days, begun
from tests.desktop.desk import Desk, missing


def require_desk() -> None:
    """Skip, or fail where a skipped desktop test would go unseen."""
    lacking = missing()
    if not lacking:
        return
    reason = f"no headless desktop here: {lacking} not found (the README names the packages)"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def begun_demos(request: pytest.FixtureRequest) -> Iterator[Days | None]:
    """The demos, where the run has their tests: their day goes by while the tests before them have the time.

    Not in a run of several processes: each of them knows all tests, and which one gets those of the demos is not known.
    """
    wanted = Path(__file__).with_name("test_demo.py") in {item.path for item in request.session.items}
    if missing() or not wanted or hasattr(request.config, "workerinput"):
        yield None
        return
    with begun() as demos:
        yield demos


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """One light desktop for the tests of a module; each test leaves it as it found it."""
    require_desk()
    with Desk() as desk:
        yield desk


@pytest.fixture
def on_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, with this process's own environment pointing to it."""
    for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
        monkeypatch.setenv(name, desk.env[name])
    return desk
