"""The log file: readable by its owner only, a few files of 1 MB, and never a reason to fail."""

from __future__ import annotations

import logging
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from trayapp.app import logs


@pytest.fixture
def say(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Logs a line to the directory `log`; logging is restored afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    quiet = {name: logging.getLogger(name).level for name in logs.LIBRARIES}
    (tmp_path / "log").mkdir()
    logs.log_to_file(tmp_path / "log" / "a.log")
    (added,) = (handler for handler in root.handlers if handler not in handlers)
    yield logging.getLogger("trayapp.test").info
    root.removeHandler(added)
    added.close()
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def test_a_full_file_is_rotated(say: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest lines are under the plain name, the oldest are dropped, and nothing in between is lost."""

    monkeypatch.setattr(logs, "MAX_BYTES", 200)
    for number in range(40):
        say(f"line {number:02} " + "x" * 40)
    names = ["a.log.3", "a.log.2", "a.log.1", "a.log"]
    text = "".join((tmp_path / "log" / name).read_text() for name in names if (tmp_path / "log" / name).exists())
    kept = [int(line.split("line ")[1][:2]) for line in text.splitlines()]
    assert list(range(kept[0], 40)) == kept
    assert 6 <= len(kept) <= 12
    assert not (tmp_path / "log" / "a.log.4").exists()
    assert 4 == len(list((tmp_path / "log").iterdir())) + (not (tmp_path / "log" / "a.log").exists())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_its_owner_reads_it(say: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file and the later ones; an older one that was readable is made safe."""

    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    say("one")
    say("two")
    for file in (tmp_path / "log").iterdir():
        assert 0o600 == stat.S_IMODE(file.stat().st_mode), file.name


def test_a_directory_that_vanishes_is_no_error(
    say: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is raised and nothing is printed; when it is back, lines are written again."""

    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    say("turns the file")
    shutil.rmtree(tmp_path / "log")
    say("lost")
    say("lost")
    (tmp_path / "log").mkdir()
    say("back")
    written = "".join(file.read_text() for file in (tmp_path / "log").iterdir())
    assert "back" in written
    assert ("", "") == capfd.readouterr()


def test_a_directory_that_cannot_be_written_raises(tmp_path: Path) -> None:
    """The caller makes a sentence of it."""

    with pytest.raises(OSError, match="nowhere"):
        logs.log_to_file(tmp_path / "nowhere" / "a.log")


def test_it_imports_nothing_heavy() -> None:
    """It is imported before the icon."""

    code = "import sys, trayapp.app.logs; print(sorted({'pickle', 'logging.handlers', 'socket'} & set(sys.modules)))"
    assert (
        "[]" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_a_full_disk_says_nothing_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line would be a traceback; once there is space, lines are written again."""

    with small_disk(tmp_path / "disk") as disk:
        handler = logs._RotatingFile(disk.path / "a.log")
        try:
            disk.fill()
            for _ in range(3):
                handler.emit(logging.makeLogRecord({"msg": "x" * 5000}))
            disk.free()
            handler.emit(logging.makeLogRecord({"msg": "written again"}))
        finally:
            handler.close()
        assert (disk.path / "a.log").read_text().endswith("written again\n")
    assert "" == capsys.readouterr().err


def test_half_a_character_is_written_all_the_same(
    say: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the name of a file that isn't UTF-8: the line isn't lost, and nothing is said on standard error."""

    say("can't read /home/\udcff/x and \ud800")
    assert "can't read /home/\\udcff/x and \\ud800\n" in (tmp_path / "log" / "a.log").read_text(encoding="utf-8")
    assert "" == capsys.readouterr().err
