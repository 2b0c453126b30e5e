"""`amberlight stdio` as a process: it starts the app in the background, and ends without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime_process import Process
from trayapp.cli.client import ApiClient, NotRunningError
from trayapp.server.instance import holder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")

CANARY = "canary-of-the-client"
CONFIG = """
[settings]
port = 0

[workloads.one]
url = "http://127.0.0.1:9/mcp"
issuer = "http://127.0.0.1:9"
authorization_endpoint = "http://127.0.0.1:9/authorize"
token_endpoint = "http://127.0.0.1:9/token"
client_id = "test"
"""
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
LIMIT = 30.0  # s
STARTING = "one is waiting for the keyring. Start a keyring"  # there is none here


STARTED: list[subprocess.Popen[bytes]] = []


class Bridge:
    """One `amberlight stdio one`, as a client starts it."""

    def __init__(self, place: Process, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trayapp", "stdio", *(words or ("one",))],
            env={**place.environment, "CLIENT_API_KEY": CANARY},
            cwd=place.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

        STARTED.append(self.process)

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        message = {"jsonrpc": "2.0", "id": method, "method": method, "params": params or {}}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            line = json.loads(self.process.stdout.readline())
            if line.get("id") == method:
                assert isinstance(line, dict)
                return line

    def call(self) -> str:
        return str(self.ask("tools/call", {"name": "x"})["result"]["content"][0]["text"])

    def end(self) -> tuple[int, str]:
        """Close its input; its exit code and what it said."""
        _, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, errors.decode()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Process]:
    """Directories of a user's own; whatever app runs there at the end is ended."""
    place = Process(tmp_path)
    place.config.write_text(CONFIG)
    yield place
    while STARTED:
        with STARTED.pop() as bridge:
            bridge.kill()
    if (running := app_of(place)) is not None:
        os.kill(running, signal.SIGKILL)
        place.until(lambda: app_of(place) is None, "its end")


def app_of(place: Process) -> int | None:
    """The process of the running app."""
    found = holder(place.root / "state" / "amberlight" / "amberlight.lock")
    return None if found is None else found.pid


def test_the_app_is_started_in_the_background(place: Process) -> None:
    """For the first time ever. It belongs to nobody: its own session, no descriptors, nothing of the client's environment;
    and it stays."""
    bridge = Bridge(place)
    assert "one" in bridge.ask("initialize", INITIALIZE)["result"]["instructions"]
    assert STARTING in bridge.call()
    pid = app_of(place)
    assert pid is not None
    assert pid == os.getsid(pid)
    proc = Path("/proc", str(pid))
    if proc.exists():
        assert CANARY.encode() not in (proc / "environ").read_bytes()
        assert b"--no-page" in (proc / "cmdline").read_bytes()
        log = place.root / "state/amberlight/log/background.log"
        assert ["/dev/null", str(log), str(log)] == [os.readlink(proc / "fd" / str(number)) for number in range(3)]
        inherited = {os.readlink(each) for each in (proc / "fd").iterdir() if each.exists()}
        ours = {os.readlink(f"/proc/{bridge.process.pid}/fd/{number}") for number in (0, 1)}
        assert not inherited & ours
    key = json.loads((place.root / "state/amberlight/keys.json").read_text())["keys"]["one"]
    for name in ("cmdline", "environ"):
        assert key.encode() not in Path("/proc", str(bridge.process.pid), name).read_bytes()
    assert (0, "") == bridge.end()
    assert pid == app_of(place)


def test_two_clients_start_one_app(place: Process) -> None:
    bridges = [Bridge(place), Bridge(place), Bridge(place)]
    for bridge in bridges:
        assert bridge.process.stdin is not None
        hello = {"jsonrpc": "2.0", "id": "initialize", "method": "initialize", "params": INITIALIZE}
        bridge.process.stdin.write(json.dumps(hello).encode() + b"\n")
        bridge.process.stdin.flush()
    assert all(STARTING in bridge.call() for bridge in bridges)
    assert [(0, "")] * 3 == [bridge.end() for bridge in bridges]
    assert "already running" not in (place.root / "state/amberlight/log/background.log").read_text()


def test_who_quit_meant_it(place: Process) -> None:
    """No client starts it again, until it is started by hand; an end by the system is no such choice."""
    with place:
        bridge = Bridge(place)
        bridge.ask("initialize", INITIALIZE)
        place.client.request("POST", "/api/v1beta/quit")
        assert place.process is not None
        place.process.wait(LIMIT)
        assert "one isn't available. Amberlight was quit. To start it, run `amberlight run`." == bridge.call()
        assert app_of(place) is None
    with place:
        assert STARTING in bridge.call()
        place.end()
    assert STARTING in bridge.call()
    bridge.end()
    assert app_of(place) is not None


def test_without_a_key(place: Process) -> None:
    """A sentence as an error, and the same on standard error."""
    bridge = Bridge(place, "nobody")
    sentence = (
        "nobody has no local key. Check the name with `amberlight list`. Then run `amberlight client-config nobody`."
    )
    assert sentence == bridge.ask("initialize", INITIALIZE)["error"]["message"]
    assert (0, f"amberlight stdio: {sentence}\n") == bridge.end()


def test_an_app_that_cannot_start(place: Process) -> None:
    """The client is told where to look, and is still answered."""
    (place.root / "data" / "amberlight" / "install-id").mkdir(parents=True)
    bridge = Bridge(place)
    told = bridge.ask("initialize", INITIALIZE)["result"]["instructions"]
    assert "Amberlight couldn't start (exit code 1)" in told
    assert "background.log" in told
    bridge.end()


def test_its_end(place: Process) -> None:
    """With its input, at a signal, and when nobody reads: each without a word."""
    with place:
        for number in (signal.SIGTERM, signal.SIGINT):
            bridge = Bridge(place)
            bridge.ask("initialize", INITIALIZE)
            began = time.monotonic()
            bridge.process.send_signal(number)
            assert (0, "") == bridge.end()
            assert time.monotonic() - began < 5
        bridge = Bridge(place)
        bridge.ask("initialize", INITIALIZE)
        assert bridge.process.stdin is not None
        assert bridge.process.stdout is not None
        assert bridge.process.stderr is not None
        bridge.process.stdout.close()
        bridge.process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        bridge.process.stdin.flush()
        assert 0 == bridge.process.wait(LIMIT)
        assert b"" == bridge.process.stderr.read()
        bridge.process.stdin.close()
        bridge.process.stderr.close()


def test_piped_lines_are_answered_before_the_end(place: Process) -> None:
    """As one tries it in a shell."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    more = [{"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 2, "method": "ping"}]
    with place:
        said = subprocess.run(
            [sys.executable, "-m", "trayapp", "stdio", "one"],
            env=place.environment,
            input="".join(json.dumps(each) + "\n" for each in (hello, *more)).encode(),
            capture_output=True,
            timeout=LIMIT,
            check=True,
        )
    assert {1, 2} == {json.loads(line).get("id") for line in said.stdout.splitlines()} - {None}


def test_wrong_usage(place: Process) -> None:
    for words in ([], ["one", "--all"], ["No Name"], ["--everything"]):
        said = place.run("stdio", *words)
        assert (2, "") == (said.returncode, said.stdout)
        assert "amberlight stdio --help" in said.stderr
    assert "only starts commands" in place.run("stdio", "--help").stdout
    with pytest.raises(NotRunningError):
        ApiClient.find(place.root / "run" / "amberlight")
