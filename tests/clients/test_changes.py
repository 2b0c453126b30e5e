"""Writing clients' files: who else writes them, what is locked, and where the backup lies."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.clients.test_edits import ACCESS
from trayapp.clients import edits, entries
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import drop_all
from trayapp.clients.entries import Transport
from trayapp.clients.files import FileError
from trayapp.clients.locks import others_lock
from trayapp.clients.table import BY_NAME

CURSOR = BY_NAME["cursor"]
BEFORE = '{\n  // mine\n  "mcpServers": {}\n}\n'


def put(text: str) -> str:
    return edits.put(CURSOR, text, "notion", entries.entry(CURSOR, ACCESS, Transport.HTTP))


def put_command(text: str) -> str:
    return edits.put(CURSOR, text, "notion", entries.entry(CURSOR, ACCESS, Transport.STDIO))


@pytest.fixture
def changes(tmp_path: Path) -> Changes:
    return Changes(tmp_path / "state", lambda: "2026-01-02")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "home/.cursor/mcp.json"
    made.parent.mkdir(parents=True)
    made.write_text(BEFORE)
    made.chmod(0o644)
    return made


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_what_the_client_writes_meanwhile_is_kept(changes: Changes, file: Path) -> None:
    """A file that changed after it was read is not replaced, and no draft or backup stays."""

    def edit(text: str) -> str:
        file.write_text('{"new": 1}')
        return put(text)

    with pytest.raises(FileError, match=r"mcp\.json has just been changed by another program"):
        changes.apply(CURSOR, file, edit)
    assert '{"new": 1}' == file.read_text()
    assert [file] == list(file.parent.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes")
def test_only_a_key_makes_it_private(changes: Changes, file: Path) -> None:
    """A project's file, which a team shares, keeps its mode: no key is in it."""

    changes.apply(CURSOR, file, put_command)
    assert 0o644 == mode(file)
    changes.apply(CURSOR, file, put)
    assert 0o600 == mode(file)


def test_no_backup_in_a_repository(changes: Changes, file: Path, tmp_path: Path) -> None:
    """Its owner might commit it; and it is found again."""

    (tmp_path / "home/.git").mkdir()
    assert changes.apply(CURSOR, file, put_command)
    assert [file] == list(file.parent.iterdir())
    (backup,) = (tmp_path / "state/backups").iterdir()
    assert BEFORE == backup.read_text()
    assert changes.apply(CURSOR, file, drop_all(CURSOR))
    assert BEFORE == file.read_text()
    assert not backup.exists()


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_the_lock_of_another_program(changes: Changes, file: Path) -> None:
    """It is waited for, its content stays, and a file that nobody locks is none."""

    lock = file.with_name("mcp.json.lock")
    with others_lock(file):
        assert not lock.exists()
    lock.write_text("a note")
    command = [sys.executable, "-I", "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert b"held\n" == holder.stdout.readline()
        with pytest.raises(FileError, match=r"mcp\.json is locked by another program"), others_lock(file, 0.0):
            pass
        threading.Timer(0.1, holder.stdin.close).start()
        assert changes.apply(CURSOR, file, put)
    assert "a note" == lock.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and links")
def test_a_lock_that_is_no_file(changes: Changes, file: Path, tmp_path: Path) -> None:
    """It hangs nobody, and nothing is made where a link points to."""

    lock = file.with_name("mcp.json.lock")
    os.mkfifo(lock)
    assert changes.apply(CURSOR, file, put)
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    assert changes.apply(CURSOR, file, drop_all(CURSOR))
    assert not (tmp_path / "elsewhere").exists()
