"""A file that another program has open: waited for shortly, then said by name."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trayapp.clients import files
from trayapp.clients.files import FileError
from trayapp.config import editor
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.server import serverfile
from trayapp.server.serverfile import ServerFileError, ServerInfo
from trayapp.system import replacing
from trayapp.system.private_files import write_private
from trayapp.system.replacing import IN_USE, WAITS

windows = pytest.mark.skipif(sys.platform != "win32", reason="elsewhere, an open file can be replaced")


def refusal(code: int) -> OSError:
    """What Windows' own functions raise."""
    error = PermissionError(errno.EACCES, "The process cannot access the file", "draft", code)
    error.winerror = code  # type: ignore[attr-defined, unused-ignore]  # elsewhere the constructor forgets it
    return error


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    passed: list[float] = []
    monkeypatch.setattr("trayapp.system.replacing.time.sleep", passed.append)
    return passed


def failing(times: int, code: int) -> Callable[..., None]:
    left = iter(range(times))

    def work(*paths: Path) -> None:
        if next(left, None) is not None:
            raise refusal(code)
        if len(paths) == 2:
            os.replace(*paths)
        else:
            paths[0].unlink()

    return work


@pytest.mark.parametrize("code", [5, 32, 33, 1224])
@pytest.mark.parametrize("times", [0, 1, len(WAITS)])
def test_a_refusal_is_waited_out(tmp_path: Path, waits: list[float], code: int, times: int) -> None:
    """A scanner opens each new file for milliseconds."""

    (tmp_path / "draft").write_text("new")
    (tmp_path / "file").write_text("old")
    replacing.replace(tmp_path / "draft", tmp_path / "file", failing(times, code))
    assert "new" == (tmp_path / "file").read_text()
    replacing.remove(tmp_path / "file", failing(times, code))
    assert [] == os.listdir(tmp_path)
    assert list(WAITS[:times]) * 2 == waits


@pytest.mark.parametrize("code", [5, 32])
def test_a_file_that_stays_open_is_named(tmp_path: Path, waits: list[float], code: int) -> None:
    """After a second, with a reason that completes "FILE can't be written: …"."""

    calls: list[Callable[[], None]] = [
        lambda: replacing.replace(tmp_path / "draft", tmp_path / "file", failing(99, code)),
        lambda: replacing.remove(tmp_path / "file", failing(99, code)),
    ]
    for call in calls:
        waits.clear()
        with pytest.raises(PermissionError) as caught:
            call()
        assert (IN_USE, str(tmp_path / "file")) == (caught.value.strerror, caught.value.filename)
        assert list(WAITS) == waits
    assert sum(WAITS) <= 1


def test_what_waiting_cannot_help_is_raised_immediately(tmp_path: Path, waits: list[float]) -> None:
    """A full disk, a directory in the place of the file, a read-only file, a file that isn't there."""

    def full(*_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "directory").mkdir()
    if sys.platform == "win32":
        (tmp_path / "read-only").touch(mode=0o400)
        (tmp_path / "read-only").chmod(0o400)
        with pytest.raises(PermissionError, match="cannot access"):
            replacing.replace(tmp_path / "draft", tmp_path / "read-only", failing(9, 5))
        (tmp_path / "read-only").chmod(0o600)
    with pytest.raises(OSError, match="No space"):
        replacing.replace(tmp_path / "draft", tmp_path / "file", full)
    with pytest.raises(PermissionError, match="cannot access"):
        replacing.replace(tmp_path / "draft", tmp_path / "directory", failing(9, 5))
    with pytest.raises(FileNotFoundError):
        replacing.remove(tmp_path / "file")
    assert [] == waits


# --- Windows' own refusals -------------------------------------------------------------------------------------------


@windows
def test_a_file_that_is_closed_meanwhile_is_replaced(tmp_path: Path) -> None:
    """Another program had it open for 100 ms."""

    write_private(file := tmp_path / "keys.json", "old")
    other = file.open("rb")
    threading.Timer(0.1, other.close).start()
    write_private(file, "new")
    assert "new" == file.read_text()
    other = file.open("rb")
    threading.Timer(0.1, other.close).start()
    replacing.remove(file)
    assert [] == os.listdir(tmp_path)


@windows
def test_every_writer_names_the_file_that_stays_open(tmp_path: Path) -> None:
    """Our own files, the configuration, `server.json` and another program's file are as they were, without drafts."""

    paths = Paths.under(tmp_path)
    paths.make()
    write_private(paths.keys_file, "old")
    with paths.keys_file.open("rb"), pytest.raises(PermissionError) as caught:
        write_private(paths.keys_file, "new")
    assert (IN_USE, str(paths.keys_file)) == (caught.value.strerror, caught.value.filename)
    assert "old" == paths.keys_file.read_text()
    assert ["keys.json"] == os.listdir(paths.state_dir)

    paths.config_file.write_text("")
    with paths.config_file.open("rb"), pytest.raises(PermissionError) as caught:
        editor.add(paths, "notes", {"url": "https://notes.example/mcp"})
    assert (IN_USE, str(paths.config_file)) == (caught.value.strerror, caught.value.filename)
    assert ["config.toml"] == os.listdir(paths.config_file.parent)

    info = ServerInfo("http://127.0.0.1:1234", os.getpid(), Secret("key"), "2026-01-01T00:00:00Z", "1")
    serverfile.publish(paths.runtime_dir, info)
    with paths.server_file.open("rb"), pytest.raises(ServerFileError) as refused:
        serverfile.publish(paths.runtime_dir, info)
    assert f"{paths.server_file} can't be written: {IN_USE}." == str(refused.value)

    (client := tmp_path / "client.json").write_text("{}")
    with client.open("rb"), pytest.raises(FileError) as named:
        files.replace(files.read(client), "{ }", "stamp")
    assert f"{client} can't be replaced: {IN_USE}" == str(named.value)
    assert "{}" == client.read_text()
    assert not [name for name in os.listdir(tmp_path) if "backup" in name or name.startswith(".client")]
