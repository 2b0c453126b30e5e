"""ToolHive's `thv` as a program of its own: `python -m tests.real.thv` builds it once, from the Go module proxy.

A build takes minutes and so is never part of a test: those use the program that AMBERLIGHT_THV names, else the one on
the PATH, else the one built here. `Thv` runs it in directories of its own; its container runtime has no containers, and
its sign-ins are short.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError

import platformdirs

from tests.real.protected_servers import free_port
from tests.real.terminal import Terminal
from trayapp.oauthtest import OAuthServer, browse

VERSION = "v0.45.0"  # the newest that Go 1.26 builds
MODULE = "github.com/stacklok/toolhive"
VARIABLE = "AMBERLIGHT_THV"
LIMIT = 30.0  # s for any one thing
STEP = 0.05  # s

# Its waits, as short as they can be. A test takes seconds instead of a day.
HURRIED = {
    "TOOLHIVE_TOKEN_REFRESH_INITIAL_RETRY_INTERVAL": "100ms",
    "TOOLHIVE_TOKEN_REFRESH_MAX_RETRY_INTERVAL": "200ms",
    "TOOLHIVE_TOKEN_REFRESH_MAX_TRIES": "2",
    "TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL": "1s",
}


# --- the program -----------------------------------------------------------------------------------------------------


def cached() -> Path:
    """Where a build of it is kept."""
    return platformdirs.user_cache_path("amberlight-tests") / f"thv-{VERSION}" / "thv"


def program() -> str | None:
    """The program, if there is one."""
    if named := os.environ.get(VARIABLE):
        return named
    return shutil.which("thv") or (str(cached()) if cached().exists() else None)


def build() -> Path:
    """Build it. Raises `SystemExit` with a sentence."""
    go = shutil.which("go")
    if go is None:
        raise SystemExit("Go 1.26 is needed and was not found on the PATH.")
    found = json.loads(_run([go, "mod", "download", "-json", f"{MODULE}@{VERSION}"], Path.home()))
    cached().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached().parent) as directory:
        source, built = Path(directory, "source"), Path(directory, "thv")
        shutil.copytree(found["Dir"], source, copy_function=shutil.copyfile)  # the module cache may not be written to
        for each in (source, *source.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        _run([go, "build", "-o", str(built), "./cmd/thv"], source, GOFLAGS="-mod=mod -buildvcs=false")
        built.replace(cached())
    return cached()


def _run(command: list[str], directory: Path, **more: str) -> str:
    done = subprocess.run(command, cwd=directory, env={**os.environ, **more}, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed ({done.returncode}).")
    return done.stdout.decode()


# --- what it needs ---------------------------------------------------------------------------------------------------


class _NoContainers(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A container runtime that has none, at a Unix socket: it answers pings and lists nothing."""

    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        is_ping, is_list = self.path.endswith("/_ping"), "/containers/" in self.path
        body = b"OK" if is_ping else b"[]" if is_list else b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if is_ping else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Api-Version", "1.44")
        self.send_header("Ostype", "linux")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = answer


class Thv:
    """A user's ToolHive. `environment` has HOME, XDG_* and PATH; with `keyring` its logins outlive a workload's process.

    The keyring is that of the session bus in `environment`. Leaving the context ends all of its processes.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path, *, keyring: bool = False) -> None:
        found = program()
        assert found is not None
        self.program = found
        self.directory = directory
        self._keyring = keyring
        self._used: set[str] = set()  # sign-in addresses
        self._processes: list[subprocess.Popen[bytes]] = []
        kept = ("HOME", "PATH", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY")
        self.environment = {
            **{name: value for name, value in environment.items() if name in kept or name.startswith("XDG_")},
            **HURRIED,
            "TOOLHIVE_DOCKER_SOCKET": str(directory / "runtime.sock"),
            "TOOLHIVE_SKIP_UPDATE_CHECK": "true",
        }
        if not keyring:
            self.environment["TOOLHIVE_SECRETS_PROVIDER"] = "environment"

    def __enter__(self) -> Self:
        self._runtime = _NoContainers(self.environment["TOOLHIVE_DOCKER_SOCKET"], _Handler)
        threading.Thread(target=self._runtime.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        if self._keyring:
            self._make_keyring()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for name in self.names():
            self.kill(name)
        self._runtime.shutdown()
        self._runtime.server_close()

    def _make_keyring(self) -> None:
        """What `thv secret setup` does: the password of its file of secrets is in the keyring."""
        config = Path(self.environment["XDG_CONFIG_HOME"], "toolhive", "config.yaml")
        config.parent.mkdir(parents=True)
        config.write_text("secrets:\n  provider_type: encrypted\n  setup_completed: true\n", encoding="utf-8")
        with Terminal([self.program, "secret", "list"], self.environment, self.directory) as terminal:
            terminal.expect("keyring password:")
            terminal.line("a password")
            assert 0 == terminal.wait(), terminal.screen

    # --- commands ----------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever its exit code."""
        return subprocess.run(
            [self.program, *words],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def do(self, *words: str) -> str:
        """Run a command that has to succeed; what it printed."""
        done = self.command(*words)
        assert 0 == done.returncode, f"thv {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, name: str, server: OAuthServer, url: str, *more: str) -> None:
        """Start a remote workload in the background. It waits for its sign-in: see `sign_in`."""
        self.do("run", *self._options(name, server), *more, url)

    def run_here(self, name: str, server: OAuthServer, url: str) -> subprocess.Popen[bytes]:
        """Start one in the foreground of a terminal."""
        log = self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [self.program, "run", "--foreground", *self._options(name, server), url],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        return process

    def _options(self, name: str, server: OAuthServer) -> list[str]:
        return [
            *("--name", name, "--proxy-port", str(free_port()), "--transport", "streamable-http"),
            *("--remote-auth", "--remote-auth-skip-browser", "--remote-auth-callback-port", str(free_port())),
            *("--remote-auth-authorize-url", server.authorization_endpoint),
            *("--remote-auth-token-url", server.token_endpoint, "--remote-auth-client-id", server.client_id),
        ]

    @contextlib.contextmanager
    def serving(self, *options: str) -> Iterator[None]:
        """Its API server, on a free port or as `options` say."""
        process = subprocess.Popen(
            [self.program, "serve", *(options or ("--port", str(free_port())))],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(Path(self.environment["XDG_STATE_HOME"], "toolhive/server/server.json").exists, "thv serve to be up")
            yield
        finally:
            process.terminate()
            process.wait()

    # --- a person's part ---------------------------------------------------------------------------------------------

    def addresses(self, name: str) -> list[str]:
        """Every sign-in page that a workload has named so far."""
        log = self._log(name)
        words = log.read_text(errors="replace").split() if log.exists() else []
        return [word for word in words if word.startswith("http") and "/authorize?" in word]

    def sign_in(self, name: str) -> None:
        """Sign in at the page that it names next."""

        def new() -> list[str]:
            return [each for each in self.addresses(name) if each not in self._used]

        until(new, f"{name} to name a sign-in page")
        address = new()[-1]
        self._used.add(address)

        def accepted() -> bool:
            try:
                return browse(address) == 200
            except HTTPError as error:
                raise AssertionError(f"{name} did not take the answer: {self.status(name)}") from error
            except OSError:  # it names the address before it listens for the answer
                return False

        until(accepted, f"{name} to take the answer of its sign-in")

    # --- its files ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return [file.stem for file in self.statuses.glob("*.json")]

    @property
    def statuses(self) -> Path:
        return Path(self.environment["XDG_DATA_HOME"], "toolhive", "statuses")

    def status(self, name: str) -> dict[str, Any]:
        """The status file of a workload; empty without one."""
        try:
            found: dict[str, Any] = json.loads((self.statuses / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def until(self, name: str, word: str) -> None:
        """Wait until its status file has this word."""
        until(lambda: self.status(name).get("status") == word, f"{name} to be {word}", lambda: str(self.status(name)))

    def kill(self, name: str) -> None:
        """End a workload's process as a power failure does."""
        if pid := self.status(name).get("process_id"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _log(self, name: str) -> Path:
        return Path(self.environment["XDG_DATA_HOME"], "toolhive", "logs", f"{name}.log")


def until(holds: Callable[[], object], what: str, seen: Callable[[], str] = str) -> None:
    """Poll until it holds; a failure says what was waited for, and what was there."""
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"waited {LIMIT:g} s for {what}: {seen()}"
        time.sleep(STEP)


if __name__ == "__main__":
    print(build(), file=sys.stdout)
