"""Tokens, events, metrics and client settings of the whole program, by the real `main` and real sockets."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.presentation import Verb
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

Capture = pytest.CaptureFixture[str]
LIFE = 60.0  # s of an access token
TIMES = 'rejected_spacing = "10ms"\nhot_wait = "50ms"\nusable_margin = "10ms"\nrefresh_spacing = "10ms"\n'

pytestmark = pytest.mark.oauth_server(access_token_lifetime=LIFE, delay=0.3)


@pytest.fixture
def quiet(tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program with a login, not started yet; commands find it."""
    program = Program(tmp_path)
    program.write(CONFIG.format(port=0, server=server).replace("[workloads", TIMES + "\n[workloads", 1))
    program.keystore._logins["one"] = login_of(server)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    return program


@pytest.fixture
def program(quiet: Program) -> Iterator[Program]:
    """The same, running and signed in."""
    with quiet:
        quiet.becomes("running ok")
        yield quiet


def asked(program: Program, path: str) -> tuple[HTTPConnection, HTTPResponse]:
    """A GET with the key of server.json; the caller closes the connection."""
    client = program.client
    connection = HTTPConnection(client.host, client.port, timeout=5)
    connection.request("GET", path, headers={"Authorization": f"Bearer {client.key.reveal()}"})
    return connection, connection.getresponse()


def counter(program: Program, start: str) -> float:
    """The sum of the samples whose line begins so."""
    connection, response = asked(program, "/metrics")
    lines = response.read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


# --- token -----------------------------------------------------------------------------------------------------------


def test_the_command_prints_a_token(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """Asking for no more life than it has costs no refresh."""

    assert [0, 0] == [main(["token", "one", "--min-validity", "0"]), main(["token", "one", "--header"])]
    plain, header = capsys.readouterr().out.splitlines()
    assert server.valid_access(plain)
    assert server.valid_access(header.removeprefix("Authorization: Bearer "))


def test_more_life_than_is_left_is_refreshed_first(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """One refresh, for which the command waits longer than a hot caller would; no warning about a shorter life."""

    time.sleep(1.1)
    asked_before = server.count("token")
    server.mode = Mode.SLOW
    assert 0 == main(["token", "one", "--min-validity", str(int(LIFE) - 1)])
    out, err = capsys.readouterr()
    assert server.valid_access(out.strip())
    assert "" == err
    assert asked_before + 1 == server.count("token")


def test_more_life_than_any_token_has(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """One refresh, then that token, with a warning that it lasts less."""

    asked_before = server.count("token")
    began = time.monotonic()
    assert 0 == main(["token", "one", "--min-validity", "1h"])
    out, err = capsys.readouterr()
    assert server.valid_access(out.strip())
    assert "no token of one is valid for that long; this one ends in" in err
    assert asked_before + 1 == server.count("token")
    assert time.monotonic() - began < 5.0


def test_a_usable_token_is_printed_though_it_cannot_be_refreshed(
    program: Program, server: OAuthServer, capsys: Capture
) -> None:
    """The first call finds out; the second doesn't wait."""

    server.mode = Mode.FIREWALL
    for _ in range(2):
        assert 0 == main(["token", "one", "--min-validity", "1h"])
        out, err = capsys.readouterr()
        assert server.valid_access(out.strip())
        assert "this one ends in" in err


@pytest.mark.parametrize(
    ("mode", "word", "code"),
    [(Mode.FIREWALL, "auth_retrying retrying", 5), (Mode.INVALID_GRANT, "unauthenticated refused", 4)],
)
def test_without_a_token_exec_starts_nothing(
    quiet: Program,
    server: OAuthServer,
    mode: Mode,
    word: str,
    code: int,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Exit code 5 for amber and 4 for red, with a sentence; the refusal is counted."""

    server.mode = mode
    trace = tmp_path / "ran"
    with quiet:
        quiet.becomes(word)
        assert code == main(["token", "one"])
        assert code == main(["exec", "one", "--", sys.executable, "-c", f"open({str(trace)!r}, 'w')"])
        out, err = capfd.readouterr()
        assert 2 == counter(quiet, 'amberlight_callers_refused_total{workload="one"')
    assert "" == out
    assert 2 == err.count("amberlight: no token for one: ")
    assert not trace.exists()


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_metrics(program: Program, server: OAuthServer) -> None:
    """Refreshes are counted by outcome and trigger; no secret is among them."""

    program.green()
    program.act(Verb.RETRY, "one")
    program.until(lambda: server.count("token") == 2, "the second refresh")
    program.until(lambda: counter(program, "amberlight_refreshes_total") == 2, "its end")

    assert 1 == counter(program, 'amberlight_refreshes_total{workload="one",outcome="refreshed",trigger="start"}')
    assert 1 == counter(program, 'amberlight_refreshes_total{workload="one",outcome="refreshed",trigger="manual"}')
    assert 1 == counter(program, 'amberlight_workloads{status="running"}')
    assert counter(program, 'amberlight_seconds_since_last_refresh{workload="one"}') < 60


# --- events ----------------------------------------------------------------------------------------------------------


def told(response: HTTPResponse) -> tuple[str, Any]:
    """The next event: its kind and its JSON."""
    fields: dict[str, str] = {}
    while True:
        line = response.readline().decode().rstrip("\n")
        if not line and "event" in fields:
            return fields["event"], json.loads(fields["data"])
        name, _, value = line.partition(": ")
        fields[name] = fields.get(name, "") + value


def test_a_click_is_sent_to_readers_of_events(program: Program) -> None:
    """Paused elsewhere, seen here; and a quit doesn't wait for the reader."""

    connection, response = asked(program, "/api/v1beta/events")
    kind, data = told(response)
    assert ("reset", ["one"]) == (kind, [row["name"] for row in data["workloads"]])
    assert 1 == counter(program, "amberlight_event_streams ")
    assert 0 == main(["stop", "one"])
    while (data := told(response)[1])["status"] != "stopped":  # a slow start may still be told of
        assert "running" == data["status"]
    assert "paused" == data["auth"]["detail"]

    began = time.monotonic()
    program.__exit__(None, None, None)
    assert time.monotonic() - began < 2.0
    assert b"event: workload" not in response.read()  # it comes to its end; what history made of the click may be in it
    connection.close()


# --- client settings -------------------------------------------------------------------------------------------------


def test_client_config(program: Program, capsys: Capture) -> None:
    """The proxy's address and the key of keys.json; the warnings are beside it, so the output can be redirected."""

    assert 0 == main(["client-config", "one", "--for", "vscode"])
    out, err = capsys.readouterr()
    entry = json.loads(out)["servers"]["one"]
    key = json.loads(program.paths.keys_file.read_text())["keys"]["one"]

    assert f"http://127.0.0.1:{program.client.port}/w/one" == entry["url"]
    assert {"Authorization": f"Bearer {key}"} == entry["headers"]
    assert "local key of one" in err
    assert f"set port = {program.client.port} under [settings] in config.toml" in err  # it is any free one here
    assert key not in err


@pytest.mark.parametrize("reader", ["claude-code", "cursor", "vscode", "json"])
def test_the_printed_client_settings_work(quiet: Program, server: OAuthServer, reader: str, capsys: Capture) -> None:
    """A client that knows nothing but the pasted entry reaches a workload that demands the token."""

    with EchoWorkload(server) as echo, quiet:
        quiet.write(quiet.paths.config_file.read_text().replace("http://127.0.0.1:9/mcp", echo.url))
        assert quiet.client.reload()["ok"]
        quiet.becomes("running ok")
        assert 0 == main(["client-config", "one", "--for", reader])
        whole = json.loads(capsys.readouterr().out)
        entry = whole if reader == "json" else next(iter(whole.values()))["one"]
        served = counter(quiet, 'amberlight_proxy_requests_total{workload="one",code="200"}')
        status, answer = pasted(entry["url"], entry["headers"])
        assert (200, "oauthtest-echo") == (status, answer["result"]["serverInfo"]["name"])
        assert 403 == pasted(entry["url"], {"Authorization": "Bearer wrong"})[0]
        assert served + 1 == counter(quiet, 'amberlight_proxy_requests_total{workload="one",code="200"}')


def pasted(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """MCP's first request at this address with these headers."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    accept = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(body).encode(), {**accept, **headers})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_client_settings_stay_the_same(program: Program, capsys: Capture) -> None:
    """The same after a restart."""

    first, second = [(main(["client-config", "one"]), capsys.readouterr().out)[1] for _ in range(2)]

    assert first == second
    assert ["one"] == list(json.loads(first)["mcpServers"])


def test_an_unknown_workload_has_no_client_config(program: Program, capsys: Capture) -> None:
    """A sentence, and no key is made for it."""

    assert 1 == main(["client-config", "onne"])
    assert "Did you mean one?" in capsys.readouterr().err
    assert {"one", "/mcp"} == set(json.loads(program.paths.keys_file.read_text())["keys"])


def test_a_removed_workload_loses_its_key(program: Program, capsys: Capture) -> None:
    """A client that still sends it is refused, also after the name is added again."""

    main(["client-config", "one"])
    assert 0 == main(["remove", "one", "--yes"])
    assert {"/mcp"} == set(json.loads(program.paths.keys_file.read_text())["keys"])
