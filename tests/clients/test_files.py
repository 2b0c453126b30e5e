"""Another program's file is replaced as a whole or not at all, and its old version is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.requirements import require_links
from trayapp.clients import files
from trayapp.clients.files import FileError, read, replace
from trayapp.system import replacing

OLD = '\ufeff{"a": "ü"}\r\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "mcp.json"
    made.write_bytes(OLD.encode())
    made.chmod(0o640)
    return made


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_the_new_text_and_a_copy_that_only_its_owner_can_read(file: Path) -> None:
    """The mode of the file stays."""

    backup = replace(read(file), OLD + "new", "2026-01-02")
    assert (OLD + "new").encode() == file.read_bytes()
    assert 0o640 == file.stat().st_mode & 0o777
    assert file.with_name("mcp.json.amberlight-backup-2026-01-02") == backup
    assert (OLD.encode(), 0o600) == (backup.read_bytes(), backup.stat().st_mode & 0o777)
    assert {file.name, backup.name} == {each.name for each in file.parent.iterdir()}


def test_a_copy_is_never_written_over(file: Path) -> None:
    """The first one of a day is the valuable one."""

    first = replace(read(file), "1", "d")
    second = replace(read(file), "2", "d")
    assert (OLD.encode(), b"1") == (first.read_bytes(), second.read_bytes())
    assert "mcp.json.amberlight-backup-d-2" == second.name


def test_a_symbolic_link_stays_one(file: Path, tmp_path: Path) -> None:
    """What it points to is replaced."""

    link = tmp_path / "home" / ".mcp.json"
    link.parent.mkdir()
    require_links(tmp_path)
    link.symlink_to(file)
    replace(read(link), "new", "d")
    assert link.is_symlink()
    assert "new" == file.read_text()


def test_what_its_program_wrote_meanwhile_is_not_lost(file: Path) -> None:
    """Then nothing is written, and no copy is left of it."""

    old = read(file)
    file.write_text("newer")
    with pytest.raises(FileError, match="changed by another program"):
        replace(old, "new", "d")
    assert "newer" == file.read_text()
    assert [file] == list(file.parent.iterdir())


def test_a_full_disk_leaves_all_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    old = read(file)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"mcp\.json can't be replaced: No space left"):
        replace(old, "new", "d")
    assert OLD.encode() == file.read_bytes()


def test_an_end_in_the_middle_leaves_all_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, for one."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    old = read(file)
    monkeypatch.setattr(files, "_replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(old, "new", "d")
    assert [file] == list(file.parent.iterdir())


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """By its name."""

    with pytest.raises(FileError, match="doesn't exist"):
        read(tmp_path / "none")
    with pytest.raises(FileError, match="can't be read"):
        read(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(FileError, match="larger than"):
        read(tmp_path / "large", 10)
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(FileError, match="isn't UTF-8"):
        read(tmp_path / "bytes")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_an_administrators_edit_leaves_the_file_to_its_owner(file: Path) -> None:
    """Private means: for its owner, who still has to be able to read it."""

    os.chown(file, 12345, 12346)
    replace(read(file), "new", "d", private=True)
    found = file.stat()
    assert (12345, 12346, 0o600) == (found.st_uid, found.st_gid, found.st_mode & 0o777)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_private_text_is_never_in_a_file_that_others_can_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not for a moment: the draft is private before it takes the file's place."""

    modes: list[int] = []
    rename = replacing.replace

    def watched(draft: Path, target: Path) -> None:
        modes.append(draft.stat().st_mode & 0o777)
        rename(draft, target)

    monkeypatch.setattr(replacing, "replace", watched)
    replace(read(file), "new", "d", private=True)
    assert ([0o600], 0o600) == (modes, file.stat().st_mode & 0o777)
