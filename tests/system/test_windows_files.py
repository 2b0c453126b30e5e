"""Private files on Windows itself: every access list is set by Windows' own calls, and read back by them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("access lists are Windows'", allow_module_level=True)

from trayapp.app import file_checks
from trayapp.app.logs import log_to_file
from trayapp.cli import report
from trayapp.clients import files
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.server import serverfile
from trayapp.server.serverfile import ServerFileError, ServerInfo
from trayapp.storage.database import open_private_database
from trayapp.system.private_files import NotPrivateError, open_private, private_directory, touch_private, write_private
from trayapp.system.windows_acl import EVERYONE, Descriptor
from trayapp.system.windows_security import load_security

INFO = ServerInfo("http://127.0.0.1:1234", os.getpid(), Secret("key"), "2026-01-01T00:00:00Z", "1")


def found(path: Path) -> Descriptor:
    return load_security().read(path)


def is_private(path: Path) -> bool:
    return found(path).is_private(load_security().user())


def open_to_everybody(path: Path) -> None:
    """As `icacls PATH /grant Everyone:F` leaves it."""
    from tests.system.everybody import grant

    grant(path)
    assert found(path).others(load_security().user())


def test_who_this_user_is() -> None:
    """A SID; the owner of what it makes."""

    assert load_security().user().startswith("S-1-5-21-")


@pytest.mark.parametrize("name", ["keys.json", "ümläut ☃.json"])
def test_a_file_that_is_written_whole(tmp_path: Path, name: str) -> None:
    """It and its directory admit the user only, also over an old file that was open to everybody."""

    file = tmp_path / "state" / name
    write_private(file, "one")
    assert is_private(file.parent)
    assert is_private(file)
    open_to_everybody(file)
    write_private(file, "two")
    assert is_private(file)
    assert "two" == file.read_text()
    assert [name] == os.listdir(file.parent)


def test_the_directory_above_adds_nobody(tmp_path: Path) -> None:
    """It lets everybody read what is in it, as a drive does; ours admits its user only, new or old."""

    (home := tmp_path / "home").mkdir()  # in Wine, everybody may read it
    private_directory(home / "new")
    (home / "old").mkdir()
    private_directory(home / "old")
    write_private(home / "old" / "file", "text")
    assert all(is_private(home / name) for name in ("new", "old", "old/file"))


def test_a_directory_that_was_open_to_everybody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is corrected, and the log says so."""

    private_directory(directory := tmp_path / "state")
    open_to_everybody(directory)
    with caplog.at_level(logging.WARNING):
        private_directory(directory)
    assert is_private(directory)
    assert f"{directory} was accessible to others ({EVERYONE}); now it admits its user only." in caplog.messages


def test_files_that_are_written_on_and_on(tmp_path: Path) -> None:
    """The lock, the heartbeat and the log; line ends are as they were written."""

    private_directory(state := tmp_path / "state")
    handle = open_private(state / "amberlight.lock", os.O_RDWR)
    os.write(handle, b"1\n2\n")
    os.close(handle)
    touch_private(state / "alive")
    log_to_file(state / "amberlight.log")
    try:
        logging.getLogger("tests").warning("a line")
    finally:
        handler = logging.getLogger().handlers[-1]
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert b"1\n2\n" == (state / "amberlight.lock").read_bytes()
    assert all(is_private(state / name) for name in ("amberlight.lock", "alive", "amberlight.log"))


def test_a_database(tmp_path: Path) -> None:
    """`state.db` and `activity.db`; what was open to everybody is corrected before it is opened."""

    file = tmp_path / "state" / "state.db"
    open_private_database(file, lambda db: None).close()
    assert is_private(file)
    open_to_everybody(file)
    open_private_database(file, lambda db: None).close()
    assert is_private(file)


def test_the_file_with_the_key(tmp_path: Path) -> None:
    """It is private, and isn't trusted once it isn't."""

    serverfile.publish(tmp_path / "run", INFO)
    file = tmp_path / "run" / "server.json"
    assert is_private(file)
    assert INFO == serverfile.read(tmp_path / "run")
    open_to_everybody(file)
    with pytest.raises(ServerFileError, match=r"can be read by others\. Remove it and start Amberlight again\."):
        serverfile.read(tmp_path / "run")


def test_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory of the person's own choice."""

    monkeypatch.chdir(tmp_path)
    report._write_new(Path("report.txt"), "text")
    assert is_private(tmp_path / "report.txt")


def test_a_place_that_everybody_can_take_away(tmp_path: Path) -> None:
    """It is refused, and `doctor` says so."""

    open_to_everybody(tmp_path)
    with pytest.raises(NotPrivateError, match="can be changed by every user of this computer"):
        private_directory(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    checks = file_checks.files(Paths.under(tmp_path))
    assert any(f"{tmp_path} can be changed by every user of this computer" in check.text for check in checks)


def test_another_programs_file(tmp_path: Path) -> None:
    """It stays open to whom it was, until it gets a key; its backup is private in any case."""

    file = tmp_path / "client.json"
    file.write_text("{}")
    open_to_everybody(file)
    assert files.others_may_read(file)
    backup = files.replace(files.read(file), "{ }", "stamp")
    assert files.others_may_read(file)
    assert is_private(backup)
    files.replace(files.read(file), '{"key": 1}', "stamp", private=True)
    assert is_private(file)
    open_to_everybody(file)
    files.make_private(file)
    assert is_private(file)


def test_a_new_file_is_never_open_to_others(tmp_path: Path) -> None:
    """Not even in its first moment: the list comes with the file, not after it."""

    load_security().make_file(tmp_path / "file")
    load_security().make_directory(tmp_path / "directory")
    assert is_private(tmp_path / "file")
    assert is_private(tmp_path / "directory")
    with pytest.raises(FileExistsError):
        load_security().make_file(tmp_path / "file")


def test_what_isnt_there() -> None:
    """Errors are those of Python's own functions, with the path."""

    missing = Path("C:\\no such directory\\file")
    for call in (load_security().read, load_security().make_file, load_security().make_directory):
        with pytest.raises(FileNotFoundError) as caught:
            call(missing)
        assert str(missing) == caught.value.filename
        assert caught.value.strerror
        assert not caught.value.strerror.endswith("."), "it stands within a sentence"
