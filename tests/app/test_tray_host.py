"""The warning that no panel shows the icon: given once, however early it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_runtime import Program
from trayapp.app.app import App
from trayapp.core.first_start import Desktop, no_tray

NO_HOST = no_tray(Desktop("linux"))


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> list[App]:
    """The tray learns it before the engine thread has begun."""
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    made: list[App] = []
    begin = App._run_engine

    def later(app: App) -> None:
        made.append(app)
        app._host_changed(False)
        begin(app)

    monkeypatch.setattr(App, "_run_engine", later)
    return made


def test_a_host_change_before_the_engine_runs(
    early: list[App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a slow machine the tray gives up before the engine is there: the warning comes when it is."""

    with Program(tmp_path) as program:
        program.until(lambda: NO_HOST in program.last.warnings, "the warning")
        for present in (False, True, True):
            early[0]._host_changed(present)
        program.until(lambda: NO_HOST not in program.last.warnings, "the end of the warning")
        early[0]._host_changed(False)
        program.until(lambda: NO_HOST in program.last.warnings, "the warning again")
    assert 2 == caplog.text.count(NO_HOST)
