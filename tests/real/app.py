"""`App`: the program as a process on a real desktop, with the command line beside it, as a person has them.

Everything it writes is below directories of its own, through the desk's XDG variables. Its output goes to a file.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import ROOT
from trayapp.cli.client import ApiClient, NotRunningError

QUIT_LIMIT = 15.0  # s; the program gives an attempt in flight 10
# Waits that have no key in the configuration, as short as the others of a test: what keeps a program in a loop from
# opening a page more often than every 10 s, what keeps the attempts of a token that still lives 10 s apart, and the 5 s
# between two questions for a device that RFC 8628 wants of whom the server tells nothing else.
HURRIED = """
import sys
from trayapp.core import schedule
from trayapp.api import requested_sign_ins
from trayapp.oauth import device
requested_sign_ins.REAUTHORIZE_EVERY = 2.0
schedule.TICK_FLOOR = 1.0
device.INTERVAL = 1.0
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""


class App:
    """`amberlight run` in `environment`. `name` is the workload that the shortcuts below are about."""

    python: tuple[str, ...] = (sys.executable,)  # or an installed program; then the two below are empty
    program: tuple[str, ...] = ("-m", "trayapp")  # what Python is to run; `run` and its options follow
    module: tuple[str, ...] = ("-m", "trayapp")  # the same for the commands

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str = "real", *arguments: str) -> None:
        self.environment = {**environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        self.directory = directory
        self.name = name
        self.arguments = arguments
        self.output = directory / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str) -> None:
        """Write config.toml."""
        file = Path(self.environment["XDG_CONFIG_HOME"], "amberlight", "config.toml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.python, *self.program, "run", *self.arguments],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.quit()

    @property
    def _runtime(self) -> Path:
        """Where the running program says how it is reached."""
        return Path(self.environment["XDG_RUNTIME_DIR"], "amberlight")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def quit(self) -> int | None:
        """End it as a session manager does; its exit code, or None if it had to be killed."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(QUIT_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def kill(self) -> None:
        """End it as a power failure does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command; returns it whatever its exit code."""
        return subprocess.run(
            [*self.python, *self.module, *words],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command; what it printed. An exit code that isn't in `codes` fails the test."""
        done = self.command(*words)
        assert done.returncode in codes, (
            f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}{self.tail()}"
        )
        return done.stdout

    def signed_in_elsewhere(self, *words: str, person: Callable[[str], str]) -> str:
        """Run a command with `--no-browser`: `person` gets the URL that it prints, and what they return is pasted."""
        process = subprocess.Popen(
            [*self.python, *self.module, *words, "--no-browser"],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            limit = threading.Timer(60, process.kill)
            limit.start()
            seen = ""
            for line in process.stdout:
                seen += line
                if line.strip().startswith("http"):
                    process.stdin.write(person(line.strip()) + "\n")
                    process.stdin.flush()
            limit.cancel()
        assert process.returncode == 0, f"{words} ended with {process.returncode}: {self.tail()}"
        return seen

    def status(self) -> dict[str, Any]:
        """`status NAME --format json`; its exit code tells the status too (4 needs sign-in, 5 retrying)."""
        found: dict[str, Any] = json.loads(self.run("status", self.name, "--format", "json", codes=(0, 1, 4, 5)))
        return found

    def until(self, wanted: Callable[[dict[str, Any]], object], what: str, limit: float = 20.0) -> dict[str, Any]:
        """Poll until the status is as wanted, and return it as the command line then shows it."""
        end = time.monotonic() + limit
        while True:
            found = self.glance()
            if wanted(found) and wanted(found := self.status()):
                return found
            assert time.monotonic() < end, f"not {what} within {limit:g} s: {json.dumps(found)}{self.tail()}"
            time.sleep(0.05)

    def glance(self) -> dict[str, Any]:
        """The status from the API, without another process: cheap enough to poll often."""
        try:
            return dict(ApiClient.find(self._runtime).status(self.name))
        except NotRunningError:
            return self.status()  # which says why not

    def until_up(self, limit: float = 20.0) -> None:
        """Wait until the command line reaches it: none is running, or it has not said yet where it listens."""

        def reached() -> bool:
            done = self.command("status", self.name)
            return done.returncode != 3 and "can't be reached" not in done.stderr

        end = time.monotonic() + limit
        while not (self._runtime / "server.json").exists() or not reached():
            assert self._process is not None
            assert self._process.poll() is None, f"it ended with {self._process.returncode}:{self.tail()}"
            assert time.monotonic() < end, f"it did not come up:{self.tail()}"
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of its output, for a failure's message."""
        return "\n--- output ---\n" + self.output.read_text(errors="replace")[-3000:]

    def command_lines(self) -> bytes:
        """The arguments and the environment of its process, as other programs of this user can read them."""
        return b"".join(Path(f"/proc/{self.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
