"""A Windows computer in Wine, and Amberlight on it as a person has it: started, asked, and reached over its API.

Wine's desktop and services start with the first program and hold whatever it was given, so nothing here waits for the end
of a pipe: a program has ended when its process has.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trayapp.cli.client import ApiClient
from trayapp.core.model import Secret

WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
LIMIT = 300.0  # s for anything that is waited for, on a machine with other work
DRAINED = 2.0  # s after the end of a program for what it wrote
PRESS = Path(__file__).with_name("press.py")


@dataclass(frozen=True, slots=True)
class Done:
    """A program that has ended."""

    code: int
    stdout: str
    stderr: str


class Pipe:
    """One stream of a program, read until nobody holds it, or nobody cares."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._data = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := os.read(self._reader, 65536):
            self._data += data
        os.close(self._reader)

    def text(self) -> str:
        self._thread.join(DRAINED)
        return self._data.decode("utf-8", "replace").replace("\r\n", "\n")


class Computer:
    """The one that WINEPREFIX names."""

    def __init__(self) -> None:
        self.disk = Path(os.environ["WINEPREFIX"], "drive_c")
        (self.user,) = (path for path in (self.disk / "users").iterdir() if path.name != "Public")
        self.local, self.roaming = self.user / "AppData/Local", self.user / "AppData/Roaming"

    def run(self, program: Path | str, *arguments: str, debug: str = "-all") -> Done:
        """Run a program to its end, with Wine's own words of these channels. Its output goes through pipes: for
        Wine, files are no consoles."""
        out, err = Pipe(), Pipe()
        process = subprocess.Popen(
            [WINE, str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out.writer,
            stderr=err.writer,
            env={**os.environ, "WINEDEBUG": debug},
        )
        os.close(out.writer)
        os.close(err.writer)
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{program} {arguments} didn't end: {out.text()}{err.text()}") from None
        return Done(code, out.text(), err.text())

    def start(self, program: Path | str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program, and leave it."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen([WINE, str(program), *arguments], stdin=quiet, stdout=quiet, stderr=quiet)

    def press(self, *buttons: str) -> None:
        """Press these buttons, one after the other, in whatever dialogs appear."""
        done = self.run(os.environ["AMBERLIGHT_WINDOWS_PYTHON"], str(PRESS), *buttons)
        assert done.code == 0, done.stdout + done.stderr

    def value(self, key: str, name: str) -> str:
        """A value of the user's hive as `reg` prints it; empty if there is none."""
        done = self.run("reg", "query", f"HKCU\\{key}", "/v", name)
        return re.split("REG_(?:EXPAND_)?SZ", done.stdout, maxsplit=1)[-1].strip() if done.code == 0 else ""

    def default(self, key: str) -> str:
        """The default value of a key."""
        done = self.run("reg", "query", f"HKCU\\{key}", "/ve")
        return done.stdout.split("REG_SZ", 1)[-1].strip() if done.code == 0 else ""

    def running(self) -> list[str]:
        """Our processes, as lines of Windows' own list."""
        return [line for line in self.run("tasklist").stdout.splitlines() if "amberlight" in line.lower()]

    @staticmethod
    def end() -> None:
        subprocess.run([str(Path(WINE).with_name("wineserver64")), "-k"], check=False)


class Amberlight:
    """The program in `home`, which keeps its files in `files`, and `server.json` in `runtime`."""

    def __init__(self, computer: Computer, home: Path, files: Path, runtime: Path) -> None:
        self.computer, self.home, self.files, self.runtime = computer, home, files, runtime

    def __call__(self, *arguments: str) -> Done:
        return self.computer.run(self.home / "amberlight.exe", *arguments)

    def ok(self, *arguments: str) -> str:
        """What a command printed that has to succeed."""
        done = self(*arguments)
        assert (0, "") == (done.code, "" if "Traceback" not in done.stderr else done.stderr), (arguments, done)
        return done.stdout

    def start(self) -> subprocess.Popen[bytes]:
        """Start it as a login does, and wait until it answers."""
        app = self.computer.start(self.home / "amberlightw.exe", "run", "--no-page")
        self.until_up()
        return app

    def until_up(self, not_pid: int = 0) -> None:
        until(lambda: (found := self.server()) and found["pid"] != not_pid and self("list").code == 0, "the start")

    def server(self) -> dict[str, Any]:
        """What the running one says of itself in `server.json`; empty if there is none, or it is being replaced."""
        try:
            found: dict[str, Any] = json.loads((self.runtime / "server.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    @property
    def api(self) -> ApiClient:
        found = self.server()
        host, port = found["url"].removeprefix("http://").split(":")
        return ApiClient(host, int(port), Secret(found["api_key"]), found["pid"], found["version"])

    def status(self, name: str) -> str:
        return str(self.api.status(name)["status"])


def until(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.5)
