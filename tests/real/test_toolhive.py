"""With a real ToolHive: what its workloads go through is seen here, and what it is asked to do happens.

Its sign-in server is `oauthtest`, so that it fails when a test says so. The program is built by
`python -m tests.real.thv`; without one, all of this is skipped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.real import thv
from tests.real.app import App
from tests.real.thv import Thv, until
from trayapp.clients.places import Machine
from trayapp.core.external import ExternalWorkload
from trayapp.external.owner import ExternalError
from trayapp.external.toolhive import ToolHive
from trayapp.external.toolhive_files import moment
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        thv.program() is None, reason=f"no thv: `python -m tests.real.thv` builds it, or {thv.VARIABLE} names one"
    ),
]

LIFETIME = 2  # s of an access token; a whole number, or Go's oauth2 can't read it
SEEN_WITHIN = 5.0  # s from ToolHive's own file to our surface
CONFIG = '[settings]\nport = 0\ntoolhive_heal = {heal}\n\n[workloads.notes]\nurl = "http://127.0.0.1:9/mcp"\n'


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    """ToolHive breaks some rules of good clients; that isn't what is tested here."""
    with OAuthServer(access_token_lifetime=LIFETIME, check=False, localhost=True) as server:
        yield server


@pytest.fixture
def echo(server: OAuthServer) -> Iterator[EchoWorkload]:
    with EchoWorkload(server) as echo:
        yield echo


@pytest.fixture
def toolhive(tmp_path: Path) -> Iterator[Thv]:
    """One whose logins don't outlive a workload's process."""
    environment = {f"XDG_{place}_HOME": str(tmp_path / place) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment |= {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with Thv(environment, tmp_path) as found:
        yield found


def owner(toolhive: Thv, *, command: bool = True) -> ToolHive:
    """What is tested: on the same machine, with or without the command on the PATH."""
    which = {"thv": toolhive.program if command else None}.get
    return ToolHive(Machine("linux", toolhive.environment, Path(toolhive.environment["HOME"]), which))


def seen(found: ToolHive, name: str = "notes") -> ExternalWorkload | None:
    return next((each for each in found.read().workloads if each.name == name), None)


def word(found: ToolHive, name: str = "notes") -> str:
    workload = seen(found, name)
    return workload.word if workload is not None else ""


def running(toolhive: Thv, server: OAuthServer, echo: EchoWorkload, name: str = "notes") -> ToolHive:
    """A workload that has been signed in."""
    toolhive.run(name, server, echo.url)
    toolhive.sign_in(name)
    toolhive.until(name, "running")
    return owner(toolhive)


# --- its files and its ways to act -----------------------------------------------------------------------------------


def test_what_is_read_of_it(toolhive: Thv, server: OAuthServer, echo: EchoWorkload) -> None:
    """The same as it lists itself, and why."""

    found = running(toolhive, server, echo)
    workload = seen(found)
    [listed] = json.loads(toolhive.do("list", "--format", "json"))
    assert workload is not None
    assert (listed["name"], listed["url"], listed["status"]) == (workload.name, workload.client_url, workload.word)
    assert echo.url == workload.url
    assert found.read().processes == {toolhive.status("notes")["process_id"]}
    server.down()
    toolhive.until("notes", "auth_retrying")
    workload = seen(found)
    assert workload is not None
    assert ("auth_retrying", toolhive.status("notes")["status_context"]) == (workload.word, workload.context)
    assert "connection refused" in workload.context
    server.up()
    toolhive.until("notes", "running")
    assert "running" == word(found)


@pytest.mark.parametrize("way", ["command", "port", "socket"])
def test_restart_and_stop(toolhive: Thv, server: OAuthServer, echo: EchoWorkload, way: str, tmp_path: Path) -> None:
    """By its command, or by its API wherever that is."""

    found = running(toolhive, server, echo)
    if way == "command":
        restarts_and_stops(toolhive, found)
        return
    with toolhive.serving(*(("--socket", str(tmp_path / "s")) if way == "socket" else ())):
        restarts_and_stops(toolhive, owner(toolhive, command=False))


def restarts_and_stops(toolhive: Thv, found: ToolHive) -> None:
    process = toolhive.status("notes")["process_id"]
    found.restart("notes")
    toolhive.sign_in("notes")  # no keyring: its login was in the process
    toolhive.until("notes", "running")
    assert process != toolhive.status("notes")["process_id"]
    found.stop("notes")
    assert ("stopped", frozenset()) == (word(found), found.read().processes - {api_process(toolhive)})
    found.restart("notes")
    toolhive.sign_in("notes")
    toolhive.until("notes", "running")


def api_process(toolhive: Thv) -> int:
    file = Path(toolhive.environment["XDG_STATE_HOME"], "toolhive/server/server.json")
    return int(json.loads(file.read_text())["pid"]) if file.exists() else 0


def test_a_process_that_was_killed(toolhive: Thv, server: OAuthServer, echo: EchoWorkload) -> None:
    """ToolHive goes on saying `running`, and its own restart believes that. Ours doesn't."""

    found = running(toolhive, server, echo)
    toolhive.kill("notes")
    until(lambda: word(found) == "stopped", "its process to end")
    assert "running" == toolhive.status("notes")["status"]
    assert "running" == json.loads(toolhive.do("list", "--format", "json"))[0]["status"]
    process = toolhive.status("notes")["process_id"]
    toolhive.do("restart", "notes")
    assert process == toolhive.status("notes")["process_id"]
    for _ in range(2):
        found.restart("notes")
        toolhive.sign_in("notes")
        toolhive.until("notes", "running")
        toolhive.kill("notes")
    with toolhive.serving():
        found.restart("notes")
        toolhive.sign_in("notes")
        toolhive.until("notes", "running")


def test_a_stop_in_trouble(toolhive: Thv, server: OAuthServer, echo: EchoWorkload) -> None:
    """ToolHive leaves the word, but what has been stopped isn't in trouble."""

    found = running(toolhive, server, echo)
    server.revoke_all()
    toolhive.until("notes", "unauthenticated")
    assert "unauthenticated" == word(found)
    toolhive.do("stop", "notes")
    assert "unauthenticated" == toolhive.status("notes")["status"]
    assert "stopped" == word(found)


def test_one_in_a_terminal(toolhive: Thv, server: OAuthServer, echo: EchoWorkload) -> None:
    """It is shown once it runs, and goes with its terminal."""

    process = toolhive.run_here("notes", server, echo.url)
    toolhive.sign_in("notes")
    toolhive.until("notes", "running")
    found = owner(toolhive)
    until(lambda: word(found) == "running", "it to be shown")
    process.kill()
    process.wait()
    assert "stopped" == word(found)


def test_a_restart_without_its_server(toolhive: Thv, server: OAuthServer, echo: EchoWorkload) -> None:
    """It would turn what recovers on its own into an error, so ToolHive isn't asked."""

    found = running(toolhive, server, echo)
    server.down()
    toolhive.until("notes", "auth_retrying")
    with pytest.raises(ExternalError, match=r"notes wasn't restarted: 127\.0\.0\.1 can't be reached"):
        found.restart("notes")
    server.up()
    toolhive.until("notes", "running")
    assert 1 == len(toolhive.addresses("notes"))


# --- with the app ----------------------------------------------------------------------------------------------------


@pytest.fixture
def app(desk: Desk, tmp_path: Path) -> App:
    """Not running yet. It knows the workload `toolhive/notes`, and an own one of the same name."""
    return App(dict(desk.env), tmp_path, "toolhive/notes", "--no-tray")


def shown_within(app: App, toolhive: Thv, wanted: str) -> None:
    """ToolHive's file has this word, and the app shows it soon after."""
    toolhive.until("notes", wanted)
    written = moment(toolhive.status("notes")["updated_at"])
    app.until(lambda s: s["status"] == wanted, wanted)
    assert written is not None
    assert time.time() - written < SEEN_WITHIN


def test_a_bad_day_of_a_workload(app: App, desk: Desk, server: OAuthServer, echo: EchoWorkload, tmp_path: Path) -> None:
    """Found when it appears; amber, green, red; restarted; a word of the future; gone with its process."""

    app.configure(CONFIG.format(heal="false"))
    with app, Thv(desk.env, tmp_path, keyring=True) as toolhive:
        toolhive.run("notes", server, echo.url)  # while the app comes up
        toolhive.sign_in("notes")
        until(lambda: app.command("status", "toolhive/notes").returncode in (0, 1), "the app to know it")
        shown_within(app, toolhive, "running")
        server.down()
        shown_within(app, toolhive, "auth_retrying")
        assert 5 == app.command("status", "toolhive/notes").returncode
        server.up()
        shown_within(app, toolhive, "running")
        server.revoke_all()
        shown_within(app, toolhive, "unauthenticated")
        assert 4 == app.command("status", "toolhive/notes").returncode
        restart(app, toolhive)
        toolhive.sign_in("notes")
        shown_within(app, toolhive, "running")
        asked = len(toolhive.addresses("notes"))
        restart(app, toolhive)  # a running one; its login is in the keyring
        shown_within(app, toolhive, "running")
        assert asked == len(toolhive.addresses("notes"))
        says_a_word_of_the_future(app, toolhive)
        toolhive.kill("notes")
        app.until(lambda s: s["status"] == "stopped", "gone")
        assert "toolhive/notes" not in app.run("list", codes=(0, 1, 4, 5))
        assert "toolhive/notes" in app.run("list", "--all", codes=(0, 1, 4, 5))


def restart(app: App, toolhive: Thv) -> None:
    """By the command line, and ToolHive's API."""
    process = toolhive.status("notes")["process_id"]
    with toolhive.serving():
        app.run("restart", "toolhive/notes")
        until(lambda: toolhive.status("notes")["process_id"] not in (0, process), "another process")


def says_a_word_of_the_future(app: App, toolhive: Thv) -> None:
    """As a later version might."""
    file = toolhive.statuses / "notes.json"
    now = toolhive.status("notes")
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(now | {"status": "hibernating"}), encoding="utf-8")
    draft.replace(file)
    found = app.until(lambda s: s["status"] == "hibernating", "a word of the future")
    assert "unknown" == found["health"]
    assert "hibernating" in app.run("list", codes=(0, 1, 4, 5))
    draft.write_text(json.dumps(now), encoding="utf-8")
    draft.replace(file)
    app.until(lambda s: s["status"] == "running", "running")


def test_all_of_toolhive_ends(app: App, desk: Desk, server: OAuthServer, echo: EchoWorkload, tmp_path: Path) -> None:
    """Amber, red and green ones go quietly when it is stopped."""

    app.configure(CONFIG.format(heal="false"))
    with app, Thv(desk.env, tmp_path) as toolhive:
        for name in ("notes", "red", "green"):
            toolhive.run(name, server, echo.url)
            toolhive.sign_in(name)
            toolhive.until(name, "running")
        server.mode = Mode.UNAVAILABLE
        toolhive.until("notes", "auth_retrying")
        app.until_up()
        app.until(lambda s: s["status"] == "auth_retrying", "amber")
        toolhive.do("stop", "--all")
        for name in ("notes", "red", "green"):
            toolhive.do("stop", name)
        app.until(lambda s: s["status"] == "stopped", "gone")
        assert "toolhive/" not in app.run("list", codes=(0, 1, 4, 5))
