"""The guard that keeps tests away from the files of whoever runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.own_places import Guard, own_places
from trayapp.config.paths import Paths


def test_an_own_place_is_where_everything_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every system."""

    for name, value in own_places(tmp_path).items():
        monkeypatch.setenv(name, value)
    paths = Paths.default()

    for directory in (paths.config_file, paths.site_config_file, *paths.own_directories):
        assert directory.is_relative_to(tmp_path)


def test_a_touched_directory_is_noticed_once(tmp_path: Path) -> None:
    """A new, changed or removed file, and the directory itself."""

    paths = Paths.under(tmp_path)
    guard = Guard(paths)
    assert [] == guard.touched()

    paths.config_file.parent.mkdir()
    paths.config_file.write_text("")
    assert [str(paths.config_file.parent), str(paths.config_file)] == guard.touched()
    assert [] == guard.touched()

    paths.config_file.unlink()
    with pytest.raises(pytest.fail.Exception, match="the real directories of this user were touched: "):
        guard.check()


def test_an_app_of_the_person_may_write(tmp_path: Path) -> None:
    """It runs beside the tests."""

    paths = Paths.under(tmp_path)
    paths.runtime_dir.mkdir()
    paths.server_file.write_text("{}")
    guard = Guard(paths)
    (paths.runtime_dir / "other").write_text("")

    assert [] == guard.touched()


def test_the_real_directories_are_out_of_reach() -> None:
    """Where no variable of the system's moves them, a command that a test starts finds others."""

    script = "from trayapp.config.paths import Paths; print(Paths.default().config_file)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    assert sys.platform == "linux" or "amberlight-tests" in found
