"""Installation id: stored twice, restored from either copy, private, and never replaced without need."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from trayapp.storage.installation import FILE, install_id
from trayapp.system.private_files import NotPrivateError

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")


def test_the_id_is_made_once(tmp_path: Path) -> None:
    """The same answer in every run, another one for another installation."""

    first = install_id(tmp_path / "one")

    assert first == install_id(tmp_path / "one")
    assert first != install_id(tmp_path / "two")
    assert 16 == len(first)


@pytest.mark.parametrize("lost", ["data", "config"])
@pytest.mark.parametrize("how", ["missing", "empty", "nonsense"])
def test_either_copy_of_the_id_restores_the_other(tmp_path: Path, lost: str, how: str) -> None:
    """Losing or damaging one of two places orphans no login."""

    places = (tmp_path / "data", tmp_path / "config")
    first = install_id(*places)
    file = tmp_path / lost / FILE
    file.unlink()
    if how != "missing":
        file.write_text("" if how == "empty" else "x" * 16)

    assert first == install_id(*places)
    assert first == file.read_text().strip()


@posix
def test_the_file_is_private(tmp_path: Path) -> None:
    """0600 in 0700; a person's own directory keeps its mode."""

    (tmp_path / "config").mkdir(mode=0o755)
    install_id(tmp_path / "data", tmp_path / "config")

    modes = {place: stat.S_IMODE((tmp_path / place).stat().st_mode) for place in ("data", "config")}
    assert {"data": 0o700, "config": 0o755} == modes
    for place in modes:
        assert [FILE] == [file.name for file in (tmp_path / place).iterdir()]
        assert 0o600 == stat.S_IMODE((tmp_path / place / FILE).stat().st_mode)


@posix
def test_a_link_is_refused_but_a_linked_configuration_is_not(tmp_path: Path) -> None:
    """Our own place must be real; people keep their configuration behind links, and a copy that fails is no error."""

    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "config").symlink_to(tmp_path / "dotfiles")
    first = install_id(tmp_path / "data", tmp_path / "config")
    assert first == (tmp_path / "dotfiles" / FILE).read_text().strip()

    (tmp_path / "dotfiles" / FILE).unlink()
    (tmp_path / "dotfiles" / FILE).symlink_to(tmp_path / "elsewhere")
    assert first == install_id(tmp_path / "data", tmp_path / "config")
    assert not (tmp_path / "elsewhere").exists()

    (tmp_path / "data" / FILE).unlink()
    (tmp_path / "data" / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotPrivateError, match="symbolic link"):
        install_id(tmp_path / "data")
