"""Only plain files are read, and whoever can't wait doesn't."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.hanging import hanging_mount
from trayapp.system.plain_files import NotPlainError, NotRespondingError, open_plain, read_plain, within

fcntl = pytest.importorskip("fcntl", reason="POSIX files")

MAX = 100


def test_a_plain_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    """One byte more shows that it is longer; a link is followed, unless it must not be."""

    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"x" * 1000)
    link.symlink_to(file)
    assert b"x" * (MAX + 1) == read_plain(file, MAX) == read_plain(link, MAX)
    with pytest.raises(OSError, match="it's a symbolic link"):
        read_plain(link, MAX, follow=False)
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none", MAX)


def test_anything_else_is_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe without a writer, a pipe behind a link, a directory, a device without an end, a socket."""

    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("was opened"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "terminal").symlink_to("/dev/tty")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, kind in (
            ("pipe", "named pipe"),
            ("link", "named pipe"),
            ("endless", "device"),
            ("terminal", "device"),
            ("socket", "socket"),
            (".", "directory"),
        ):
            with pytest.raises(NotPlainError, match=f"it's a {kind}") as caught:
                read_plain(tmp_path / name, MAX)
            assert str(tmp_path / name) == caught.value.filename
            with pytest.raises(NotPlainError):
                open_plain(tmp_path / name, os.O_WRONLY | os.O_CREAT)


def test_a_pipe_that_takes_the_place_of_a_file_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking at it and opening it."""

    file = tmp_path / "file"
    file.write_text("x")
    found = file.stat()
    file.unlink()
    os.mkfifo(file)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", lambda *_, **__: found)
        with pytest.raises(NotPlainError):
            read_plain(file, MAX)


def test_a_file_that_does_not_exist_is_made(tmp_path: Path) -> None:
    """Private, and only if that was wanted."""

    os.close(open_plain(tmp_path / "new", os.O_WRONLY | os.O_CREAT))
    assert 0o600 == (tmp_path / "new").stat().st_mode & 0o777


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases are Linux's")
def test_a_lease_is_waited_for(tmp_path: Path) -> None:
    """A file server that holds the file for a client gives it back when somebody else wants it."""

    file = tmp_path / "file"
    file.write_text("x")
    holder = os.open(file, os.O_RDONLY)
    old = signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK))
    try:
        fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        assert b"x" == read_plain(file, MAX)
    finally:
        signal.signal(signal.SIGIO, old)
        os.close(holder)


def test_a_share_that_is_gone_takes_no_longer_than_the_limit(tmp_path: Path) -> None:
    """The error says so and names the file; what hangs is left behind in one thread."""

    directory = tmp_path / "share"
    file = directory / "config.toml"
    with hanging_mount(directory):
        before, began = threading.active_count(), time.monotonic()
        with pytest.raises(NotRespondingError, match="isn't responding") as caught:
            within(file, lambda: read_plain(file, MAX), 0.2)
        assert time.monotonic() - began < 2
        assert (str(file), before + 1) == (caught.value.filename, threading.active_count())


def test_within_the_limit_nothing_changes(tmp_path: Path) -> None:
    """The result, or the error of the work itself."""

    assert 3 == within(tmp_path, lambda: 3)
    with pytest.raises(ZeroDivisionError):
        within(tmp_path, lambda: 1 // 0)
