"""The headless desktop as fixtures. Where its programs are missing, tests skip and name them; under CI they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.demo_runs import DemoRuns, demos_started
from tests.desktop.desk import Desk, missing
from tests.requirements import skip_or_fail
from trayapp.oauthtest import Grant, OAuthServer


def require_desk() -> None:
    """Skip with the missing programs; fail under CI, where a skip would go unnoticed."""
    if lacking := missing():
        skip_or_fail(f"no headless desktop here: {lacking} not found (`packaging/dev.sh test` installs the packages)")


@pytest.fixture(scope="session", autouse=True)
def started_demos(request: pytest.FixtureRequest) -> Iterator[DemoRuns | None]:
    """The demos, started early if this run includes their tests: they play while earlier tests run.

    Not under pytest-xdist: every worker knows all tests, but not which worker will run those of the demos.
    """
    wanted = Path(__file__).with_name("test_demo.py") in {item.path for item in request.session.items}
    if missing() or not wanted or hasattr(request.config, "workerinput"):
        yield None
        return
    with demos_started() as demos:
        yield demos


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """One light desktop for the tests of a module; each test restores it."""
    require_desk()
    with Desk() as desk:
        yield desk


@pytest.fixture
def on_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, with this process's environment pointing to it."""
    for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
        monkeypatch.setenv(name, desk.env[name])
    return desk


@pytest.fixture
def grant(server: OAuthServer) -> Grant:
    """The login of yesterday, for the programs of these tests."""
    return server.issue(scope="mail")
