"""Where programs of Go's xdg library keep their files, whatever the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.system.xdg_directories import data_home, state_home


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("~", ""),
        ("~/s", "s"),
        ("~nobody/s", "nobody/s"),
        ("$HOME/s", "s"),
        ("", ".local/state"),
        ("relative/s", ".local/state"),
        ("./s", ".local/state"),
        ("\0", ".local/state"),
        ("/x\0y", ".local/state"),
        ("~/\0", ".local/state"),
    ],
)
def test_a_variable_is_read_as_that_library_does(tmp_path: Path, variable: str, below: str) -> None:
    """It expands the home, and takes no relative path; nobody has one with a NUL."""

    assert tmp_path / below == state_home("linux", {"XDG_STATE_HOME": variable}, tmp_path)


@pytest.mark.parametrize("local", ["", "relative", "\0"])
def test_windows_has_it_below_the_home(tmp_path: Path, local: str) -> None:
    """If the variable says nothing of use."""

    assert tmp_path / "AppData" / "Local" == data_home("win32", {"LOCALAPPDATA": local}, tmp_path)
