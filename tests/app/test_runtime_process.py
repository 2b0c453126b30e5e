"""`amberlight run` as a process: its end, a second instance, and that no token leaks into output or files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests import ROOT
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.config.home import HOME
from trayapp.oauthtest import Mode, OAuthServer, browse

LIMIT = 60.0  # s
CANARY = "CANARY"
ACCOUNT = "Canary Person"  # no e-mail address, which a report is cleaned of anyway

CONFIG = """
[settings]
port = 0
log_level = "debug"
initial_retry_interval = "20ms"
max_retry_interval = "40ms"
max_tries = 3
tick_interval = "50ms"
again = ["0s", "20ms"]
attempt_limit = "200ms"
manual_spacing = "10ms"
automatic_attempts = 10000

[workloads.one]
url = "http://127.0.0.1:9/mcp"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["openid", "mcp"]
"""


# What a process needs of the system; on Windows also to find its own directories.
KEPT = ("PATH", "LANG", "SYSTEMROOT", "WINDIR", "TEMP", "TMP", "USERNAME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")


class Process:
    """`amberlight run --no-tray` without session bus, display and keyring, in directories of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if name in KEPT}
        self.environment = {
            **kept,
            **{f"XDG_{name}_HOME": str(root / name.lower()) for name in ("CONFIG", "STATE", "DATA", "CACHE")},
            "XDG_CONFIG_DIRS": str(root / "site"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            **({} if sys.platform == "linux" else {HOME: str(root), "PYTHON_KEYRING_BACKEND": "none"}),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={root / 'no-bus'}",
            "HOME": str(root),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",  # as `run` reads it
            "NO_COLOR": "1",
        }
        (root / "run").mkdir(mode=0o700)
        own = "amberlight" if sys.platform == "linux" else ""
        self.config = root / "config" / own / "config.toml"
        self.runtime_dir = root / "run" / own
        self.log = root / "state/amberlight/log/amberlight.log" if own else root / "log/amberlight.log"
        self.config.parent.mkdir(parents=True)
        self.output = root / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trayapp", "run", "--no-tray"],
                env=self.environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.until(self._up, "the start")
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(LIMIT)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trayapp", *words],
            env=self.environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    @property
    def client(self) -> ApiClient:
        return ApiClient.find(self.runtime_dir)

    def _up(self) -> bool:
        try:
            self.client.workloads()
        except (NotRunningError, ApiError):
            return False
        return True

    def until(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < end, f"gave up waiting for {what}: {self.output.read_text()[-3000:]}"
            time.sleep(0.02)

    def status(self) -> dict[str, Any]:
        return self.client.status("one")

    def files(self) -> Iterator[Path]:
        """Everything that it has written, and what other programs of this user can see of it."""
        assert self.process is not None
        yield from (path for path in self.root.rglob("*") if path.is_file())
        if sys.platform == "linux":
            yield from (Path("/proc", str(self.process.pid), name) for name in ("cmdline", "environ", "comm"))


pytestmark = pytest.mark.oauth_server(canary=CANARY, subject="alice", grace=60.0, retry_after=None, check=False)


@pytest.fixture
def process(tmp_path: Path, server: OAuthServer) -> Iterator[Process]:
    process = Process(tmp_path)
    process.config.write_text(CONFIG.format(server=server))
    with process:
        yield process


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_process_and_its_end(process: Process) -> None:
    """One at a time; a SIGTERM ends it cleanly, with exit code 0 and no `server.json` left; so does Ctrl-C."""

    second = process.run("run", "--no-tray")
    assert (1, "") == (second.returncode, second.stdout)
    assert second.stderr == "Amberlight is already running. Look for its icon, or run `amberlight list`.\n"
    file = process.root / "run" / "amberlight" / "server.json"
    assert file.exists()
    assert 0 == process.end()
    assert not file.exists()
    with process:
        assert 0 == process.end(signal.SIGINT)
    assert "Traceback" not in process.output.read_text()


def test_no_token_leaks(process: Process, server: OAuthServer) -> None:
    """Sign-in, every fault, garbage, rotation and quit, at log level debug: no token or code in any output or file."""

    answers = list(signed_in_with_trouble(process))
    token = process.client.token("one", 0)["access_token"]
    assert CANARY in token
    assert server.valid_access(token)
    answers += refreshed_with_trouble(process, server)
    answers += [raw(process, "/api/v1beta/workloads", token), raw(process, f"/w/one?access_token={token}", "")]
    server.mode = Mode.INVALID_GRANT
    process.client.post("one", "retry")
    process.until(lambda: process.status()["status"] == "unauthenticated", "red")
    answers += everything_said(process)

    for path in process.files():
        assert CANARY.encode() not in path.read_bytes(), path
    assert not [answer for answer in answers if CANARY in answer]
    log = process.log.read_text(encoding="utf-8")
    assert "one is unauthenticated (refused)" in log
    process.client.request("POST", "/api/v1beta/quit")
    assert process.process is not None
    assert 0 == process.process.wait(LIMIT)
    for path in process.root.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_the_account_is_shown_and_not_written(process: Process, server: OAuthServer) -> None:
    """After a sign-in and a refresh, at log level debug: who is signed in is an answer to whoever has the API key, and in
    no file, no report, and no answer without it."""

    server.id_token_changes = {"preferred_username": ACCOUNT}
    browse(process.client.post("one", "reauthorize", {"browser": False})["authorization_url"])
    process.until(lambda: process.status()["auth"]["account"] == ACCOUNT, "the account")
    server.id_token_changes = {"preferred_username": f"{ACCOUNT} 2"}
    process.client.post("one", "retry")
    process.until(lambda: process.status()["auth"]["account"] == f"{ACCOUNT} 2", "the new account")

    lines = [line.split() for line in process.run("status", "one").stdout.splitlines()]
    assert ["Account:", *ACCOUNT.split(), "2"] in lines
    (row,) = json.loads(process.run("list", "--format", "json").stdout)
    assert f"{ACCOUNT} 2" == row["auth"]["account"]
    assert ACCOUNT not in raw(process, "/api/v1beta/workloads", "wrong")
    assert ACCOUNT not in raw(process, "/w/one", "wrong")
    for words in (("report", "-o", "-"), ("report", "--format", "json"), ("logs",), ("history", "one"), ("doctor",)):
        done = process.run(*words)
        assert done.stdout
        assert ACCOUNT not in done.stdout + done.stderr, words
    for path in process.files():
        assert ACCOUNT.encode() not in path.read_bytes(), path


def signed_in_with_trouble(process: Process) -> Iterator[str]:
    """A sign-in whose listener gets wrong codes before it succeeds; the answers to them."""
    url = process.client.post("one", "reauthorize", {"browser": False})["authorization_url"]
    yield url
    (redirect,) = parse_qs(urlsplit(url).query)["redirect_uri"]
    junk = f"{CANARY}-junk"
    for given in ({"code": junk, "state": junk}, {"error": junk, "state": "x"}, {"code": junk}):
        query = urlencode(given)
        try:
            browse(f"{redirect}?{query}")
        except HTTPError as error:
            with error:
                yield error.read().decode()
        for text in (f"{redirect}?{query}", f"http://127.0.0.1:1/?{query}", junk):
            try:
                yield json.dumps(process.client.post("one", "callback", {"url": text}))
            except ApiError as error:
                yield f"{error} {error.body}"
    browse(url)
    process.until(lambda: process.status()["status"] == "running", "running")


def refreshed_with_trouble(process: Process, server: OAuthServer) -> Iterator[str]:
    """Every fault of the server, each with tokens where none belong; then green again."""
    refresh = server.current_refresh_token(server.live_families()[-1])
    for mode in Mode:
        if mode in (Mode.SLOW, Mode.INVALID_GRANT, Mode.INVALID_CLIENT, Mode.FORM_ERROR, Mode.GITHUB_ERROR):
            continue
        server.extra = {"scope": f"openid mcp {refresh}", "error_description": refresh, "error": refresh}
        server.mode = mode
        asked = server.count("token")
        process.client.post("one", "retry")
        process.until(lambda asked=asked: server.count("token") > asked, mode)  # type: ignore[misc]
        yield json.dumps(process.status())
    server.extra, server.mode = {}, Mode.SUCCESS
    process.client.post("one", "retry")
    process.until(lambda: process.status()["auth"]["last_error"] is None, "running")


def raw(process: Process, path: str, key: str) -> str:
    """One request with a wrong key, or with a header that no parser takes."""
    import http.client

    client = process.client
    connection = http.client.HTTPConnection(client.host, client.port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}", "X-Odd": f"{key}"})
        answer = connection.getresponse()
        return f"{dict(answer.headers)} {answer.read().decode()}"
    finally:
        connection.close()


def everything_said(process: Process) -> list[str]:
    """Every answer of the API but that of `token`, and every command but `token`."""
    client = process.client
    base = "/api/v1beta"
    said = [
        json.dumps(client.request("GET", f"{base}/{path}"))
        for path in ("version", "workloads?all=true", "workloads/one", "workloads/one/status", "doctor")
    ]
    said.append(json.dumps(client.reload()))
    try:
        client.token("one", 3600)
    except ApiError as error:
        said.append(f"{error} {error.body}")
    for words in (("list", "--all"), ("status", "one"), ("logs",)):
        done = process.run(*words)
        said += [done.stdout, done.stderr]
    return said
