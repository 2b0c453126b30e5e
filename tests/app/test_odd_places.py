"""The program and its commands as processes, with pipes and a share that is gone where files are expected."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.app.test_runtime_process import Process
from tests.hanging import hanging_mount

pytestmark = pytest.mark.linux("POSIX files, FUSE")

CONFIG = """
[settings]
port = 0
[workloads.one]
url = "http://127.0.0.1:9/mcp"
issuer = "https://login.example"
"""
# Without each of these the app runs on: what a person writes or other programs do, and what can be made anew.
DISPENSABLE = (
    "config/amberlight/config.toml",
    "config/amberlight/install-id",
    "config/autostart/amberlight.desktop",
    "config/python_keyring/keyringrc.cfg",
    "site/amberlight/config.toml",
    "state/amberlight/keys.json",
    "state/amberlight/muted",
    "state/amberlight/state.db",
    "state/amberlight/mcp/sessions.json",
    "run/amberlight/pages.json",
    "run/amberlight/alive",
)
NEEDED = ("data/amberlight/install-id", "state/amberlight/amberlight.lock", "state/amberlight/log/amberlight.log")


def made(root: Path) -> Process:
    process = Process(root)
    process.config.write_text(CONFIG)
    process.config.chmod(0o600)
    return process


def pipe(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def test_pipes_everywhere_stop_nothing(tmp_path: Path) -> None:
    """The app starts, says what it can't use, answers and ends; no command waits; what becomes a file again is read."""

    process = made(tmp_path)
    for name in DISPENSABLE:
        pipe(tmp_path / name)
    with process:
        assert process.client.reload()["errors"]
        for words in (["list"], ["doctor"], ["logs"], ["autostart", "status"], ["import", "toolhive"]):
            done = process.run(*words)
            assert "Traceback" not in done.stderr + done.stdout
            assert "unexpected" not in done.stderr, words
        assert "it's a named pipe" in process.run("doctor").stdout
        assert 1 == process.run("add", "two", "https://two.example/mcp", "--no-sign-in").returncode
        for name in ("config/amberlight/config.toml", "site/amberlight/config.toml"):
            (tmp_path / name).unlink()
        process.config.write_text(CONFIG)
        process.until(lambda: process.client.workloads(), "the file to be read")
        assert 0 == process.end()
    assert "Traceback" not in process.output.read_text()


@pytest.mark.parametrize("name", NEEDED)
def test_a_pipe_in_the_place_of_a_needed_file_is_named(tmp_path: Path, name: str) -> None:
    """The start ends with a sentence, and so do the commands that want the file."""

    process = made(tmp_path)
    pipe(tmp_path / name)
    done = process.run("run", "--no-tray")
    assert (1, "") == (done.returncode, done.stdout)
    assert str(tmp_path / name) in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" not in process.run("logs").stderr


def test_a_share_that_is_gone_stops_neither_the_app_nor_its_end(tmp_path: Path) -> None:
    """`/health` and commands answer, `doctor` names the file, SIGTERM is obeyed."""

    process = made(tmp_path)
    share = tmp_path / "share"
    share.mkdir()
    process.config.rename(share / "config.toml")
    process.config.symlink_to(share / "config.toml")
    with process, hanging_mount(share):
        began = time.monotonic()
        assert ["one"] == [row["name"] for row in process.client.workloads()]
        process.client.request("GET", "/health")
        assert 0 == process.run("list").returncode
        assert time.monotonic() - began < 5
        assert "isn't responding" in process.client.reload()["errors"][0]
        began = time.monotonic()
        assert 0 == process.end()
        assert time.monotonic() - began < 10
        # Not while the app looks: the kernel lets nobody end who waits for another process's look at the same name.
        assert "isn't responding" in process.run("doctor").stdout
