"""`doctor` on files: links, read-only and full disks, and directories of others, on real file systems."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from trayapp.app.file_checks import files
from trayapp.config.paths import Paths
from trayapp.core.checks import OK, PROBLEM, WARNING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and read-only disks are POSIX")
NOBODY = 65534


def found(paths: Paths) -> list[tuple[str, str]]:
    """State and text of each check."""
    checks = files(paths)
    assert all(check.help or check.state == OK for check in checks)
    return [(check.state, check.text) for check in checks]


def test_all_can_be_written(tmp_path: Path) -> None:
    """Before the first start, when nothing is there, and after it; the checks make nothing."""

    paths = Paths.under(tmp_path / "home")
    ((state, text),) = found(paths)
    assert (OK, True) == (state, str(paths.state_dir) in text)
    assert not (tmp_path / "home").exists()
    paths.make()
    assert [OK] == [state for state, _ in found(paths)]


@pytest.mark.parametrize("made", [False, True])
def test_a_read_only_home_is_noticed(tmp_path: Path, made: bool) -> None:
    """Once for all directories on it."""

    with small_disk(tmp_path / "home") as disk:
        paths = Paths.under(disk.path)
        if made:
            paths.make()
        disk.read_only()
        assert [(PROBLEM, f"{paths.config_file.parent} is on a read-only file system.")] == found(paths)


def test_a_full_disk_is_noticed(tmp_path: Path) -> None:
    """Only for the directories on it."""

    paths = Paths.under(tmp_path)
    with small_disk(paths.state_dir) as disk:
        disk.fill()
        assert [(PROBLEM, f"The disk of {paths.state_dir} is full.")] == found(paths)


def test_links(tmp_path: Path) -> None:
    """One of the user's own is fine, one that leads nowhere is a problem; the configuration's may lead anywhere."""

    paths = Paths.under(tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "disk").mkdir()
    paths.data_dir.symlink_to(tmp_path / "disk")
    paths.config_file.parent.symlink_to(tmp_path / "disk")
    assert [OK] == [state for state, _ in found(paths)]
    paths.state_dir.symlink_to(tmp_path / "unmounted")
    ((state, text),) = found(paths)
    assert (PROBLEM, True) == (state, f"{paths.state_dir} is a symbolic link to {tmp_path}/unmounted" in text)


def test_a_runtime_directory_that_cannot_be_used_is_a_warning(tmp_path: Path) -> None:
    """Another is used in its place."""

    paths = Paths.under(tmp_path / "home")
    (tmp_path / "home").mkdir()
    paths.runtime_dir.symlink_to(tmp_path / "unmounted")
    ((state, _),) = found(paths)
    assert WARNING == state


def test_a_directory_of_another_user() -> None:
    """What may not be written is named: it may be a directory further up."""

    if os.getuid() != 0:
        pytest.skip("only root becomes another user")
    with tempfile.TemporaryDirectory(prefix="files-") as folder:
        Path(folder).chmod(0o755)
        paths = Paths.under(Path(folder, "home"))
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            checks = found(paths)
        finally:
            os.setresuid(0, 0, 0)
    assert (PROBLEM, f"{paths.config_file.parent} can't be written: you can't write to {folder}.") == checks[0]
    assert {PROBLEM, WARNING} == {state for state, _ in checks}
