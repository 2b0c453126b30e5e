"""Clients can't reach the running program: what it says, how it recovers, and *Change port…*."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.app.test_connect import free_port, home, written
from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.taken_ports import take
from trayapp.app import listening
from trayapp.cli import main
from trayapp.cli.client import BASE, ApiClient, ApiError
from trayapp.config.paths import Paths
from trayapp.core.outages import Cause
from trayapp.core.presentation import Verb
from trayapp.oauthtest import OAuthServer
from trayapp.server import server as server_module
from trayapp.system.plain_files import read_plain

__all__ = ["home"]  # fixture

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.oauth_server(access_token_lifetime=60.0)


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Another program's port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def port(taken: socket.socket) -> int:
    return int(taken.getsockname()[1])


@pytest.fixture
def program(
    home: Path, tmp_path: Path, server: OAuthServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """Configured for the port that the other program has, and running."""
    monkeypatch.setattr(listening, "RETRY_WAITS", (0.05,))
    monkeypatch.setattr(listening, "RETRY_EVERY", 0.05)
    program = Program(tmp_path)
    text = CONFIG.format(port=port, server=server)
    program.write(text.replace("initial_retry_interval", "# mine\ninitial_retry_interval"))
    program.keystore._logins["one"] = login_of(server)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    with program:
        program.becomes("running ok")
        yield program


def answers(port: int) -> int:
    """The HTTP status of /health."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()


def test_everything_says_so(program: Program, port: int, capsys: Capture) -> None:
    """One sentence with the remedy; what works anyway goes on working."""

    wrong = f"Port {port} is in use by "
    remedy = "Quit that program, or run `amberlight change-port`."
    for command in (["list"], ["status"], ["status", "one"], ["token", "one"]):
        assert (1 if command == ["status"] else 0) == main(command)
        out, err = capsys.readouterr()
        assert wrong in err, command
        assert remedy in err, command
        assert out
    assert 1 == main(["doctor"])
    assert wrong in (out := capsys.readouterr().out)
    assert remedy in out
    assert 1 == main(["client-config", "one"])
    out, err = capsys.readouterr()
    assert ("", True) == (out, wrong in err)
    assert "set port" not in err
    assert 1 == main(["connect", "cursor"])
    assert wrong in capsys.readouterr().err
    with pytest.raises(ApiError, match="Change port") as refused:
        program.client.request("POST", f"{BASE}/clients/cursor/connect", {"names": ["one"]})
    assert "not_lasting" == refused.value.code


def test_the_port_is_taken_as_soon_as_it_is_free(program: Program, taken: socket.socket, port: int) -> None:
    """The dashboard that was opened meanwhile stays reachable."""

    meanwhile = program.client.port
    assert answers(meanwhile) == 204
    taken.close()
    program.until(lambda: program.last.outage is None, "the end of the outage")
    assert (204, 204) == (answers(port), answers(meanwhile))
    assert port == program.client.port
    assert program.client.client("one")["lasting"] is True


def test_change_port_finds_one_and_tells_the_clients(program: Program, home: Path, port: int) -> None:
    """config.toml keeps its comments; the clients' entries have the new port; nothing has to be restarted."""

    entry = {"url": f"http://127.0.0.1:{port}/w/one", "headers": {"Authorization": "Bearer old"}}
    file = written(home, json.dumps({"mcpServers": {"one": entry, "else": {"url": "https://else.test"}}}))
    program.act(Verb.CHANGE_PORT)
    program.until(lambda: program.last.outage is None, "the end of the outage")
    new = program.client.port
    assert port < new <= port + 50
    text = read_plain(program.paths.config_file, 1 << 16).decode().replace("\r\n", "\n")
    assert f"port = {new}\n# mine\n" in text
    # Windows refuses a plain read while the file is replaced.
    program.until(lambda: f"127.0.0.1:{new}/w/one" in read_plain(file, 1 << 16).decode(), "the client's file")
    servers = json.loads(read_plain(file, 1 << 16))["mcpServers"]
    assert "https://else.test" == servers["else"]["url"]
    assert program.client.client("one")["headers"] == servers["one"]["headers"]


def test_change_port_to_a_given_one(program: Program, home: Path, capsys: Capture) -> None:
    """The command says what was done; the API's link opens the dashboard at the new port."""

    wanted = free_port()
    assert 0 == main(["change-port", str(wanted)])
    assert f"Amberlight now uses port {wanted}." == capsys.readouterr().out.strip()
    assert (wanted, True) == (program.client.port, f"port = {wanted}" in program.paths.config_file.read_text())
    again = program.client.request("POST", f"{BASE}/port", {"port": wanted})
    assert again["url"].startswith(f"http://127.0.0.1:{wanted}/#once=")
    assert (wanted, [], []) == (again["port"], again["updated"], again["failed"])


def test_what_keeps_it_from_changing(program: Program, port: int, capsys: Capture) -> None:
    """A port that is taken, a file with a mistake, a file that is read-only: nothing is changed, and the reason is said."""

    before = program.paths.config_file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = other.getsockname()[1]
        assert 1 == main(["change-port", str(wanted)])
        assert f"Port {wanted} is in use by " in capsys.readouterr().err
    program.paths.config_file.chmod(0o400)
    assert 1 == main(["change-port"])
    assert "read-only" in capsys.readouterr().err
    program.paths.config_file.chmod(0o600)
    program.write(before + "\nnonsense\n")
    assert 1 == main(["change-port"])
    assert "config.toml:" in capsys.readouterr().err
    program.write(before)
    assert program.last.outage is not None
    assert port == program.last.outage.port
    for wrong in (0, 65536, "80", True):
        with pytest.raises(ApiError, match="port has to be a number") as refused:
            program.client.request("POST", f"{BASE}/port", {"port": wrong})
        assert 400 == refused.value.status


def test_a_port_that_is_configured_anew_is_taken_without_a_restart(
    program: Program, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the old one is left, so that another program can have it."""

    monkeypatch.setattr(listening, "GRACE", 0.05)
    first, second = free_port(), free_port()
    for wanted in (first, second):
        text = program.paths.config_file.read_text()
        program.write(text.replace(f"port = {port}", f"port = {wanted}", 1))
        program.until(partial(_listens, program, wanted), "the new port")
        port = wanted

    def is_free() -> bool:
        try:
            take(first).close()
        except OSError:
            return False
        return True

    program.until(is_free, "the old port")
    assert 204 == answers(second)


def test_a_listener_that_ends_is_replaced(program: Program, taken: socket.socket, port: int) -> None:
    """Whatever has closed it: the next look finds that out."""

    taken.close()
    program.until(lambda: program.last.outage is None, "the end of the outage")
    assert program.control is not None
    loop = program.control.engine._loop
    runtime = program.runtime
    assert runtime.server is not None
    acceptor = runtime.server._listening
    assert acceptor is not None
    loop.call_soon_threadsafe(acceptor.close)
    program.until(lambda: not acceptor.is_serving(), "the end of the listener")
    with pytest.raises(ApiError, match="nothing listens"):
        _held(program).status("one")
    loop.call_soon_threadsafe(runtime.listening.configured)
    program.until(lambda: program.runtime.server is not None and program.runtime.server.accepts, "another listener")
    assert 204 == answers(port)


def _listens(program: Program, port: int) -> bool:
    return program.client.port == port


def _held(program: Program) -> ApiClient:
    """The client as a command finds it while the app holds its lock."""
    return replace(program.client, held=True)


def test_without_any_port(program: Program, monkeypatch: pytest.MonkeyPatch, taken: socket.socket) -> None:
    """It keeps trying, and refreshes go on; nothing is served meanwhile."""

    monkeypatch.setattr(server_module, "_bind", _no_descriptors)
    runtime = program.runtime
    assert runtime.server is not None
    acceptor = runtime.server._listening
    assert acceptor is not None
    assert program.control is not None
    loop = program.control.engine._loop
    loop.call_soon_threadsafe(acceptor.close)
    program.until(lambda: program.last.outage is not None and program.last.outage.listening is None, "the outage")
    assert program.last.outage is not None
    assert Cause.FAILED is program.last.outage.cause
    monkeypatch.undo()
    taken.close()
    program.until(lambda: program.last.outage is None, "the end of the outage")


def _no_descriptors(port: int) -> socket.socket:
    raise server_module.PortTaken(port, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
