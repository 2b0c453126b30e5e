"""What `amberlight setup` decides: what is offered, which sign-ins come, which clients lack what, and when it stops."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from tests.cli.test_questions import Typed
from trayapp.autostart import Kind, State
from trayapp.cli import main, setup, sign_in_wait
from trayapp.cli.client import ApiClient, ApiError
from trayapp.cli.questions import Questions
from trayapp.cli.setup_offers import typed
from trayapp.clients.places import Machine
from trayapp.clients.survey import look
from trayapp.clients.table import BY_NAME
from trayapp.config import quit_marker
from trayapp.config.loader import Paths, load
from trayapp.core.model import Spec
from trayapp.importers.entries import ImportableEntry
from trayapp.importers.offers import Offer, offers
from trayapp.server.instance import instance_lock
from trayapp.system.private_files import private_directory

Capture = pytest.CaptureFixture[str]
URL = "https://mcp.notes.example.com/mcp"
LIST, RELOAD = "GET /workloads?all=true", "POST /reload"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With Claude Code and Codex, which have no servers. Start at login is on, and all is well."""
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    (home / ".codex").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("trayapp.cli.doctor.run_checks", lambda paths, environ: [])
    monkeypatch.setattr(setup, "native", lambda: StartsAtLogin())
    monkeypatch.setattr(setup, "SETTLE_LIMIT", 0.2)
    return home


class StartsAtLogin:
    def status(self) -> State:
        return State(Kind.ON, "On.")


def machine(home: Path, **environ: str) -> Machine:
    return Machine("linux", environ, home, which=lambda name: None)


def give(home: Path, client: str, entries: Mapping[str, Any]) -> None:
    """This client has these servers."""
    file = machine(home).file(BY_NAME[client])
    file.parent.mkdir(parents=True, exist_ok=True)
    key = BY_NAME[client].servers[0]
    file.write_text(json.dumps({key: entries}))


def configure(paths: Paths, *names: str) -> None:
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    tables = [f'[workloads.{name}]\nurl = "{URL.replace("notes", name)}"\n' for name in names]
    paths.config_file.write_text("\n".join(tables))


def runs(app: FakeApp, *rows: Mapping[str, Any], lasting: bool = True) -> None:
    """The app has these workloads."""
    app.replies |= {RELOAD: (200, {"ok": True}), LIST: (200, {"workloads": list(rows)})}
    for each in rows:
        name = each["name"]
        answer = {
            "name": name,
            "url": f"http://127.0.0.1:8765/w/{name}",
            "headers": {"Authorization": f"Bearer key-of-{name}"},
            "lasting": lasting,
            "transport": "http",
        }
        app.replies[f"GET /workloads/{name}/client"] = 200, answer


def run(paths: Paths, home: Path, *keys: str) -> int:
    """One run; these lines are typed, and no more questions come."""
    questions = Questions(agree=False, lines=(lines := Typed(*keys)))
    code = setup._Setup(paths, machine(home), questions).run()
    assert [] == lines._answers, "fewer questions were asked"
    return code


# --- what is offered -------------------------------------------------------------------------------------------------


def offered(
    home: Path, configured: Mapping[str, Spec], *clients: str, state: Path | str = ""
) -> list[tuple[str, tuple[str, ...]]]:
    here = machine(home, XDG_STATE_HOME=str(state))
    found = [look(here, BY_NAME[client]) for client in clients]
    return [(each.entry.name, each.places) for each in offers(here, found, configured)]


def test_a_server_of_two_clients_is_offered_once(home: Path) -> None:
    """Under its first name, with both places; a slash at the end and capitals in the host make no difference."""

    give(home, "claude-code", {"notes": {"type": "http", "url": URL}})
    give(home, "cursor", {"my notes": {"url": "https://MCP.notes.example.com/mcp/"}})
    assert [("notes", ("Claude Code", "Cursor"))] == offered(home, {}, "claude-code", "cursor")


def test_two_servers_of_one_name_get_different_ones(home: Path) -> None:
    give(home, "claude-code", {"notes": {"type": "http", "url": URL}})
    give(home, "cursor", {"notes": {"url": "https://other.example.com/mcp"}})
    names = [name for name, _ in offered(home, {}, "claude-code", "cursor")]
    assert ["notes", "notes-2"] == names


def test_what_is_here_or_needs_no_login_is_not_offered(home: Path) -> None:
    """Configured already, through Amberlight already, with a fixed key, or a program on this machine."""

    give(
        home,
        "claude-code",
        {
            "notes": {"type": "http", "url": URL},
            "ours": {"type": "http", "url": "http://127.0.0.1:8765/w/ours"},
            "keyed": {"type": "http", "url": "https://k.example.com/mcp", "headers": {"Authorization": "Bearer x"}},
            "local": {"command": "npx", "args": ["server"]},
            "odd": None,
        },
    )
    assert [] == offered(home, {"mine": Spec("mine", URL)}, "claude-code")


def test_servers_of_a_claude_code_project(home: Path) -> None:
    file = machine(home).file(BY_NAME["claude-code"])
    file.write_text(json.dumps({"projects": {"/p": {"mcpServers": {"notes": {"type": "http", "url": URL}}}}}))
    assert [("notes", ("Claude Code",))] == offered(home, {}, "claude-code")


def test_servers_of_toolhive(home: Path, tmp_path: Path) -> None:
    """A damaged file there hides no other."""

    folder = tmp_path / "state/toolhive/runconfigs"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{")
    (folder / "b.json").mkdir()
    (folder / "c.json").write_text(json.dumps({"name": "notes", "remote_url": URL}))
    assert [("notes", ("ToolHive",))] == offered(home, {}, state=tmp_path / "state")


# --- what is typed ---------------------------------------------------------------------------------------------------


def test_a_name_of_the_catalog() -> None:
    entry = typed("Notion")
    assert isinstance(entry, ImportableEntry)
    assert ("notion", "https://mcp.notion.com/mcp") == (entry.original_name, entry.url)


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("https://mcp.example.com/MCP", "example", "https://mcp.example.com/MCP"),
        ("www.example.com/mcp", "example", "https://www.example.com/mcp"),
        ("http://127.0.0.1:8000/mcp", "server", "http://127.0.0.1:8000/mcp"),
        ("http://[::1]:8000/mcp", "server", "http://[::1]:8000/mcp"),
    ],
)
def test_an_address(text: str, name: str, url: str) -> None:
    entry = typed(text)
    assert isinstance(entry, ImportableEntry)
    assert (name, url) == (entry.original_name, entry.url)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("notoin", "Did you mean notion?"),
        ("zzzzzz", "Enter its address"),
        ("github", "needs a client ID of your own. See: amberlight add github"),
        ("http://plain.example.com/mcp", "can't be added"),
        ("https://[", "a valid address"),
        ("https://example.com/mcp?api_key=x", "can't be added"),
    ],
)
def test_what_cannot_be_added_is_explained(text: str, part: str) -> None:
    sentence = typed(text)
    assert isinstance(sentence, str)
    assert part in sentence


# --- a run -----------------------------------------------------------------------------------------------------------


def test_nothing_is_missing(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    """Then nothing is asked."""

    configure(paths, "notes")
    runs(app, row("notes"))
    entry = {"url": "http://127.0.0.1:8765/w/notes", "headers": {"Authorization": "Bearer key-of-notes"}}
    give(home, "claude-code", {"notes": entry})
    (home / ".codex").rmdir()
    assert 0 == run(paths, home)
    out = capsys.readouterr().out
    assert "Already added: notes." in out
    assert "1 of 1 workload signed in." in out


def test_no_server_anywhere(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    """Enter ends it, and the app is not even asked."""

    assert 0 == run(paths, home, "")
    assert "Nothing was added." in capsys.readouterr().out
    assert [] == app.requests


def test_names_and_addresses_are_typed_until_enter(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    runs(app, row("notion"), row("example"))
    assert 0 == run(paths, home, "notoin", "notion", "NOTION", "mcp.example.com/mcp", "", "n")
    assert {"notion", "example"} == set(load(paths, {}).workloads)
    out = capsys.readouterr().out
    assert "Did you mean notion?" in out
    assert "notion has already been added." in out


def test_a_login_of_a_clients_own_stays_until_ours_is_there(app: FakeApp, paths: Paths, home: Path) -> None:
    """What works is replaced only by what works."""

    configure(paths, "notes")
    give(home, "claude-code", {"notes": {"type": "http", "url": URL}})
    file = machine(home).file(BY_NAME["claude-code"])
    before = file.read_bytes()
    runs(app, row("notes", "unauthenticated", "never_signed_in"))
    assert 0 == run(paths, home, "n", "n")  # no sign-in; not Codex, which is the only one offered
    assert before == file.read_bytes()
    runs(app, row("notes"))
    assert 0 == run(paths, home, "1")
    assert "key-of-notes" in file.read_text()


def test_sign_ins_can_be_skipped_at_once(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    configure(paths, "a", "b", "c")
    runs(app, *(row(name, "unauthenticated", "never_signed_in") for name in "abc"))
    assert 0 == run(paths, home, "n", "s", "n")
    assert "0 of 3 workloads signed in." in capsys.readouterr().out
    assert not [what for what, _ in app.requests if "reauthorize" in what]


def test_by_command_where_the_address_does_not_last(app: FakeApp, paths: Paths, home: Path) -> None:
    """No key and no port is in the files then."""

    configure(paths, "notes")
    runs(app, row("notes"), lasting=False)
    assert 0 == run(paths, home, "")
    claude = look(machine(home), BY_NAME["claude-code"]).entries["notes"]
    codex = look(machine(home), BY_NAME["codex"]).entries["notes"]
    assert ["stdio", "notes"] == list(claude["args"])[-2:] == list(codex["args"])[-2:]
    text = f"{claude} {codex}"
    assert "8765" not in text
    assert "key-of" not in text


def test_a_configuration_that_the_app_refuses(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    """Its sentence is shown, and nothing else is done."""

    configure(paths, "notes")
    app.replies[RELOAD] = 200, {"ok": False, "errors": ["config.toml:1: no"]}
    assert 1 == run(paths, home)
    assert "config.toml:1: no" in capsys.readouterr().err


def test_whoever_quit_and_runs_setup_wants_it_to_run(app: FakeApp, paths: Paths, home: Path) -> None:
    """*Quit* holds for what starts it on its own, and this is no such thing."""

    configure(paths, "notes")
    runs(app, row("notes"))
    quit_marker.mark(paths)
    assert 0 == run(paths, home, "n")
    assert not quit_marker.is_quit(paths)


def test_an_app_that_answers_nonsense(app: FakeApp, paths: Paths, home: Path) -> None:
    """Its refusal ends the run immediately: waiting would not change it."""

    configure(paths, "notes")
    app.replies[RELOAD] = 500, {"error": "broken", "message": "It is broken."}
    with pytest.raises(ApiError, match="It is broken"):
        run(paths, home)


def test_an_unreadable_file_of_a_client(app: FakeApp, paths: Paths, home: Path, capsys: Capture) -> None:
    """Said first; the other clients are served."""

    configure(paths, "notes")
    runs(app, row("notes"))
    machine(home).file(BY_NAME["claude-code"]).write_text("{ nope")
    assert 1 == run(paths, home, "")
    assert "skipped Claude Code" in capsys.readouterr().err
    assert "key-of-notes" in (home / ".codex/config.toml").read_text()


def test_without_a_terminal(paths: Paths, home: Path, capsys: Capture) -> None:
    assert 2 == main(["setup"])
    assert "Run it in a terminal, or add --yes" in capsys.readouterr().err


def test_a_second_run_at_the_same_time(paths: Paths, home: Path, capsys: Capture) -> None:
    private_directory(paths.state_dir)
    with instance_lock(paths.state_dir / "setup.lock"):
        assert 1 == main(["setup", "--yes"])
    assert "setup is already running" in capsys.readouterr().err


# --- the sign-in in between ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "after", "shown"), [(None, 10.0, 0), ("not_opened", 10.0, 1), ("uncertain", 10.0, 1), (None, 0.0, 1)]
)
def test_the_address_is_shown_only_if_it_is_needed(
    app: FakeApp,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    paths: Paths,
    fault: str | None,
    after: float,
    shown: int,
) -> None:
    """It has secrets in it, and 400 characters: after some seconds, or when no browser could be opened."""

    url = "https://login.example.com/authorize?state=x"
    app.replies["POST /workloads/notes/reauthorize"] = 202, {"authorization_url": url}
    signing_in = 200, row("notes", "unauthenticated", signing_in=True, browser_fault=fault)
    done = 200, row("notes", last_refreshed_at="b")
    app.replies["GET /workloads/notes/status"] = [(200, row("notes", "unauthenticated")), signing_in, signing_in, done]
    monkeypatch.setattr(sign_in_wait, "POLL", 0.01)
    monkeypatch.setattr(sign_in_wait, "SHOW_AFTER", after)
    client = ApiClient.of(paths)
    assert 0 == sign_in_wait.sign_in(client, "notes", browser=True, accept=False, typed=Silent())
    assert shown == capsys.readouterr().out.count(url)


class Silent(Typed):
    """Nobody types anything."""

    def next(self) -> str:
        return ""


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({}, sys.platform != "linux"),  # elsewhere every session has a screen
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, False),
    ],
)
def test_where_the_browser_is(environ: Mapping[str, str], expected: bool) -> None:
    assert expected is setup._browser_is_here(environ)


def test_long_lists_become_numbers() -> None:
    assert "a, b and c" == setup._named(["a", "b", "c"])
    assert "7 workloads" == setup._named(list("abcdefg"))


def test_an_offer_shows_its_host() -> None:
    assert "mcp.notes.example.com" == Offer(ImportableEntry("notes", {"url": URL})).host
