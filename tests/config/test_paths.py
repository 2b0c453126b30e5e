"""Where Amberlight's files are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trayapp.config.paths import Paths


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Paths:
    """The paths without anything that moves them."""
    monkeypatch.delenv("AMBERLIGHT_HOME", raising=False)
    return Paths.default()


@pytest.mark.usefixtures("usual")
def test_amberlight_home_holds_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration, state, log: an installation of its own."""

    monkeypatch.setenv("AMBERLIGHT_HOME", str(tmp_path))
    assert Paths.under(tmp_path) == Paths.default()


@pytest.mark.parametrize("named", ["", "here", "./here"])
def test_an_amberlight_home_that_is_relative_is_ignored(
    named: str, usual: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the XDG specification has it: it would be another directory in each terminal."""

    monkeypatch.setenv("AMBERLIGHT_HOME", named)
    assert usual == Paths.default()


def test_a_portable_program_keeps_everything_beside_itself(
    tmp_path: Path, usual: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is a frozen program with the archive's directory beside it; AMBERLIGHT_HOME is stronger."""

    monkeypatch.setattr(sys, "executable", str(tmp_path / "amberlight.exe"))
    (tmp_path / "amberlight-home").mkdir()
    assert usual == Paths.default()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert Paths.under(tmp_path / "amberlight-home") == Paths.default()
    monkeypatch.setenv("AMBERLIGHT_HOME", str(tmp_path / "other"))
    assert Paths.under(tmp_path / "other") == Paths.default()


def test_an_installed_program_keeps_nothing_beside_itself(
    tmp_path: Path, usual: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the portable archive has the directory."""

    monkeypatch.setattr(sys, "executable", str(tmp_path / "amberlight.exe"))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert usual == Paths.default()
