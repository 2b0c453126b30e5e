"""Activity and diagnostics of the whole program, by real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli import main
from trayapp.clients import files
from trayapp.clients.places import Machine
from trayapp.config.paths import Paths
from trayapp.oauthtest import OAuthServer
from trayapp.storage import activity

LIMIT = 60.0  # s
CANARY = "ghp_" + "canary0123456789" * 2
BASE = "/api/v1beta"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """A program that is signed in, with one client in an empty home."""
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: made.paths))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    monkeypatch.setattr(activity, "WRITE_AFTER", 0.05)
    (tmp_path / "home" / ".cursor").mkdir(parents=True)
    made = Program(tmp_path)
    text = CONFIG.format(port=0, server=server)
    made.write(text)
    made.keystore._logins["one"] = login_of(server)
    with made:
        made.becomes("running ok")
        made.runtime.inspection._machine = lambda: Machine.this()
        yield made


def ask(program: Program, path: str, method: str = "GET", body: Any = None) -> Any:
    """JSON of the API; None where there is none."""
    client = program.client
    connection = HTTPConnection(client.host, client.port, timeout=LIMIT)
    head = {"Authorization": f"Bearer {client.key.reveal()}"}
    if body is not None:
        head["Content-Type"] = "application/json"
    connection.request(method, f"{BASE}/{path}", None if body is None else json.dumps(body), head)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status < 300, content
    return json.loads(content) if content else None


def use(program: Program, path: str = "") -> None:
    """One request to the workload, by a client that calls itself curl."""
    client = program.client
    key = program.runtime.keys.find("one")
    assert key is not None
    connection = HTTPConnection(client.host, client.port, timeout=LIMIT)
    head = {"Authorization": f"Bearer {key.reveal()}", "User-Agent": "curl/8.5.0", "X-Secret": CANARY}
    connection.request("GET", f"/w/one{path}", headers=head)
    connection.getresponse().read()
    connection.close()


def eventually(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def test_what_clients_did(program: Program) -> None:
    """It is there as soon as it is asked for, without anything secret, and is gone when it is cleared."""

    use(program, f"/things/{CANARY}?token={CANARY}")
    eventually(lambda: ask(program, "activity")["rows"])  # the client may have its response before it is recorded
    found = ask(program, "activity")
    (row,) = found["rows"]

    assert ("one", "curl", "8.5.0", "GET", "/things/…") == tuple(
        row[key] for key in ("workload", "client", "client_version", "method", "target")
    )
    assert (True, 0, False) == (found["recording"], found["dropped"], found["more"])
    assert [("curl", 1)] == [(each["client"], each["count"]) for each in ask(program, "activity/clients")["rows"]]
    for file in program.paths.state_dir.glob("activity.db*"):
        assert CANARY.encode() not in file.read_bytes()

    ask(program, "activity", "DELETE", {})
    assert [] == ask(program, "activity")["rows"]
    assert not program.paths.activity_db.exists()


def test_the_setting_switches_it_off(program: Program, server: OAuthServer) -> None:
    """At once, and what was recorded is deleted."""

    use(program)
    assert eventually(lambda: ask(program, "activity")["rows"])
    program.write(CONFIG.format(port=0, server=server).replace("[settings]", "[settings]\nactivity = false", 1))
    ask(program, "reload", "POST", {})
    eventually(lambda: not ask(program, "activity")["recording"])
    eventually(lambda: not program.paths.activity_db.exists())
    use(program)

    assert [] == ask(program, "activity")["rows"]


def test_state_db_has_nothing_to_do_with_it(program: Program) -> None:
    """Each can be deleted without the other."""

    use(program)
    assert eventually(lambda: ask(program, "activity")["rows"])
    assert b"curl" not in program.paths.state_db.read_bytes()
    assert program.paths.activity_db != program.paths.state_db


def test_a_removed_workload_leaves_no_trace(program: Program) -> None:
    """Its rows go with it."""

    use(program)
    assert eventually(lambda: ask(program, "activity")["rows"])
    ask(program, "workloads/one", "DELETE", {})
    eventually(lambda: not ask(program, "activity")["rows"])


def test_the_same_checks_as_doctor(program: Program, capsys: Capture) -> None:
    """In the same order, with the same words."""

    found = ask(program, "diagnostics")["checks"]
    main(["doctor", "--format", "json"])
    printed = json.loads(capsys.readouterr().out)

    assert [check["name"] for check in printed] == [check["name"] for check in found]
    assert [check["text"] for check in printed if check["name"] != "clock"] == [
        check["text"] for check in found if check["name"] != "clock"
    ]


def test_the_log(program: Program) -> None:
    """Newest first, and by workload."""

    program.paths.log_file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"2026-01-02T03:04:0{second}Z INFO trayapp.x: {name} did something" for second, name in enumerate("ab")]
    program.paths.log_file.write_text("\n".join(lines) + "\n")
    Path(f"{program.paths.log_file}.1").write_text("2026-01-01T00:00:00Z WARNING trayapp.x: b was older\n")

    texts = [entry["text"] for entry in ask(program, "log")["entries"]]
    assert ["b did something", "a did something", "b was older"] == texts
    assert ["b did something", "b was older"] == [e["text"] for e in ask(program, "log?workload=b")["entries"]]
    assert ["b was older"] == [entry["text"] for entry in ask(program, "log?level=warning")["entries"]]
    assert str(program.paths.log_file) == ask(program, "log")["file"]


def test_the_report_is_that_of_the_command(program: Program, capsys: Capture) -> None:
    """The same sections and facts, and no key."""

    found = ask(program, "report")
    main(["report", "--output", "-"])
    printed = capsys.readouterr().out
    headings = [line for line in found["text"].splitlines() if line.startswith("## ")]

    assert headings == [line for line in printed.splitlines() if line.startswith("## ")]
    assert found["file"].startswith("amberlight-report-")
    key = program.runtime.keys.find("one")
    assert key is not None
    for secret in (program.client.key.reveal(), key.reveal(), str(Path.home())):
        assert secret not in found["text"]


def test_history_to_draw(program: Program) -> None:
    """The last part is green by now, and the first refresh is told."""

    found = ask(program, "workloads/one/history?days=1")

    assert 96 == len(found["buckets"])
    assert "green" in [part["colour"] for part in found["buckets"][-1]["parts"]]
    assert [] == found["buckets"][0]["parts"]
    assert 900 == found["bucket_seconds"]
    assert "Refreshed" in found["attempts"][-1]["text"]


def test_a_renamed_workload_keeps_its_rows(program: Program) -> None:
    """They are those of the new name."""

    use(program)
    assert eventually(lambda: ask(program, "activity")["rows"])
    ask(program, "workloads/one", "PATCH", {"name": "two"})

    eventually(lambda: ["two"] == [row["workload"] for row in ask(program, "activity")["rows"]])


def test_fix(program: Program, server: OAuthServer, unused_tcp_port: int, tmp_path: Path) -> None:
    """An entry with an old key is named as something that can be fixed, is fixed, and is fine from then on."""

    program.write(CONFIG.format(port=unused_tcp_port, server=server))
    ask(program, "reload", "POST", {})
    eventually(lambda: unused_tcp_port == program.client.port)
    file = tmp_path / "home" / ".cursor" / "mcp.json"
    entry = {"url": f"http://127.0.0.1:{unused_tcp_port}/w/one", "headers": {"Authorization": "Bearer old-key"}}
    file.write_text(json.dumps({"mcpServers": {"one": entry}}))
    files.make_private(file)

    def clients(found: Any) -> list[tuple[str, str, bool]]:
        checks = found["checks"]
        return [(each["state"], each["text"], each["fixable"]) for each in checks if each["name"] == "clients"]

    before = ask(program, "diagnostics")
    ((state, text, fixable),) = clients(before)
    assert ("problem", True, True) == (state, fixable, before["fixable"])
    assert "Cursor has an old key for one" in text
    fixed = ask(program, "diagnostics/fix", "POST", {})
    assert ["Fixed one in Cursor"] == [each[1].partition(" (")[0] for each in clients(fixed)]
    assert not fixed["fixable"]
    assert [("ok", "Connected: Cursor (one).", False)] == clients(ask(program, "diagnostics"))
    key = program.runtime.keys.find("one")
    assert key is not None
    assert key.reveal() in file.read_text()
