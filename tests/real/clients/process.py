"""A client program that speaks in lines, in a process group of its own and an environment made from nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.real import node

Line = dict[str, Any]
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: what asks the internet fails immediately


def environment(home: Path) -> dict[str, str]:
    """For a client whose every file goes below `home`, and which reaches nothing but loopback."""
    return {
        "HOME": str(home),
        "PATH": f"{node.node().parent}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "CI": "1",
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "DO_NOT_TRACK": "1",
        "NO_UPDATE_NOTIFIER": "1",
        "HTTPS_PROXY": NOWHERE,
        "https_proxy": NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


class Process:
    """`lines` are what it printed: JSON objects, and whatever else as {"text": …}."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
        self.lines: list[Line] = []
        self._errors: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            list(arguments),
            env=dict(env),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, name="read stdout"),
            threading.Thread(target=self._read_errors, name="read stderr"),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            with self._news:
                self.lines.append(_parsed(text.rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self._errors.append(text)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, line: Line | str) -> None:
        """One line to its stdin. A program that is gone gets nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
            self._process.stdin.flush()

    def wait_for(self, wanted: Callable[[Line], object], start: int, limit: float) -> Line | None:
        """The first line from number `start` on that is wanted; None at the limit or the program's end."""
        end = time.monotonic() + limit
        with self._news:
            while True:
                found = next((line for line in self.lines[start:] if wanted(line)), None)
                left = end - time.monotonic()
                if found is not None or left <= 0 or not self._readers[0].is_alive():
                    return found
                self._news.wait(min(left, 0.3))

    def whole(self) -> Line:
        """All that it printed as one JSON object; else as text, with its errors."""
        text = "\n".join(
            line.get("text", json.dumps(line)) if set(line) == {"text"} else json.dumps(line) for line in self.lines
        )
        return _parsed(text) if text.lstrip().startswith("{") else {"text": text + "".join(self._errors)}

    def tail(self) -> str:
        """The end of what it said, for the message of a failed assertion."""
        said = "\n".join(json.dumps(line) for line in self.lines[-20:])
        return f"{said[-3000:]}\n--- stderr ---\n{''.join(self._errors[-30:])[-3000:]}"

    def finish(self, limit: float) -> int | None:
        """Wait for its own end; its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit)
        code = self._process.poll()
        self.end()
        return code

    def end(self) -> None:
        """End it and what it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


def _parsed(text: str) -> Line:
    try:
        found = json.loads(text)
    except ValueError:
        return {"text": text}
    return found if isinstance(found, dict) else {"text": text}
