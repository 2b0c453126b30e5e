"""An app that runs and can't be reached: commands and bridges say that and why, not that it doesn't run or starts."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.server.instance import instance_lock
from trayapp.server.serverfile import ServerInfo, publish
from trayapp.stdio import reach
from trayapp.stdio.place import Target
from trayapp.stdio.reach import AwayError, Reach
from trayapp.stdio.starter import Starter

Capture = pytest.CaptureFixture[str]

PROBLEM = "No port on this computer can be used (Too many open files), so clients can't connect."


def test_nothing_listens_anywhere(paths: Paths, capsys: Capture) -> None:
    """The lock file says why."""

    paths.make()
    with instance_lock(paths.lock_file) as lock:
        lock.announce(paths.runtime_dir, PROBLEM)
        for command in (["list"], ["status"], ["status", "one"], ["token", "one"], ["client-config", "one"]):
            assert 1 == main(command)
            said = capsys.readouterr().err
            assert f"Amberlight is running (process {os.getpid()}), but can't be reached: {PROBLEM}" in said
            assert "isn't running" not in said
        assert 1 == main(["doctor"])
        assert PROBLEM in capsys.readouterr().out
        assert (False, f"Amberlight can't be reached: {PROBLEM}") == Starter(paths, [sys.executable]).ensure()
        lock.announce(paths.runtime_dir)
        assert (True, "Amberlight is starting.") == Starter(paths, [sys.executable]).ensure()


def test_the_listener_has_ended(paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """`server.json` is there, and the process as well."""

    monkeypatch.setattr(reach, "NO_START_WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    paths.make()
    info = ServerInfo(f"http://127.0.0.1:{port}", os.getpid(), Secret("key"), "2026-01-02T03:04:05Z", "1")
    publish(paths.runtime_dir, info)
    assert 3 == main(["list"])
    assert "isn't running" in capsys.readouterr().err
    with instance_lock(paths.lock_file) as lock:
        lock.announce(paths.runtime_dir)
        assert 1 == main(["list"])
        said = capsys.readouterr().err
        assert f"Amberlight (process {os.getpid()}) is running, but nothing listens at http://127.0.0.1:{port}." in said
        bridge = Reach(paths, Target.of("one"))
        found = bridge.now()
        assert found is not None
        bridge.refused(found)
        with pytest.raises(AwayError, match=f"Nothing answers at Amberlight's port {port}"):
            bridge.wait(time.monotonic())
