"""The end of the program while a thread hangs, with and without streams."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from trayapp.app import launch

HANGS = """\
import sys, threading
from trayapp.app import launch
launch.THREADS_LIMIT = 0.1
threading.Thread(target=threading.Event().wait).start()
{}
launch._wait_for_threads(7)
"""


@pytest.mark.parametrize(
    ("streams", "out"),
    [('sys.stdout.write("bye")', b"bye"), ("sys.stdout = None", b""), ("sys.stdout = sys.stderr = None", b"")],
)
def test_a_thread_that_hangs_delays_nothing(streams: str, out: bytes) -> None:
    """As in a windowed program on Windows, which has no streams: it ends, with its code."""

    code = HANGS.format(streams)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (7, out, b"") == (done.returncode, done.stdout, done.stderr)


def test_a_stream_that_nobody_reads_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one on a full disk."""

    class Lost:
        def flush(self) -> None:
            raise OSError("nobody reads it")

    class Ended(BaseException):
        """In place of the end of the process."""

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(launch, "THREADS_LIMIT", 0.0)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(sys, "stdout", Lost())
    goes_on = threading.Event()
    thread = threading.Thread(target=goes_on.wait, name="hangs")
    thread.start()
    try:
        with pytest.raises(Ended) as ended:
            launch._wait_for_threads(7)
    finally:
        goes_on.set()
        thread.join()
    assert (7,) == ended.value.args
