"""Where Amberlight's files are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trayapp.cli import main
from trayapp.config.home import HomeError
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


def test_an_empty_amberlight_home_is_none(usual: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMBERLIGHT_HOME", "")
    assert usual == Paths.default()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("here", "isn't a full path"),
        ("./here", "isn't a full path"),
        ("{}/file", "isn't a directory"),
        ("{}/file/below", "doesn't exist and can't be created"),
    ],
)
def test_an_amberlight_home_that_cannot_be_used_is_refused(
    named: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written elsewhere instead; a relative one would be another directory in each terminal."""

    (tmp_path / "file").touch()
    named = named.format(tmp_path)
    monkeypatch.setenv("AMBERLIGHT_HOME", named)

    with pytest.raises(HomeError) as caught:
        Paths.default()
    expected = (
        f"AMBERLIGHT_HOME is {named}, which {why}. Set AMBERLIGHT_HOME to the full path of a directory, or unset it."
    )
    assert expected == str(caught.value)


@pytest.mark.parametrize("there", [True, False])
def test_an_amberlight_home_that_cannot_be_written_is_refused(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it exists or would have to be made."""

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("AMBERLIGHT_HOME", str(tmp_path if there else tmp_path / "new/one"))

    with pytest.raises(HomeError, match="can't be written to" if there else "doesn't exist and can't be created"):
        Paths.default()


def test_an_amberlight_home_is_made_by_whoever_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With spaces and letters of any language, and the directories above it."""

    root = tmp_path / "Zoë Ångström" / "日 本"
    monkeypatch.setenv("AMBERLIGHT_HOME", str(root))
    paths = Paths.default()

    assert not root.parent.exists()
    paths.make()
    assert Paths.under(root) == paths
    assert paths.state_dir.is_dir()


@pytest.mark.parametrize(
    "words", [[], ["list"], ["stdio", "one"], ["run", "--background"], ["config", "path"]], ids=" ".join
)
def test_every_command_says_so(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence."""

    monkeypatch.setenv("AMBERLIGHT_HOME", "here")

    assert 1 == main(words)
    said = capsys.readouterr()
    assert ("", 1) == (said.out, said.err.count("\n"))
    assert said.err.startswith("amberlight: AMBERLIGHT_HOME is here, which isn't a full path. ")


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
