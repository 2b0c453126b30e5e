"""A login without a refresh token, and a request beyond the login, in every face of the whole program."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.menu import tray_view
from trayapp.core.model import Secret
from trayapp.core.notices import ShownNotices, notices
from trayapp.oauthtest import OAuthServer

Capture = pytest.CaptureFixture[str]
KEPT = "canary-kept-access-token"
DAY = 86400.0

pytestmark = pytest.mark.oauth_server(extra={"refresh_token": ...})


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program that isn't started yet; commands find it."""
    program = Program(tmp_path)
    program.write(CONFIG.format(port=0, server=server))
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    return program


def keep(program: Program, server: OAuthServer, life: float | None) -> None:
    """Its keyring holds an access token of this life, obtained long ago."""
    usual = login_of(server)
    ends = None if life is None else time.time() + life
    program.keystore._logins["one"] = replace(
        usual, refresh_token=Secret(""), access_token=Secret(KEPT), obtained_at=time.time() - 300 * DAY, expires_at=ends
    )


def said(capsys: Capture, *command: str, code: int = 0) -> str:
    assert code == main(list(command))
    return capsys.readouterr().out


def lines(program: Program) -> dict[str, str]:
    """The tray's menu by key."""
    return {item.key: item.text for item in tray_view(program.last, str).menu}


def test_every_command_knows_a_login_without_refresh_token(
    program: Program, server: OAuthServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """`list`, `status` and `token` (which `exec` asks for as well), over a restart, without one request to the token endpoint."""

    keep(program, server, None)
    for _ in range(2):
        program.snapshots.clear()
        program.control = None
        with program:
            program.becomes("running ok")
            assert 0 == main(["list"])
            assert "can't be renewed, no known end" in capfd.readouterr().out
            assert 0 == main(["status", "one"])
            shown = capfd.readouterr().out
            assert "can't be renewed; its end isn't known" in shown
            assert KEPT not in shown
            assert 0 == main(["token", "one", "--min-validity", "1h"])
            assert KEPT == capfd.readouterr().out.strip()
            assert 0 == main(["list", "--format", "json"])
            (row,) = json.loads(capfd.readouterr().out)
            assert (False, None) == (row["auth"]["renewable"], row["auth"]["login_ends_at"])
            assert "✔ one: Connected" == lines(program)["workload:one"]
            assert 1 == main(["retry", "one"])
            assert "amberlight: the login of one can't be renewed. Sign in again" in capfd.readouterr().err
    assert 0 == server.count("token")


def test_the_last_day_is_shown_everywhere(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """Menu, list and notification; the workload is green until its end."""

    keep(program, server, 3600.0)
    with program:
        program.becomes("running ok")
        assert "✔ one: Connected, sign-in ends soon" == lines(program)["workload:one"]
        assert "can't be renewed, ends on " in said(capsys, "list")
        assert "Login ends:" in said(capsys, "status", "one")
        _, (notice,), _ = notices(ShownNotices(), program.last, frozenset(), time.time())
        assert "Your sign-in to one ends soon" == notice.title


def test_its_end_needs_a_person_everywhere(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """Red, exit code 4, and no token."""

    keep(program, server, -5.0)
    with program:
        program.becomes("unauthenticated ended")
        assert "Sign-in needed" in said(capsys, "list")
        assert "couldn't be renewed and has ended" in said(capsys, "status", "one", code=4)
        assert "" == said(capsys, "token", "one", code=4)
        assert "⚠ one: Sign-in needed" == lines(program)["workload:one"]
        assert "Reauthorize one…" == lines(program)["top:one"]
    assert 0 == server.count("token")


@contextmanager
def greedy_upstream() -> Iterator[str]:
    """Answers everything with 403 and a challenge for one more scope."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(403)
            self.send_header("WWW-Authenticate", 'Bearer error="insufficient_scope", scope="write"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="greedy upstream")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_missing_permission_is_shown_everywhere(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """From the client's request to list, status and menu; the exit codes are those of a running workload."""

    keep(program, server, None)
    with greedy_upstream() as url:
        program.write(CONFIG.format(port=0, server=server).replace("http://127.0.0.1:9/mcp", url))
        with program:
            program.becomes("running ok")
            whole = json.loads(said(capsys, "client-config", "one", "--for", "json"))
            request = urllib.request.Request(whole["url"], b"{}", whole["headers"])
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=5)
            assert 403 == refused.value.code
            assert "one needs additional permission: write." in json.load(refused.value)["help"]
            program.becomes("running permission_needed")
            assert "needs additional permission: write" in said(capsys, "list")
            assert "Needs additional permission: write. Choose Reauthorize to grant it" in said(capsys, "status", "one")
            assert KEPT == said(capsys, "token", "one").strip()
            assert "✔ one: Connected, needs additional permission: write" == lines(program)["workload:one"]
            assert "Reauthorize one (adds write)…" == lines(program)["top:one"]
