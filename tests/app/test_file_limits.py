"""`amberlight run` where few files may be open: real limits, real clients that take all connections."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.test_runtime_process import Process

pytestmark = pytest.mark.linux("looks into /proc")


class Limited(Process):
    """The app with a soft and a hard limit on open files."""

    def __init__(self, root: Path, soft: int, hard: int) -> None:
        super().__init__(root)
        self.limits = f"ulimit -Sn {soft}; ulimit -Hn {hard}"
        self.config.write_text("[settings]\nport = 0\n")

    def __enter__(self) -> Limited:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", f'{self.limits}; exec "$0" "$@"', sys.executable, "-m", "trayapp", "run", "--no-tray"],
                env=self.environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.until(self._up, "the start")
        return self


@contextlib.contextmanager
def clients(port: int, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that stay open, as far as they are taken."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            made.append(one)
        time.sleep(0.3)
        for one in made:
            with contextlib.suppress(OSError):
                one.send(sent)
        yield made


@pytest.mark.parametrize(
    ("files", "sent"),
    [(64, b""), (256, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n")],
    ids=["64, silent clients", "256, idle clients"],
)
def test_add_works_where_few_files_may_be_open(tmp_path: Path, files: int, sent: bytes) -> None:
    """However many clients hold connections; and there are no tracebacks."""

    with Limited(tmp_path, files, files) as program:
        port = program.client.port
        with clients(port, 300, sent % port if sent else b""):
            added = program.run("add", "notes", "https://mcp.example.com/mcp", "--no-sign-in")
            assert 0 == added.returncode, added.stderr
        assert 0 == program.end()
        log = program.log.read_text()
        assert "Traceback" not in log
        assert " ERROR " not in log
        assert 1 >= len([line for line in log.splitlines() if "connections" in line])
        assert "Traceback" not in program.output.read_text()


def test_the_limit_is_raised_at_the_start(tmp_path: Path) -> None:
    """As far as this user may."""

    with Limited(tmp_path, 256, 2048) as program:
        assert program.process is not None
        limits = Path("/proc", str(program.process.pid), "limits").read_text()
        assert re.search(r"Max open files +2048 +2048 ", limits)
