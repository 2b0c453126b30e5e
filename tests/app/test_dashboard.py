"""The dashboard in the whole program: opened by clicks, commands and a second start; history and new workloads."""

from __future__ import annotations

import http.client
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.app import dashboard, launch
from trayapp.cli import main
from trayapp.cli.client import BASE, ApiError
from trayapp.cli.dashboard import show_running
from trayapp.config.paths import Paths
from trayapp.core.presentation import Verb
from trayapp.oauthtest import OAuthServer
from trayapp.server import peers
from trayapp.server.instance import instance_lock
from trayapp.system.browser import NoBrowserError

posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that the person's browser was asked to open."""
    found: list[str] = []

    def browse(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(dashboard, "browse", browse)
    return found


pytestmark = pytest.mark.oauth_server(check=False)


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer) -> Program:
    made = Program(tmp_path)
    made.write(CONFIG.format(port=0, server=server))
    made.keystore._logins["one"] = login_of(server)
    return made


def page(address: str) -> tuple[int, dict[str, Any]]:
    """Exchange a link's token for a page key, as the page does."""
    parts = urlsplit(address)
    headers = {"Origin": f"http://{parts.netloc}", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    body = json.dumps({"once": parts.fragment.removeprefix("once=")})
    return ask(address, "POST", f"{BASE}/session", headers, body)


def ask(address: str, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_click_opens_the_page_once(program: Program, opened: list[str]) -> None:
    """Left click, menu and notification alike; the second half of a double click opens no second one."""

    with program:
        program.act(Verb.SHOW)
        program.act(Verb.SHOW)
        program.until(lambda: opened, "the browser")
        status, body = page(opened[0])
        assert (200, ["key"]) == (status, list(body))
        assert 403 == page(opened[0])[0]
        assert 1 == len(opened)
        assert "/?add#once=" not in opened[0]


@pytest.mark.parametrize("seen", [True, False])
def test_a_page_that_may_not_be_open(
    program: Program, seen: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The program that opens it stays: whether the page was loaded decides whether anything is said."""

    asked: list[str] = []

    def browse(url: str) -> bool:
        asked.append(url)
        return False

    monkeypatch.setattr(dashboard, "browse", browse)
    monkeypatch.setattr(dashboard, "COLD_START", 0.3)
    with program:
        program.act(Verb.SHOW)
        program.until(lambda: asked, "the browser")
        if seen:
            assert 200 == page(asked[0])[0]
            time.sleep(0.4)
        else:
            program.until(lambda: "has not requested the dashboard yet" in caplog.text, "the sentence")
    assert seen is ("has not requested the dashboard yet" not in caplog.text)


def test_a_click_opens_the_form_for_a_new_workload(program: Program, opened: list[str]) -> None:
    """*Add workload…* puts `?add` into the URL, before the fragment."""

    with program:
        program.act(Verb.ADD)
        program.until(lambda: opened, "the browser")
        assert f"http://127.0.0.1:{program.client.port}/?add" == opened[0].partition("#once=")[0]
        assert 200 == page(opened[0])[0]


def test_a_click_opens_the_clients_to_connect(program: Program, opened: list[str]) -> None:
    """*Connect a client…* names its workload in the URL."""

    with program:
        program.act(Verb.CONNECT, "one")
        program.until(lambda: opened, "the browser")
        assert opened[0].partition("#once=")[0].endswith("/?connect=one")
        assert 200 == page(opened[0])[0]


@posix
def test_where_other_users_could_read_the_link(
    program: Program, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser gets a private file that redirects; the link is on no command line."""

    monkeypatch.setattr(peers, "is_supported", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux" if sys.platform == "win32" else sys.platform)
    with program:
        program.act(Verb.SHOW)
        program.until(lambda: opened, "the browser")
        assert opened[0].startswith("file:///")
        assert "once" not in opened[0]
        file = Path(unquote(urlsplit(opened[0]).path))
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        link = file.read_text().partition("url=")[2].partition('"')[0]
        assert 200 == page(link)[0]


def test_a_page_outlives_a_restart_of_the_app(program: Program, opened: list[str]) -> None:
    """The same page key works with the next run, on the same port or another."""

    with program:
        program.act(Verb.SHOW)
        program.until(lambda: opened, "the browser")
        key = page(opened[0])[1]["key"]
    program.control = None
    with program:
        client = program.client
        headers = {"Authorization": f"Bearer {key}", "Sec-Fetch-Site": "same-origin"}
        status, body = ask(f"http://127.0.0.1:{client.port}/", "GET", f"{BASE}/workloads", headers)
        assert (200, "one") == (status, body["workloads"][0]["name"])


def test_the_page_is_served(program: Program) -> None:
    """The program serves its files, and they need no key."""

    with program:
        connection = http.client.HTTPConnection("127.0.0.1", program.client.port, timeout=5)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert 200 == answer.status
        assert b"<script" in answer.read()
        connection.close()


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Commands find this program."""
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    return program


def test_the_command_opens_or_prints_a_link(
    here: Program, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--print` nothing is opened."""

    with here:
        assert 0 == main(["dashboard"])
        assert 200 == page(opened[0])[0]
        assert 0 == main(["dashboard", "--print"])
        assert 200 == page(capsys.readouterr().out.strip())[0]
        assert 1 == len(opened)


def test_the_command_without_a_browser(
    here: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence that says what to do; the usual one if the app isn't running."""

    def browse(url: str) -> bool:
        raise NoBrowserError("xdg-open ended with 3")

    monkeypatch.setattr(dashboard, "browse", browse)
    with here:
        assert 1 == main(["dashboard"])
        said = capsys.readouterr()
        assert ["", 1] == [said.out, said.err.count("\n")]
        assert "amberlight dashboard --print" in said.err
        assert "once" not in said.err
        assert not show_running(here.paths)
        assert ("", "") == capsys.readouterr()
    assert 3 == main(["dashboard"])
    assert not show_running(here.paths)


def test_a_second_start_shows_the_first(
    here: Program, opened: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an icon it opens the running app's dashboard; with `--no-tray` it is an error."""

    monkeypatch.setattr(os, "umask", lambda mask: 0)
    with here, instance_lock(here.paths.lock_file):
        assert 0 == launch.run(here.paths, {}, tray=True, show_running=lambda: show_running(here.paths))
        assert 200 == page(opened[0])[0]
        assert "opens in your browser" in capsys.readouterr().err
        assert 1 == launch.run(here.paths, {}, tray=False, show_running=lambda: show_running(here.paths))
        assert "already running" in capsys.readouterr().err


# --- what it finds there ---------------------------------------------------------------------------------------------


def test_the_history_of_two_runs(program: Program) -> None:
    """What was before, the gap while Amberlight wasn't running, and what is now."""

    seen: list[dict[str, Any]] = []
    for _ in range(2):
        program.control = None
        with program:
            program.becomes("running ok")
            program.until(lambda: "ok" == rows(program)[-1]["detail"], "the last segment")
            seen = rows(program)
    details = [row["detail"] for row in seen]

    assert ["ok", "not_running"] == details[details.index("not_running") - 1 :][:2]
    assert 1 == details.count("not_running")
    assert "ok" == details[-1]
    assert details[0] in ("starting", "ok")
    assert [row["at"] for row in seen] == sorted(row["at"] for row in seen)


def rows(program: Program) -> list[dict[str, Any]]:
    found = program.client.request("GET", f"{BASE}/workloads/one/history")
    assert not found["more"]
    return list(found["rows"]) or [{"detail": ""}]


def test_the_page_shows_the_warnings(program: Program) -> None:
    """The app's warnings are in the answer."""

    with program:
        program.write("[workloads.one]\nurl = 7\n")
        assert program.client.reload()["ok"] is False
        found = program.client.request("GET", f"{BASE}/status")
    (warning,) = [each for each in found["warnings"] if "config.toml" in each]
    assert warning.endswith("Amberlight keeps using the last valid configuration.")
    assert (warning, "") == (found["outdated"], found["broken"])


# --- adding ----------------------------------------------------------------------------------------------------------

NEW = {"name": "new", "url": "https://new.example/mcp", "issuer": "https://as.example", "client_id": "desktop"}


def test_a_workload_is_added(program: Program) -> None:
    """Written into the file, comments intact; loaded immediately; there at the next start."""

    program.write("# mine, all mine\n" + program.paths.config_file.read_text() + "# the end\n")
    with program:
        new = NEW | {"scopes": ["a", "b"], "ceiling": "1h", "require_key": sys.platform == "win32", "resource": None}
        row = program.client.request("POST", f"{BASE}/workloads", new)
        assert ("new", "https://new.example/mcp") == (row["name"], row["url"])
        program.until(lambda: program.status("new"), "the new one")
        found = program.client.request("GET", f"{BASE}/workloads/new")
    text = program.paths.config_file.read_text()

    assert (["a", "b"], new["require_key"], 3600.0) == (
        found["scopes"],
        found["require_key"],
        found["policy"]["ceiling"],
    )
    assert text.startswith("# mine, all mine\n")
    assert "# the end\n" in text
    assert "resource" not in text.partition("[workloads.new]")[2]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"name": "New!"}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": "one"}, 409, "name"),
        ({"url": "ftp://new.example"}, 400, "url"),
        ({"url": "http://new.example/mcp"}, 400, "url"),
        ({"url": ""}, 400, "url"),
        ({"scopes": "a b"}, 400, "scopes"),
        ({"redirect_port": 99999}, 400, "redirect_port"),
        ({"ceiling": "soon"}, 400, "ceiling"),
        ({"issuer": 7}, 400, "issuer"),
        ({"issuer": None, "token_endpoint": "https://as.example/token"}, 400, "authorization_endpoint"),
        ({"client_secret": ["canary"]}, 400, "client_secret"),
        ({"secret": "canary"}, 400, ""),
    ],
)
def test_a_rejection_names_its_field(program: Program, change: dict[str, Any], status: int, field: str) -> None:
    """Nothing is written, and the sentence can be shown to people."""

    before = program.paths.config_file.read_text()
    with program:
        with pytest.raises(ApiError) as refused:
            program.client.request("POST", f"{BASE}/workloads", NEW | change)
        assert "new" not in program.last.workloads
    said = str(refused.value)

    assert (status, field) == (refused.value.status, refused.value.body.get("field", ""))
    assert said.endswith(".")
    assert "canary" not in said
    assert before == program.paths.config_file.read_text()


def test_a_file_that_already_has_a_mistake(program: Program) -> None:
    """It is not touched, and the sentence says where the mistake is."""

    with program:
        program.write("[settings]\nprot = 1\n")
        with pytest.raises(ApiError) as refused:
            program.client.request("POST", f"{BASE}/workloads", NEW)
    assert 409 == refused.value.status
    assert "config.toml:2" in str(refused.value)
    assert "[settings]\nprot = 1\n" == program.paths.config_file.read_text()
