"""Private files: links that are the user's own, those that aren't, full disks, and errors that name the file."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from trayapp.app.logs import log_to_file
from trayapp.system.private_files import (
    NotPrivateError,
    check_directory,
    open_private,
    private_directory,
    touch_private,
    write_private,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, modes and owners are POSIX")
NOBODY = 65534


def needs_root() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_directory_may_be_a_link_of_the_user(tmp_path: Path, levels: int) -> None:
    """State on another disk: the link is followed, over others too, and the directory behind it is made private."""

    (tmp_path / "disk").mkdir(mode=0o755)
    place = tmp_path / "disk"
    for number in range(levels):
        link = tmp_path / f"link{number}"
        link.symlink_to(place)
        place = link
    write_private(place / "keys.json", "text")
    assert (tmp_path / "disk" / "keys.json").read_text() == "text"
    assert mode(tmp_path / "disk") == 0o700
    assert place.is_symlink()


def test_a_relative_link_is_followed(tmp_path: Path) -> None:
    """As dotfile managers make them."""

    (tmp_path / "dotfiles" / "state").mkdir(parents=True)
    (tmp_path / "state").symlink_to("dotfiles/state")
    assert private_directory(tmp_path / "state") == tmp_path / "state"


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("missing", "which doesn't exist. Create that directory, or remove the link."),
        ("file", "which isn't a directory. Remove the link."),
        ("state", "which can't be used: Too many levels of symbolic links. Remove the link."),
    ],
)
def test_a_link_to_no_directory_is_said(tmp_path: Path, target: str, said: str, shared: bool) -> None:
    """An unmounted disk, a mistake: one sentence that names link and target, and nothing is made there."""

    (tmp_path / "file").write_text("precious")
    (tmp_path / "state").symlink_to(tmp_path / target)
    with pytest.raises(NotPrivateError) as caught:
        private_directory(tmp_path / "state", shared=shared)
    assert str(caught.value) == f"{tmp_path}/state is a symbolic link to {tmp_path}/{target}, {said}"
    assert not (tmp_path / "missing").exists()


def test_a_link_to_another_users_directory_is_refused(tmp_path: Path) -> None:
    """They could read and replace what is in it."""

    needs_root()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    with pytest.raises(NotPrivateError, match=r"which belongs to another user\. Remove the link\."):
        write_private(tmp_path / "state" / "keys.json", "secret")
    assert [] == list((tmp_path / "theirs").iterdir())


def test_a_link_of_another_user_is_refused(tmp_path: Path) -> None:
    """They decide where it leads, from one moment to the next."""

    needs_root()
    (tmp_path / "mine").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "mine")
    os.lchown(tmp_path / "state", NOBODY, NOBODY)
    with pytest.raises(NotPrivateError, match="is a symbolic link that belongs to another user"):
        check_directory(tmp_path / "state")
    check_directory(tmp_path / "state", shared=True)


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path) -> None:
    """It stays as it is."""

    (tmp_path / "state").write_text("precious")
    with pytest.raises(NotPrivateError, match=r"state isn't a directory\. Move it"):
        private_directory(tmp_path / "state")
    assert (tmp_path / "state").read_text() == "precious"


# --- files that are written on and on --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["precious", "missing"])
def test_the_log_is_not_written_through_a_link(tmp_path: Path, target: str) -> None:
    """Neither into a file that exists, nor into a new one."""

    (tmp_path / "precious").write_text("precious")
    (tmp_path / "a.log").symlink_to(tmp_path / target)
    with pytest.raises(NotPrivateError, match=r"a\.log is a symbolic link"):
        log_to_file(tmp_path / "a.log")
    assert {"precious", "a.log"} == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_link_put_in_the_logs_place_later_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rotation the file is opened anew; whatever logs doesn't fail for it."""

    (tmp_path / "precious").write_text("precious")
    root = logging.getLogger()
    before = list(root.handlers)
    log_to_file(tmp_path / "a.log")
    (handler,) = (each for each in root.handlers if each not in before)
    try:
        logging.getLogger("trayapp.test").warning("first")
        monkeypatch.setattr("trayapp.app.logs.MAX_BYTES", 1)
        logging.getLogger("trayapp.test").warning("the last one of this file")
        (tmp_path / "a.log").symlink_to(tmp_path / "precious")
        logging.getLogger("trayapp.test").warning("nowhere to go")
        (tmp_path / "a.log").unlink()
        logging.getLogger("trayapp.test").warning("again")
    finally:
        root.removeHandler(handler)
        handler.close()
    assert (tmp_path / "precious").read_text() == "precious"
    assert "again" in (tmp_path / "a.log.1").read_text()


def test_a_file_changed_for_a_link_in_the_last_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check alone would leave a moment."""

    (tmp_path / "precious").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    monkeypatch.setattr("trayapp.system.private_files.private_file", lambda path: None)
    with pytest.raises(OSError, match="symbolic links"):
        open_private(tmp_path / "lock", os.O_RDWR)


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_only_a_plain_file_is_opened(tmp_path: Path, kind: str) -> None:
    """A FIFO would make us wait for a reader."""

    path = tmp_path / "alive"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(NotPrivateError, match="isn't a file"):
        touch_private(path)


def test_touching_makes_the_file_and_its_directory(tmp_path: Path) -> None:
    """A runtime directory may be cleaned away at any time."""

    touch_private(tmp_path / "run" / "alive")
    os.utime(tmp_path / "run" / "alive", (1, 1))
    touch_private(tmp_path / "run" / "alive")
    assert (tmp_path / "run" / "alive").stat().st_mtime > 1
    assert mode(tmp_path / "run" / "alive") == 0o600


# --- full and read-only disks ----------------------------------------------------------------------------------------


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    """The old file stays, whole; no draft is left behind; with space again the next write works."""

    with small_disk(tmp_path / "disk") as disk:
        write_private(disk.path / "state" / "keys.json", "old")
        disk.fill()
        with pytest.raises(OSError, match="No space left") as caught:
            write_private(disk.path / "state" / "keys.json", "new" * 1000)
        assert (errno.ENOSPC, str(disk.path / "state" / "keys.json")) == (caught.value.errno, caught.value.filename)
        assert ["keys.json"] == [path.name for path in (disk.path / "state").iterdir()]
        assert (disk.path / "state" / "keys.json").read_text() == "old"
        disk.free()
        write_private(disk.path / "state" / "keys.json", "new")
        assert (disk.path / "state" / "keys.json").read_text() == "new"


def test_a_read_only_disk_names_the_file(tmp_path: Path) -> None:
    """Not the draft, of which nobody knows."""

    with small_disk(tmp_path / "disk") as disk:
        write_private(disk.path / "muted", "yes")
        disk.read_only()
        with pytest.raises(OSError, match="Read-only") as caught:
            write_private(disk.path / "muted", "no")
        assert (errno.EROFS, str(disk.path / "muted")) == (caught.value.errno, caught.value.filename)


def test_a_shared_directory_stays_shared(tmp_path: Path) -> None:
    """Like /tmp: other users' programs need it, so its mode isn't ours to change."""

    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(NotPrivateError, match="is shared by all users"):
        write_private(shared / "file", "text\n")

    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert [] == list(shared.iterdir())
