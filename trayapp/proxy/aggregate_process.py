"""Starts, watches and ends the process of the MCP endpoint over all workloads (`trayapp.aggregate`).

Its setup goes through its standard input: arguments and environment can be read by every program of this user, so
nothing secret is in them. The same pipe ends it: when the pipe is closed, by us or because this program is gone, the
process exits. What it writes to standard error is copied to our log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trayapp.core.model import Secret
from trayapp.system.processes import NO_WINDOW, end_process, interpreter

MODULE = "trayapp.aggregate"
START_LIMIT = 30.0  # s; importing its libraries takes a second on an idle machine
EXIT_LIMIT = 2.0  # s from the closed pipe until it is killed
LINE_MAX = 64 * 1024  # bytes of one line of its output

log = logging.getLogger(__name__)


class AggregateProcessFailed(Exception):  # noqa: N818 - says what happened
    """The process did not start; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class AggregateSetup:
    """The first line of its standard input. `url` is the loopback server's.

    `app_key` opens the API, access tokens excepted; `secret` is what requests to the process must show.
    """

    url: str
    app_key: Secret
    secret: Secret
    log_level: str = "INFO"

    def line(self) -> bytes:
        """One line of JSON, with the secrets in clear."""
        facts = {
            "url": self.url,
            "app_key": self.app_key.reveal(),
            "secret": self.secret.reveal(),
            "log_level": self.log_level,
        }
        return json.dumps(facts).encode() + b"\n"


class AggregateProcess:
    """A process that has reported its port. Belongs to the loop that started it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, secret: Secret) -> None:
        self.port = port
        self.secret = secret
        self._process = process
        self._killed = False
        self._log_copier = asyncio.create_task(_copy_to_log(process), name="what the aggregate says")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._killed

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        """Close its input and wait; kill it after 2 s."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(EXIT_LIMIT):
                await self._process.wait()
        except TimeoutError:
            self._killed = True
        finally:
            await end_process(self._process)
        await _settled(self._log_copier)

    def kill(self) -> None:
        """Kill it. `alive` is False from here on, although the system may take a moment."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


async def start(setup: AggregateSetup, *, command: tuple[str, ...] = ("-m", MODULE)) -> AggregateProcess:
    """Run Python with `command` and wait until it listens. Raises `AggregateProcessFailed`."""
    try:
        process = await asyncio.create_subprocess_exec(
            interpreter(),
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            limit=LINE_MAX,
            start_new_session=sys.platform != "win32",  # Ctrl-C on the terminal reaches only us; its input ends it
            creationflags=NO_WINDOW,
        )
    except OSError as error:
        raise AggregateProcessFailed(f"Its process can't be started: {error.strerror}.") from None
    port = 0
    try:
        port = await _reported_port(process, setup)
    finally:
        if not port:  # also if we were cancelled meanwhile
            await end_process(process)
    return AggregateProcess(process, port, setup.secret)


async def _reported_port(process: asyncio.subprocess.Process, setup: AggregateSetup) -> int:
    """Send the setup; the port the process listens on. Raises `AggregateProcessFailed`."""
    assert process.stdin is not None  # noqa: S101 - created with pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(START_LIMIT):
            process.stdin.write(setup.line())
            await process.stdin.drain()
            line = await process.stdout.readline()
        return int(json.loads(line)["port"])
    except TimeoutError:
        raise AggregateProcessFailed(f"Its process didn't respond for {START_LIMIT:.0f} seconds.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise AggregateProcessFailed(await _exit_reason(process)) from None


async def _exit_reason(process: asyncio.subprocess.Process) -> str:
    """Why it ended: the last line of its traceback, which names the exception."""
    assert process.stderr is not None  # noqa: S101
    output = b""
    with contextlib.suppress(TimeoutError, ValueError):
        async with asyncio.timeout(1.0):
            output = await process.stderr.read(LINE_MAX)
    lines = output.decode("utf-8", "replace").strip().splitlines()
    for line in lines:
        log.warning("aggregate: %s", line)
    return f"Its process ended: {lines[-1][:200]}" if lines else "Its process ended without a message."


async def _copy_to_log(process: asyncio.subprocess.Process) -> None:
    """Copy its standard error to our log, line by line, at the level each line names."""
    assert process.stderr is not None  # noqa: S101
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # longer than the limit: discarded
            continue
        if not line:
            return
        text = line.decode("utf-8", "replace").rstrip()
        level = logging.INFO if text.startswith("INFO ") else logging.WARNING
        log.log(level, "aggregate: %s", text.removeprefix("INFO ").removeprefix("WARNING "))


async def _settled(task: asyncio.Task[None]) -> None:
    """Wait half a second for the task, then cancel it: a grandchild may hold the pipe open."""
    _, open_ = await asyncio.wait({task}, timeout=0.5)
    for each in open_:
        each.cancel()


def _environment() -> dict[str, str]:
    """Ours, with the checkout on the path where the package isn't installed: the new process has to find it too."""
    import sysconfig  # used only here

    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])  # the directory that holds `trayapp`
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    return environment
