"""`amberlight doctor`: every check ends as ok, warning or problem, against real sockets and scripted buses."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.fake_app import FakeApp
from trayapp.app import checks, endpoint_checks
from trayapp.app.endpoint_checks import ServerCheck
from trayapp.cli import doctor, main
from trayapp.config.loader import Config, Paths, load
from trayapp.core.checks import OK, PROBLEM, WARNING, Check, Report
from trayapp.core.model import Trouble

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def paths(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Without a session bus, and without a proxy."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return paths


def config_for(paths: Paths, *issuers: str) -> Config:
    """A configuration with one workload per issuer."""
    text = "".join(
        f'[workloads.w{n}]\nurl = "https://x"\nissuer = "{i}"\nclient_id = "c"\n' for n, i in enumerate(issuers)
    )
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(text)
    paths.config_file.chmod(0o600)
    return load(paths, {})


def report_reply(*checks: dict[str, str], **keys: Any) -> tuple[int, Any]:
    """The app's report, as it answers `doctor`."""
    return 200, {"checks": list(checks), "tray": True, "token_endpoints": {}} | keys


# --- the command -----------------------------------------------------------------------------------------------------


def test_nothing_is_there(paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bare machine every check still ends, and says what to do; the exit code is that of a problem."""

    async def none(_: Report | None) -> list[Check]:
        return [Check("keyring", PROBLEM, "No keyring.", "Start one.")]

    monkeypatch.setattr(checks, "keyring", none)

    assert 1 == main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    desktop = [("tray host", WARNING), ("notifications", WARNING)] if sys.platform == "linux" else []
    assert [
        ("configuration", OK),
        ("files", OK),
        ("keyring", PROBLEM),
        *desktop,
        ("autostart", OK),
        ("clients", OK),
        ("app", WARNING),
    ] == [(check["name"], check["state"]) for check in found]
    assert all(check["text"] and (check["help"] or check["state"] == OK) for check in found)


def test_all_is_well(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """With warnings at most, the exit code is 0; what the app says of itself is shown too."""

    config_for(paths, app.url)
    app.replies["GET /doctor"] = report_reply({"name": "proxy", "state": "ok", "text": "It listens.", "help": ""})

    assert 0 == main(["doctor"])
    text = capsys.readouterr().out
    assert [("GET /doctor", None)] == app.requests, "one question is enough"
    assert "config.toml: 1 workload." in text
    assert "can be reached" in text
    assert "app: proxy" in text


# --- configuration and app -------------------------------------------------------------------------------------------


def test_nothing_is_wrong_before_the_first_workload(paths: Paths) -> None:
    """Without a configuration all is well, and the way to begin is told."""

    _, (check,) = checks.configuration(paths, {})

    assert OK == check.state
    assert str(paths.config_file) in check.text
    assert "amberlight add NAME URL" in check.help


def test_configuration_mistakes(paths: Paths) -> None:
    """Each mistake in the file is a problem of its own."""

    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[settings]\nport = 'x'\nbogus = 1\n")

    config, found = checks.configuration(paths, {})

    assert config is None
    assert [PROBLEM, PROBLEM] == [check.state for check in found]
    assert "config.toml:2: settings.port" in found[0].text


def test_configuration_warnings(paths: Paths) -> None:
    """A variable that is not used is a warning beside the file that is fine."""

    config_for(paths, "https://x")

    _, found = checks.configuration(paths, {"TOOLHIVE_TOKEN_REFRESH_MAX_TRIES": "many"})

    assert [OK, WARNING] == [check.state for check in found]
    assert "TOOLHIVE_TOKEN_REFRESH_MAX_TRIES" in found[1].text


def test_an_app_that_does_not_answer_well(paths: Paths, app: FakeApp) -> None:
    """An app that is there but answers nonsense is a problem, not "not running"."""

    odd = [
        report_reply(checks=None),
        report_reply(checks=[1]),
        report_reply(tray=None),
        report_reply(token_endpoints=None),
    ]
    for reply in [(500, {}), *odd]:
        app.replies["GET /doctor"] = reply
        report, (check,) = doctor.running(paths)
        assert (None, "app", PROBLEM) == (report, check.name, check.state)


def test_the_apps_states_are_taken_carefully(paths: Paths, app: FakeApp) -> None:
    """A state that we do not know counts as a problem."""

    app.replies["GET /doctor"] = report_reply(
        {"name": "x", "state": "failed", "text": "t"}, {"name": "app", "state": "warning"}
    )

    _, found = doctor.running(paths)

    assert [("app", OK), ("app: x", PROBLEM), ("app", WARNING)] == [(check.name, check.state) for check in found]


# --- keyring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "state"),
    [(None, OK), (Trouble.LOCKED, WARNING), (Trouble.UNAVAILABLE, PROBLEM), (Trouble.HANGING, PROBLEM)],
)
async def test_keyring(monkeypatch: pytest.MonkeyPatch, trouble: Trouble | None, state: str) -> None:
    """A locked keyring is a warning, a missing one a problem; it is let go of afterwards. An app that runs has said how
    its own is, and no other is looked at."""

    closed = []

    class Keystore:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def status(self) -> Trouble | None:
            return trouble

        async def describe(self) -> str:
            return "A sentence."

        async def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr("trayapp.vault.keystore.Keystore", Keystore)

    assert [] == await checks.keyring(Report((), True, {}))
    (check,) = await checks.keyring(None)

    assert (state, "A sentence.", [True]) == (check.state, check.text, closed)
    assert bool(check.help) == (state != OK)


# --- the desktop -----------------------------------------------------------------------------------------------------


class Answers:
    """A bus on which each member has one reply body, or None for an error."""

    def __init__(self, **replies: Any) -> None:
        self.replies = replies

    async def __call__(self, destination: str, path: str, interface: str, member: str, *_: Any) -> Any:
        return self.replies[member]


class Boxed:
    def __init__(self, value: object) -> None:
        self.value = value


@pytest.mark.parametrize(
    ("replies", "state"),
    [
        ({"NameHasOwner": [True], "Get": [Boxed(True)]}, OK),
        ({"NameHasOwner": [True], "Get": [Boxed(False)]}, WARNING),
        ({"NameHasOwner": [True], "Get": None}, WARNING),
        ({"NameHasOwner": [False]}, WARNING),
        ({"NameHasOwner": None}, WARNING),
    ],
)
async def test_tray_host(replies: dict[str, Any], state: str) -> None:
    """Icons are shown only if the watcher is there and says that somebody shows them."""

    check = await checks.tray_host(Answers(**replies))

    assert (state, state != OK) == (check.state, bool(check.help))


@pytest.mark.linux("only there an icon needs a program that shows it")
async def test_an_app_without_an_icon_needs_no_tray(paths: Paths) -> None:
    """Who said --no-tray is not told that nobody shows an icon; for an app that has one, and without an app, it counts."""

    (check,) = await checks.tray(Report((), False, {}))
    assert (OK, "") == (check.state, check.help)
    assert "--no-tray" in check.text

    for report in (None, Report((), True, {})):
        (check,) = await checks.tray(report)
        assert WARNING == check.state


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        ([["body", "actions"]], OK, "with buttons"),
        ([["body"]], WARNING, "without buttons"),
        (None, WARNING, "No program shows notifications"),
    ],
)
async def test_notifications(reply: Any, state: str, words: str) -> None:
    """Notifications with buttons are best, without they still inform."""

    check = await checks.notifications(Answers(GetCapabilities=reply))

    assert state == check.state
    assert words in check.text


@pytest.mark.linux("only there notifications come over D-Bus")
async def test_without_a_bus(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """No session is told from a bus that is gone, and neither needs to know what D-Bus raises."""

    (check,) = await checks.over_session_bus(checks.notifications)
    assert (WARNING, True) == (check.state, "can't be reached" in check.text)

    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(paths.runtime_dir))
    (check,) = await checks.over_session_bus(checks.notifications)
    assert (WARNING, True) == (check.state, "isn't a desktop session" in check.text)


@pytest.mark.linux("only there notifications come over D-Bus")
async def test_a_bus_that_hangs(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that accepts and says nothing ends as a problem within the limit."""

    monkeypatch.setattr(checks, "BUS_LIMIT", 0.2)
    hung_up = asyncio.Semaphore(0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.release()

    async with await asyncio.start_unix_server(silent, tmp_path / "no-bus"):
        (check,) = await checks.over_session_bus(checks.notifications)
        for _ in range(2):  # whether somebody listens is looked at first
            await hung_up.acquire()

    assert ("notifications", PROBLEM, "The session bus isn't responding.") == (check.name, check.state, check.text)


@pytest.mark.linux("only there notifications come over D-Bus")
async def test_a_service_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus is fine, but the daemon that it names does not answer, or can't start in a session without a display."""

    from tests.tray.bus import private_bus

    monkeypatch.setattr(checks, "BUS_LIMIT", 0.3)
    with private_bus() as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        connection = await bus.connect()
        connection.add_message_handler(lambda message: True if message.member == "GetCapabilities" else None)
        await connection.request_name(checks.NOTIFIER)
        (check,) = await checks.over_session_bus(checks.notifications)
        connection.disconnect()

    assert ("notifications", WARNING, "hangs" in check.text) == (check.name, check.state, True)
    assert "session bus" not in check.text


# --- endpoints -------------------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_an_endpoint_that_is_there(paths: Paths, listener: int) -> None:
    """Workloads of one server are one check, which names them."""

    (check,) = await endpoint_checks.endpoints(config_for(paths, *[f"http://127.0.0.1:{listener}"] * 4), {})

    assert OK == check.state
    assert f"127.0.0.1:{listener} (for w0, w1, w2 and others): can be reached." == check.text


async def test_an_endpoint_that_is_not_there(paths: Paths, listener: int) -> None:
    """A refused connection and an unknown name are told apart."""

    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    refused, unknown = await endpoint_checks.endpoints(
        config_for(paths, f"http://127.0.0.1:{port}", "https://nowhere.invalid"), {}
    )

    assert (PROBLEM, PROBLEM) == (refused.state, unknown.state)
    assert "the connection was refused" in refused.text
    assert "nowhere.invalid:443" in unknown.text
    assert unknown.help


async def test_a_silent_endpoint(paths: Paths, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that accepts but never finishes TLS ends at the limit."""

    monkeypatch.setattr(endpoint_checks, "CONNECT_LIMIT", 0.2)

    (check,) = await endpoint_checks.endpoints(config_for(paths, f"https://127.0.0.1:{listener}"), {})

    assert (PROBLEM, True) == (check.state, "no answer within 0.2 seconds" in check.text)


async def test_a_certificate_that_nobody_knows(paths: Paths) -> None:
    """TLS inspection and captive portals show themselves by their certificate, and that is what is said."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_shake_hands, args=(server, context))
        thread.start()
        (check,) = await endpoint_checks.endpoints(
            config_for(paths, f"https://127.0.0.1:{server.getsockname()[1]}"), {}
        )
        thread.join()

    assert PROBLEM == check.state
    assert "its certificate isn't trusted" in check.text
    assert "Wi-Fi sign-in page" in check.help


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()


async def test_the_endpoint_that_was_found_is_tried(paths: Paths, app: FakeApp, listener: int) -> None:
    """Not the workload's own address: the app knows where its login is refreshed."""

    app.replies["GET /doctor"] = report_reply(token_endpoints={"w0": f"http://127.0.0.1:{listener}/token", "w1": None})
    report, _ = doctor.running(paths)
    assert report is not None

    (check,) = await endpoint_checks.endpoints(config_for(paths, "https://127.0.0.1:9"), report.token_endpoints)
    assert (OK, f"127.0.0.1:{listener} (for w0): can be reached.") == (check.state, check.text)


async def test_behind_a_proxy(paths: Paths, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a proxy only the proxy is tried, it says so, and a password in its address is not shown."""

    monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{listener}")
    config = config_for(paths, "https://login.example.com")

    (check,) = await endpoint_checks.endpoints(config, {})
    assert OK == check.state
    assert (
        f"goes through the proxy 127.0.0.1:{listener}, which answers. What is beyond it wasn't checked." in check.text
    )

    monkeypatch.setenv("https_proxy", "http://me:hunter2@127.0.0.1:1")
    (check,) = await endpoint_checks.endpoints(config, {})
    assert PROBLEM == check.state
    assert "through the proxy 127.0.0.1:1" in check.text
    assert "hunter2" not in check.text


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://p:3128"}, ("p", 3128)),
        ({"https_proxy": "p"}, ("p", 80)),
        ({"all_proxy": "http://p:1"}, ("p", 1)),
        ({"http_proxy": "http://p:1"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com"}, None),
        ({"https_proxy": "http://p:odd"}, None),
        ({"https_proxy": "http://"}, None),
    ],
)
def test_which_proxy(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: tuple[str, int] | None
) -> None:
    """The environment's proxy is found as other programs find it; this machine is never reached through one."""

    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy == endpoint_checks.proxy_for("https", "login.example.com", 443)
    assert None is endpoint_checks.proxy_for("https", "127.0.0.1", 443)


async def test_many_servers(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every server of a long configuration is tried, and that is said."""

    monkeypatch.setattr(endpoint_checks, "ENDPOINTS_MAX", 1)

    found = await endpoint_checks.endpoints(
        config_for(paths, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"), {}
    )

    assert "2 more servers weren't checked." == found[-1].text


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        ((0.4,), OK, "agrees with that of s0"),
        ((-400.0, 3.0, 2.0), OK, "agrees with that of s2"),
        ((7300.0,), WARNING, "2 h"),
        ((7300.0,), WARNING, "ahead of that of s0"),
        ((-400.0,), WARNING, "behind that of s0"),
    ],
)
def test_the_clock(ahead: tuple[float, ...], state: str, words: str) -> None:
    """One server with a wrong clock is not believed against two others."""

    (check,) = endpoint_checks.clock(
        [ServerCheck(Check("endpoint", OK, ""), f"s{n}", each) for n, each in enumerate(ahead)]
    )

    assert (state, True) == (check.state, words in check.text)
    assert (state == WARNING) is bool(check.help)
    assert [] == endpoint_checks.clock([ServerCheck(Check("endpoint", PROBLEM, ""))])


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (b"HTTP/1.1 404 No\r\nDATE: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nServer: none\r\n\r\n", False),
        (b"nothing that ends", False),
        (b"", False),
    ],
)
async def test_the_date_of_a_server(monkeypatch: pytest.MonkeyPatch, answer: bytes, known: bool) -> None:
    """Read from the answer to an empty request that carries nothing of ours; a server need not tell it."""

    asked = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        date = await endpoint_checks._date_header(reader, writer, "login.example.com")
        writer.close()
        await writer.wait_closed()

    assert (784111777.0 if known else None) == date
    assert b"HEAD / HTTP/1.1\r\nHost: login.example.com\r\nConnection: close\r\n\r\n" == asked
