"""That no panel shows the icon is told once, however early it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_runtime import Program
from trayapp.app.app import App
from trayapp.app.runtime import NO_HOST


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> list[App]:
    """The tray knows it before the engine's thread has begun."""
    made: list[App] = []
    begin = App._run_engine

    def later(app: App) -> None:
        made.append(app)
        app._host_changed(False)
        begin(app)

    monkeypatch.setattr(App, "_run_engine", later)
    return made


def test_news_that_came_before_the_engine(early: list[App], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a slow machine the engine is not there yet when the tray gives up looking: it is told when it is."""

    with Program(tmp_path) as program:
        program.until(lambda: NO_HOST in program.last.warnings, "the warning")
        for present in (False, True, True):
            early[0]._host_changed(present)
        program.until(lambda: NO_HOST not in program.last.warnings, "the end of the warning")
        early[0]._host_changed(False)
        program.until(lambda: NO_HOST in program.last.warnings, "the warning again")
    assert 2 == caplog.text.count(NO_HOST)
