"""`amberlight activate`: the address that a click on a notification opens, and that anybody may open."""

from __future__ import annotations

import sys

import pytest

from trayapp.cli import activate as module
from trayapp.cli import entry
from trayapp.cli.activate import activate
from trayapp.cli.background_start import StartFailedError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.config.paths import Paths
from trayapp.system.activation import SHOW_URI

ELSEWHERE: tuple[list[str], ...] = (
    [],
    [""],
    ["amberlight:"],
    ["amberlight:show/"],
    ["amberlight://show"],
    ["AMBERLIGHT:show"],
    ["amberlight:show?name=notes"],
    ["amberlight:reauthorize/notes"],
    ["amberlight:quit"],
    [SHOW_URI, "--config", "evil.toml"],  # what `amberlight:show" --config evil.toml` becomes
    ["--version"],
    ["--help"],
    ["--", SHOW_URI],
    ["https://evil.example/"],
)


class Desktop:
    """Records what is started and shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.shows = True
        self.starts = True
        monkeypatch.setattr(module, "app_that_answers", self.start)
        monkeypatch.setattr(module, "show_running", self.show)

    def start(self, paths: Paths, ask: object) -> None:
        self.done.append("start")
        if not self.starts:
            raise StartFailedError("no")

    def show(self, paths: Paths) -> bool:
        self.done.append("show")
        return self.shows


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    return Desktop(monkeypatch)


@pytest.mark.parametrize("words", ELSEWHERE)
def test_whatever_is_not_the_address_does_nothing(
    words: list[str], desktop: Desktop, capsys: pytest.CaptureFixture[str]
) -> None:
    """No option, no part of an address and no second argument is read, and nothing of it is repeated."""

    assert USAGE == entry.main(["activate", *words])
    assert [] == desktop.done
    assert ("", "") == tuple(capsys.readouterr())


def test_the_address_starts_the_app_and_shows_its_dashboard(desktop: Desktop) -> None:
    """As a click in the tray does, if it runs; without standard output, as a windowed program has none."""

    streams = sys.stdout
    try:
        sys.stdout = None
        assert OK == entry.main(["activate", SHOW_URI])
    finally:
        sys.stdout = streams
    assert ["start", "show"] == desktop.done


def test_a_failure_is_an_exit_code(desktop: Desktop) -> None:
    """There is nobody to read a sentence."""

    desktop.shows = False
    assert FAILED == activate([SHOW_URI])
    desktop.starts = False
    assert FAILED == activate([SHOW_URI])
    assert ["start", "show", "start"] == desktop.done


def test_no_help_mentions_it(capsys: pytest.CaptureFixture[str]) -> None:
    """It is Windows' alone."""

    entry.main(["--help"])
    assert "activate" not in capsys.readouterr().out
