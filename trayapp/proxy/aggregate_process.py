"""The process of the aggregate, as the app sees it: started, asked whether it lives, and ended.

What it needs to know goes through its standard input: nothing secret is in its arguments or its environment, where every
program of this user reads it. The same pipe ends it: when it is closed, by us or because we are gone, the process goes.
What it says on its error output is said again in our log.
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
from trayapp.system.processes import QUIET, interpreter, let_go

MODULE = "trayapp.aggregate"
START = 30.0  # s; importing its libraries takes a second on an idle machine
END = 2.0  # s for a polite end
LINE = 64 * 1024  # bytes of one line that it says

log = logging.getLogger(__name__)


class AggregateProcessFailed(Exception):  # noqa: N818 - says what happened
    """The process did not start; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class AggregateSetup:
    """The first line that it is told. `url` is the loopback server's, `kept` the file of its listings.

    `app_key` opens our API but for access tokens; `secret` is what our requests to it show.
    """

    url: str
    app_key: Secret
    secret: Secret
    kept: Path
    log_level: str = "INFO"

    def line(self) -> bytes:
        """JSON with the secrets in it."""
        facts = {
            "url": self.url,
            "app_key": self.app_key.reveal(),
            "secret": self.secret.reveal(),
            "kept": str(self.kept),
            "log_level": self.log_level,
        }
        return json.dumps(facts).encode() + b"\n"


class AggregateProcess:
    """One process that has said where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, secret: Secret) -> None:
        self.port = port
        self.secret = secret
        self._process = process
        self._killed = False
        self._relay = asyncio.create_task(_relay(process), name="what the aggregate says")

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
        """Politely; after 2 s not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        try:
            await self._process.wait()
            await _settled(self._relay)
        finally:
            let_go(self._process)

    def kill(self) -> None:
        """Now; whoever asks from here on is told that it is dead, though the system may take a moment."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


async def start(orders: AggregateSetup, *, command: tuple[str, ...] = ("-m", MODULE)) -> AggregateProcess:
    """Run Python with `command` and wait until it listens. Raises `AggregateProcessFailed`."""
    try:
        process = await asyncio.create_subprocess_exec(
            interpreter(),
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            limit=LINE,
            start_new_session=sys.platform != "win32",  # Ctrl-C on our terminal is for us; we end it by its input
            creationflags=QUIET,
        )
    except OSError as error:
        raise AggregateProcessFailed(f"Its process cannot be started: {error.strerror}.") from None
    port = 0
    try:
        port = await _told(process, orders)
    finally:
        if not port:  # also when we are cancelled meanwhile
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            try:
                await process.wait()
            finally:
                let_go(process)
    return AggregateProcess(process, port, orders.secret)


async def _told(process: asyncio.subprocess.Process, orders: AggregateSetup) -> int:
    """Give it its orders; the port where it listens."""
    assert process.stdin is not None  # noqa: S101 - they were asked for
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(START):
            process.stdin.write(orders.line())
            await process.stdin.drain()
            line = await process.stdout.readline()
        return int(json.loads(line)["port"])
    except TimeoutError:
        raise AggregateProcessFailed(f"Its process said nothing for {START:.0f} seconds.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise AggregateProcessFailed(await _last_words(process)) from None


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """The kind of the error that it ended with, which is the last line of a traceback."""
    assert process.stderr is not None  # noqa: S101
    said = b""
    with contextlib.suppress(TimeoutError, ValueError):
        async with asyncio.timeout(1.0):
            said = await process.stderr.read(LINE)
    lines = said.decode("utf-8", "replace").strip().splitlines()
    for line in lines:
        log.warning("aggregate: %s", line)
    return f"Its process ended: {lines[-1][:200]}" if lines else "Its process ended without a word."


async def _relay(process: asyncio.subprocess.Process) -> None:
    """Line by line, at the level that it names."""
    assert process.stderr is not None  # noqa: S101
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # longer than the limit: it was thrown away
            continue
        if not line:
            return
        text = line.decode("utf-8", "replace").rstrip()
        level = logging.INFO if text.startswith("INFO ") else logging.WARNING
        log.log(level, "aggregate: %s", text.removeprefix("INFO ").removeprefix("WARNING "))


async def _settled(task: asyncio.Task[None]) -> None:
    """A grandchild may hold the pipe open; nobody waits for that."""
    _, open_ = await asyncio.wait({task}, timeout=0.5)
    for each in open_:
        each.cancel()


def _environment() -> dict[str, str]:
    """Ours; a checkout that is not installed has to be found by the new process too."""
    import sysconfig  # for this alone

    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[3])
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    return environment
