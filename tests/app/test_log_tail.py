"""The log while it is read: it is rotated nevertheless, and what is written next is read too."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trayapp.app import logs
from trayapp.app.log_tail import follow, last_lines
from trayapp.core.model import Secret
from trayapp.server import serverfile
from trayapp.server.serverfile import ServerFileError, ServerInfo
from trayapp.system.plain_files import open_plain, read_plain


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """A logger into a log of 200 bytes."""
    monkeypatch.setattr(logs, "MAX_BYTES", 200)
    logger = logging.Logger("of the test")
    handler = logs._RotatingFile(tmp_path / "Zoë's log", encoding="utf-8")
    logger.addHandler(handler)
    yield logger
    handler.close()


def test_a_log_that_is_followed_is_rotated(log: logging.Logger, tmp_path: Path) -> None:
    """Windows lets nobody rename a file that another program has open, unless that one allows it."""

    path = tmp_path / "Zoë's log"
    log.warning("before")
    steps: list[str] = []

    def sleep(seconds: float) -> None:
        """What happens while the reader waits."""
        steps.append("")
        assert len(steps) < 50
        number, looks = divmod(len(steps), 3)  # the reader looks several times before the log is rotated again
        if looks == 0 and number <= 5:
            log.warning("line %d %s", number, "x" * 120)

    lines = follow(path, sleep)
    try:
        assert [f"line {number}" for number in range(1, 6)] == [next(lines)[:6] for _ in range(5)]
    finally:
        lines.close()
    assert {"Zoë's log.1", "Zoë's log.2"} <= {each.name for each in tmp_path.iterdir()}
    assert ["line 3", "line 4"] == [line[:6] for line in last_lines(tmp_path / "Zoë's log.1", 5)]


def test_a_file_that_is_read_can_be_replaced_and_deleted(tmp_path: Path) -> None:
    """Who has it open reads on in the old one."""

    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"old\x1a\r\nrest")
    with open(open_plain(path), "rb") as opened:
        path.rename(other)
        path.write_bytes(b"new")
        other.unlink()
        assert b"old\x1a\r\nrest" == opened.read(), "no text mode, in which Ctrl-Z ends a file"
    assert b"new" == read_plain(path, 100)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """The error is the usual one, and names the file."""

    with pytest.raises(FileNotFoundError) as caught:
        open_plain(tmp_path / "none")
    assert str(tmp_path / "none") == caught.value.filename


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own errors")
def test_windows_errors_are_pythons(tmp_path: Path) -> None:
    """Their numbers become the classes that Python has for them."""

    from trayapp.system.windows_open import open_for_reading

    with pytest.raises(FileNotFoundError) as caught:
        open_for_reading(tmp_path / "none")
    assert (2, str(tmp_path / "none")) == (getattr(caught.value, "winerror", None), caught.value.filename)
    with pytest.raises(PermissionError):
        open_for_reading(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_it_is_refused(tmp_path: Path) -> None:
    """The module imports on every system."""

    from trayapp.system.windows_open import open_for_reading

    with pytest.raises(OSError, match="Microsoft"):
        open_for_reading(tmp_path / "none")


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own errors")
def test_the_words_of_a_refusal(tmp_path: Path) -> None:
    """They stand within a sentence, whatever the language of Windows."""

    from trayapp.system.windows_open import _error

    for code, words in (2, "No such file or directory"), (5, "Permission denied"), (32, "another program has it open"):
        assert words == _error(tmp_path, code).strerror


def test_a_server_file_that_is_read_can_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app renews it while commands look at it."""

    def renamed(path: Path, descriptor: int) -> None:
        path.rename(tmp_path / "old.json")
        raise ServerFileError("seen")

    (tmp_path / serverfile.NAME).write_text("{}")
    monkeypatch.setattr(serverfile, "_check_ours", renamed)
    with pytest.raises(ServerFileError, match="seen"):
        serverfile.read(tmp_path)
    assert (tmp_path / "old.json").exists()


def test_the_ends_of_lines_are_those_of_windows_too(tmp_path: Path) -> None:
    """They are no part of the line; an end of the file that was met before a rotation is none any more."""

    path = tmp_path / "log"
    path.write_bytes(b"")

    def rotated() -> None:
        with path.open("ab") as file:
            file.write(b"two\r\n")
        path.rename(tmp_path / "log.1")

    steps = iter([lambda: path.write_bytes(b"one\r\n"), rotated])
    lines = follow(path, lambda _: next(steps)())
    assert ["one", "two"] == [next(lines), next(lines)]
    lines.close()


def test_a_server_file_that_is_being_replaced_is_read(tmp_path: Path) -> None:
    """On Windows it can't be opened in that very moment: then it is, a moment later."""

    keys = ("one", "two")
    info = {
        key: ServerInfo(f"http://127.0.0.1:{number}", 7, Secret(key), "", "0") for number, key in enumerate(keys, 1)
    }
    over = threading.Event()

    def renew() -> None:
        while not over.is_set():
            for key in keys:
                serverfile.publish(tmp_path / "run", info[key])

    serverfile.publish(tmp_path / "run", info["one"])
    writer = threading.Thread(target=renew)
    writer.start()
    try:
        for _ in range(60):
            assert (found := serverfile.read(tmp_path / "run")) is not None
            assert found.api_key.reveal() in keys
    finally:
        over.set()
        writer.join()
