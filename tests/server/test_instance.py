"""The instance lock: who holds it, where its `server.json` is, and what a crash leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.hanging import hanging_mount
from trayapp.server import instance
from trayapp.server.instance import AlreadyRunning, Holder, holder, instance_lock, is_held, process_exists
from trayapp.system.private_files import NotPrivateError

HOLD = """
import sys
from pathlib import Path
from trayapp.server.instance import instance_lock
with instance_lock(Path(sys.argv[1])) as lock:
    lock.announce(Path(sys.argv[2]))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "amberlight.lock"


def start(file: Path, runtime_dir: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), str(runtime_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


POSIX_NAMES = [] if sys.platform == "win32" else ["two\nlines", os.fsdecode(b"odd \xff bytes")]


@pytest.mark.parametrize("name", ["run", "Ümläut, 100 %", *POSIX_NAMES])
def test_the_lock_names_process_and_directory(file: Path, tmp_path: Path, name: str) -> None:
    """To another process, whatever the directory is called; not for longer than the process runs."""

    assert (None, False) == (holder(file), is_held(file))
    with start(file, tmp_path / name) as process:
        assert holder(file) == Holder(process.pid, tmp_path / name)
        assert is_held(file)
        with pytest.raises(AlreadyRunning), instance_lock(file):
            pass
        assert holder(file) == Holder(process.pid, tmp_path / name)
    assert (None, False) == (holder(file), is_held(file))
    assert file.read_bytes() == b""


def test_a_crash_leaves_no_holder(file: Path, tmp_path: Path) -> None:
    """The kernel gives the lock back; what the file says is of a process that is gone."""

    with start(file, tmp_path) as process:
        process.kill()
        process.wait()
    assert file.read_bytes() != b""
    assert (None, False) == (holder(file), is_held(file))
    with instance_lock(file) as lock:
        lock.announce(tmp_path / "x")
        assert holder(file) == Holder(os.getpid(), tmp_path / "x")
        lock.announce(tmp_path / "a longer name than before")
        lock.announce(tmp_path / "y")
        assert holder(file) == Holder(os.getpid(), tmp_path / "y")


def test_looking_does_not_keep_an_app_from_starting(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that looks holds the lock for a moment."""

    with file.open("w+") as looking:
        instance._lock(looking.fileno(), shared=True)
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            looking.close()

        monkeypatch.setattr("trayapp.server.instance.time.sleep", wait)
        with instance_lock(file):
            assert [instance.TRIES_APART] == waits


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"12",
        b"x\n/run\n",
        b"4294967296\n/run\n",
        b"-1\n/run\n",
        b"0\n/run\n",
        b"1\nrelative\n",
        b"99999999999999999999\n/run\n",
        b"\xff" * 9000,
    ],
)
def test_a_file_that_says_something_else_names_nobody(file: Path, content: bytes) -> None:
    """Damaged, cut short by a full disk, or of another version."""

    file.write_bytes(content)
    assert holder(file) is None


@pytest.mark.parametrize("kind", ["directory"] if sys.platform == "win32" else ["fifo", "link", "directory"])
def test_only_a_plain_file_is_a_lock(file: Path, tmp_path: Path, kind: str) -> None:
    """A FIFO doesn't hang whoever looks; the target of a link is not touched."""

    match kind:
        case "fifo":
            os.mkfifo(file)
        case "link":
            (tmp_path / "target").write_text(f"{os.getpid()}\n/run\n")
            file.symlink_to(tmp_path / "target")
        case _:
            file.mkdir()
    assert (None, False) == (holder(file), is_held(file))
    with pytest.raises(NotPrivateError), instance_lock(file):
        pass
    assert kind != "link" or (tmp_path / "target").read_text() != ""


@pytest.mark.linux("needs a file system that hangs")
def test_a_home_on_a_share_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is found there, after a moment: whoever looks goes on without the lock."""

    monkeypatch.setattr(instance, "LOOK_LIMIT", 0.2)
    share = tmp_path / "share"
    share.mkdir()
    with hanging_mount(share):
        began = time.monotonic()
        assert (None, False) == (holder(share / "amberlight.lock"), is_held(share / "amberlight.lock"))
        assert time.monotonic() - began < 2


def test_a_process_that_has_ended() -> None:
    """It doesn't count as running, even while its parent still has it open."""

    assert process_exists(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_exists(process.pid)
    process.communicate(b"\n")
    assert not process_exists(process.pid)
    assert not any(map(process_exists, (0, -1, 1 << 32, 1 << 64)))
