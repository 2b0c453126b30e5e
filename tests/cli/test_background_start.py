"""`run --background` and what `setup` shares with it: the app is started once, and its answer is waited for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp
from trayapp.cli import background_start, main
from trayapp.cli.background_start import StartFailedError, app_that_answers
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.config import quit_marker
from trayapp.config.loader import Paths
from trayapp.stdio.starter import Starter

Capture = pytest.CaptureFixture[str]


class Scripted(Starter):
    """Says this, again and again, and does something at the first call."""

    def __init__(self, paths: Paths, waiting: bool, sentence: str) -> None:
        super().__init__(paths)
        self._said = waiting, sentence
        self.calls = 0

    def ensure(self) -> tuple[bool, str]:
        self.calls += 1
        return self._said


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_start, "POLL", 0.01)


def answered(paths: Paths, starter: Starter, limit: float = 5.0) -> background_start.Answered:
    return app_that_answers(paths, lambda client: client.app(), starter=starter, limit=limit)


def test_a_running_app_is_only_asked(paths: Paths, app: FakeApp) -> None:
    """And the marker of *Quit* is gone: this person wants it to run."""

    app.replies["GET /status"] = 200, {"version": "0.1.0"}
    quit_marker.mark(paths)
    starter = Scripted(paths, True, "")

    found = answered(paths, starter)
    assert ({"version": "0.1.0"}, False, 0) == (found.answer, found.started, starter.calls)
    assert not quit_marker.is_quit(paths)


def test_a_start_that_fails_says_its_last_words(paths: Paths) -> None:
    """If its output is where the sentence points."""

    log = paths.background_log_file
    log.parent.mkdir(parents=True)
    log.write_text("one\nAmberlight can't start: \x1b[1mno disk.\n")
    with pytest.raises(StartFailedError, match=r"See .*background.log\.\nAmberlight can't start:  \[1mno disk\."):
        answered(paths, Scripted(paths, False, f"Amberlight couldn't be started (exit code 1). See {log}."))
    log.unlink()
    with pytest.raises(StartFailedError, match=r"background.log\.$"):
        answered(paths, Scripted(paths, False, f"See {log}."))
    with pytest.raises(StartFailedError, match=r"^Not installed\.$"):
        answered(paths, Scripted(paths, False, "Not installed."))


def test_the_time_is_up(paths: Paths) -> None:
    starter = Scripted(paths, True, "Amberlight is starting.")

    with pytest.raises(StartFailedError, match=r"didn't start within 0\.05 seconds\. See: amberlight logs"):
        answered(paths, starter, 0.05)
    assert starter.calls > 1


def test_an_app_that_never_listens(paths: Paths, app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is said at the end; a refusal at once."""

    def silent(client: ApiClient) -> dict[str, object]:
        raise ApiError(0, "timeout", "It didn't answer.")

    with pytest.raises(StartFailedError, match="It didn't answer"):
        app_that_answers(paths, silent, starter=Scripted(paths, True, ""), limit=0.05)
    app.replies["GET /status"] = 409, {"error": "x", "message": "Not so."}
    with pytest.raises(ApiError, match="Not so"):
        answered(paths, Scripted(paths, True, ""))


def test_the_key_of_an_app_that_was_killed(paths: Paths, app: FakeApp) -> None:
    """For a moment the new one answers, while server.json has the old one's key. One that already ran is a failure."""

    def asked(*errors: Exception) -> background_start.Answered:
        left = list(errors)

        def ask(client: ApiClient) -> dict[str, object]:
            if left:
                raise left.pop(0)
            return {"version": "0.1.0"}

        return app_that_answers(paths, ask, starter=Scripted(paths, True, ""), limit=5.0)

    assert asked(NotRunningError(""), ApiError(403, "forbidden", "The key.")).started
    with pytest.raises(ApiError, match="The key"):
        asked(ApiError(403, "forbidden", "The key."))


def test_run_in_the_background_and_quit(paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program: started, started again, ended, ended again."""

    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[settings]\nport = 0\n\n[workloads]\n")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={paths.state_dir}/no-bus")

    try:
        assert 0 == main(["run", "--background", "--no-tray"])
        assert "Amberlight is now running in the background (process " in capsys.readouterr().out
        assert 0 == main(["run", "--background", "--no-tray"])
        assert "Amberlight is already running.\n" == capsys.readouterr().out
        assert 0 == main(["status"])
        assert "No workloads configured." in capsys.readouterr().out
        assert 0 == main(["quit"])
        paths.config_file.write_text("[settings]\nport = 0\n[oops\n")
        assert 1 == main(["run", "--background", "--no-tray"])
        assert "config.toml:3: isn't valid TOML" in capsys.readouterr().err
    finally:
        assert 0 == main(["quit"])
    assert "Amberlight has quit. Start it again: amberlight run\n" in capsys.readouterr().out
    assert 0 == main(["quit"])
    assert "Amberlight isn't running.\n" == capsys.readouterr().out


def test_start_at_login_that_is_on_already(paths: Paths, tmp_path: Path, capsys: Capture) -> None:
    """Says so, and so does one that is off."""

    if not sys.platform.startswith("linux"):
        pytest.skip("the entry is a file on Linux")
    texts = []
    for what in ("off", "on", "on", "off", "off"):
        assert 0 == main(["autostart", what])
        texts.append(capsys.readouterr().out.partition(":")[0])
    assert ["Already off", "On", "Already on", "Off", "Already off"] == texts
