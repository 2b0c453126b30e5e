"""The commands through the real `main`, against a fake app: what they request, print and return."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access import is_private, make_private, open_to_others
from tests.cli.fake_app import FakeApp, row, running
from tests.own_places import own_places
from trayapp import __version__
from trayapp.cli import add_command, commands, main
from trayapp.cli.entry import parsed, split_command
from trayapp.cli.grammar import parser
from trayapp.config.loader import Paths, load

CONFIG = """# mine
[workloads.github]
url = "https://github.example.com/mcp"
issuer = "https://login.example.com"
client_id = "c"
"""
ENTRY = ["add", "new", "https://new.example.com/mcp", "--issuer", "https://login.example.com", "--client-id", "c"]
NOT_RUNNING = "Amberlight isn't running. Start it: amberlight run\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next look."""
    monkeypatch.setattr(add_command, "POLL", 0.01)


def given_config(paths: Paths, text: str = CONFIG) -> None:
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(text)


ALL = "GET /workloads?all=true"
Capture = pytest.CaptureFixture[str]


# --- looking ---------------------------------------------------------------------------------------------------------


def test_list(app: FakeApp, capsys: Capture) -> None:
    """`list` prints a table of those that work or want to, and counts the others; one request tells of all of ours."""

    rows = [row(), row("jira", "unauthenticated", "refused")]
    odd = [row("old", "stopped"), row("new", "a_word_of_tomorrow")]
    app.replies[ALL] = [(200, {"workloads": rows}), (200, {"workloads": [*rows, *odd[:1]]})]

    assert 0 == main(["list"])
    out = capsys.readouterr().out.splitlines()
    assert 3 == len(out)
    assert ["NAME", "STATE", "HOST", "FOR"] == out[0].split()
    assert ["github", "Connected", "github.example.com"] == out[1].split()[:3]
    assert "Sign-in needed  jira.example.com" in out[2]

    assert 0 == main(["list"])
    assert ["Not shown: 1 paused. See: amberlight list --all"] == capsys.readouterr().out.splitlines()[3:]
    assert [(ALL, None), ("GET /external?all=true", None), ("GET /status", None)] * 2 == app.requests

    app.replies[ALL] = 200, {"workloads": [*rows, *odd]}
    assert 0 == main(["list", "--all"])
    assert 5 == len(capsys.readouterr().out.splitlines())


def test_list_json(app: FakeApp, capsys: Capture) -> None:
    """`list --format json` prints the rows as the app sent them, `auth` and `health` included."""

    rows = [row(attempts=2), row("old", "stopped")]
    app.replies[ALL] = 200, {"workloads": rows}

    assert 0 == main(["list", "--all", "--format", "json"])
    out = capsys.readouterr().out
    assert rows == json.loads(out)
    assert out.startswith('[\n  {\n    "name": "github"')

    assert 0 == main(["list", "--format", "json"])
    assert rows[:1] == json.loads(capsys.readouterr().out)


def test_empty_list(app: FakeApp, capsys: Capture) -> None:
    """With nothing to list, the sentence leads on: to `add`, or to `--all` when only paused ones are there."""

    app.replies[ALL] = [(200, {"workloads": []}), (200, {"workloads": [row("old", "stopped")]})]

    assert [0, 0] == [main(["list"]), main(["list"])]
    *first, second = capsys.readouterr().out.splitlines()
    assert "amberlight add NAME URL" in first[0]
    assert "amberlight list --all" in second


@pytest.mark.parametrize(
    ("status", "label", "code"),
    [
        ("running", "Connected", 0),
        ("starting", "Starting", 5),
        ("stopped", "Paused", 0),
        ("auth_retrying", "Reconnecting", 5),
        ("unauthenticated", "Sign-in needed", 4),
        ("error", "Configuration error", 1),
        ("unhealthy", "Access refused", 1),
    ],
)
def test_status_codes(app: FakeApp, capsys: Capture, status: str, label: str, code: int) -> None:
    """The exit code of `status` says how the workload is, in both formats."""

    app.replies["GET /workloads/github/status"] = 200, row("github", status)

    assert code == main(["status", "github"])
    assert ["State:", *label.split()] == capsys.readouterr().out.splitlines()[1].split()
    assert code == main(["status", "github", "--format", "json"])
    assert status == json.loads(capsys.readouterr().out)["status"]


@pytest.mark.parametrize(
    ("status", "usable", "code"),
    [("running", True, 0), ("running", False, 5), ("unauthenticated", True, 4), ("stopped", False, 0)],
)
def test_without_a_usable_token_status_is_not_ok(app: FakeApp, status: str, usable: bool, code: int) -> None:
    """Within the short retry the word is still `running`, but a script learns that there is no token now (M3)."""

    app.replies["GET /workloads/github/status"] = 200, row("github", status, usable=usable)
    assert code == main(["status", "github"])


@pytest.mark.linux("pseudo-terminals")
def test_a_terminal_gets_colours(app: FakeApp, paths: Paths) -> None:
    """On a real terminal the table has glyphs and amber; under NO_COLOR it keeps the glyphs only."""

    app.replies[ALL] = 200, {"workloads": [row("github", "auth_retrying", "retrying")]}
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    utf8 = plain | {"PYTHONIOENCODING": "utf-8", "TERM": "xterm", "COLUMNS": "200"}

    assert "\x1b[38;5;214m↻ Reconnecting" in _on_a_terminal(["list"], utf8)
    quiet = _on_a_terminal(["list"], utf8 | {"NO_COLOR": "1"})
    assert "↻ Reconnecting" in quiet
    assert "\x1b" not in quiet


def _on_a_terminal(arguments: list[str], environ: dict[str, str]) -> str:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "trayapp", *arguments], stdout=theirs, env=environ)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert 0 == process.wait()
    return text.decode()


# --- token -----------------------------------------------------------------------------------------------------------

TOKEN = {"access_token": "at-1234", "token_type": "Bearer", "expires_at": "2999-01-01T00:00:00Z"}


def test_token(app: FakeApp, capsys: Capture) -> None:
    """`token` prints the token alone, or as a header line, and asks for the life that was asked for."""

    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 200, TOKEN
    app.replies["GET /workloads/github/token?min_validity=300&wait=30"] = 200, TOKEN | {"expires_at": None}

    assert 0 == main(["token", "github"])
    assert "at-1234\n" == capsys.readouterr().out
    assert 0 == main(["token", "github", "--header", "--min-validity", "5m"])
    assert "Authorization: Bearer at-1234\n" == capsys.readouterr().out


@pytest.mark.parametrize("ends", ["2020-01-01T00:00:00Z", "soon", 17])
def test_an_expired_token_is_never_printed(app: FakeApp, capsys: Capture, ends: object) -> None:
    """A token that is over, or whose end cannot be read, is not printed, whatever the app says."""

    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 200, TOKEN | {"expires_at": ends}

    assert 5 == main(["token", "github"])
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "at-1234" not in captured.err


@pytest.mark.parametrize(
    ("error", "code"), [("reauth_required", 4), ("retrying", 5), ("starting", 5), ("stopped", 1), ("config_error", 1)]
)
def test_no_token(app: FakeApp, capsys: Capture, error: str, code: int) -> None:
    """Without a token the app's advice is printed, and the exit code tells retrying from signed out."""

    body = {"error": error, "status": "x", "detail": "y", "since": None, "next_attempt_at": None, "help": "Do this."}
    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 503, body

    assert code == main(["token", "github"])
    captured = capsys.readouterr()
    assert ("", True) == (captured.out, "Do this." in captured.err)


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 1}, {"access_token": "a\nb"}])
def test_no_token_in_the_answer(app: FakeApp, capsys: Capture, body: dict[str, Any]) -> None:
    """An answer without a proper token is a failure, not an empty line."""

    app.replies["GET /workloads/github/token?min_validity=60&wait=30"] = 200, body

    assert 1 == main(["token", "github"])
    assert "" == capsys.readouterr().out


# --- acting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "request_line", "words"),
    [
        (["retry"], "POST /workloads/retry", "Trying all workloads now"),
        (["retry", "--all"], "POST /workloads/retry", "Trying all workloads now"),
    ],
)
def test_verbs(app: FakeApp, capsys: Capture, arguments: list[str], request_line: str, words: str) -> None:
    """It is one request, once the app has said that all is well with it; what was begun is said, and how to see more."""

    app.replies[request_line] = 202, None

    assert 0 == main(arguments)
    assert [("GET /status", None), (request_line, None)] == app.requests
    assert words in capsys.readouterr().out


# --- add and remove --------------------------------------------------------------------------------------------------


def test_add_without_an_app(paths: Paths, capsys: Capture) -> None:
    """`add` writes the entry although no app runs, and says what comes next."""

    given_config(paths)

    assert 0 == main([*ENTRY, "--scope", "a", "--scope", "b", "--redirect-port", "8400"])
    out = capsys.readouterr().out
    assert "amberlight run" in out
    assert "amberlight reauthorize new" in out
    spec = load(paths, {}).workloads["new"]
    assert (("a", "b"), 8400, "c") == (spec.scopes, spec.redirect_port, spec.client_id)
    assert paths.config_file.read_text().startswith(CONFIG)


def test_add_for_a_server_that_needs_help(paths: Paths, capsys: Capture) -> None:
    """Where its metadata is, said by hand, completes one endpoint; an empty resource is written as such."""

    given_config(paths)
    address, endpoint = "https://login.example.com/odd.json", "https://login.example.com/t"

    options = ["--metadata-url", address, "--token-endpoint", endpoint, "--resource", ""]
    assert 0 == main(["add", "odd", "https://odd.example.com/mcp", *options])
    config = load(paths, {})
    spec = config.workloads["odd"]
    assert (address, endpoint, "", True) == (spec.metadata_url, spec.token_endpoint, spec.resource, spec.omit_resource)
    assert any("workload odd: the issuer of metadata_url isn't checked" in warning for warning in config.warnings)


def test_add_with_an_app(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """The app writes the entry and loads it; `--no-sign-in` stops there, and doesn't look at the server."""

    given_config(paths)
    app.replies["POST /workloads"] = 201, row("new")

    assert 0 == main([*ENTRY, "--no-sign-in"])
    assert "amberlight reauthorize new" in capsys.readouterr().out
    (body,) = app.bodies("POST /workloads")
    assert ("new", False) == (body["name"], body["check"])
    assert CONFIG == paths.config_file.read_text()


def test_add_corrects_what_was_typed(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """`Notion` is `notion`, and an address gets its https://."""

    given_config(paths)
    app.replies["POST /workloads"] = 201, row("my-notion")

    assert 0 == main(["add", " My Notion", "mcp.notion.com/mcp", "--no-sign-in"])
    (body,) = app.bodies("POST /workloads")
    assert ("my-notion", "https://mcp.notion.com/mcp") == (body["name"], body["url"])


CLIENT_NEEDED = {
    "error": "client_id_needed",
    "message": "login.example.com doesn't register apps automatically.",
    "field": "client_id",
    "fields": {"client_id": "Create a client."},
    "redirect_uri": "http://127.0.0.1:51234/callback",
    "redirect_port": 51234,
    "client_secret": "optional",
    "client_from": "at example.com/apps",
}


def test_add_says_what_client_to_create(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """The server registers none: where to create one, with which redirect address, and the command then."""

    given_config(paths)
    app.replies["POST /workloads"] = 409, CLIENT_NEEDED

    assert 1 == main(["add", "x", "https://x.example/mcp"])
    err = capsys.readouterr().err
    assert "Nothing was added." in err
    assert "Create a client at example.com/apps, with the redirect URL http://127.0.0.1:51234/callback" in err
    assert "amberlight add x https://x.example/mcp --client-id ID [--client-secret] --redirect-port 51234" in err


def test_add_asks_for_the_client_in_a_terminal(
    paths: Paths, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on with it; the secret is read without echo and sent to the app alone."""

    given_config(paths)
    app.replies["POST /workloads"] = [(409, CLIENT_NEEDED), (201, row("x"))]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("trayapp.cli.questions.Questions.text", lambda self, question: "my-client")
    monkeypatch.setattr("getpass.getpass", lambda question: "canary-secret")

    assert 0 == main(["add", "x", "https://x.example/mcp", "--no-sign-in"])
    body = app.bodies("POST /workloads")[-1]
    assert ("my-client", 51234, "canary-secret") == (body["client_id"], body["redirect_port"], body["client_secret"])
    told = capsys.readouterr()
    assert "canary-secret" not in told.out + told.err


def test_nothing_is_added_while_the_app_misses_its_file(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """The file would be made anew with this workload alone, and the app would drop all others."""

    app.replies["POST /reload"] = 200, {"ok": False, "errors": ["config.toml is missing: put it back"], "warnings": []}
    assert 1 == main([*ENTRY, "--no-sign-in"])
    assert "config.toml is missing" in capsys.readouterr().err
    assert not paths.config_file.exists()


def test_add_when_the_app_refuses(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """What the app has against it is printed, and no sign-in is begun."""

    given_config(paths)
    app.replies["POST /workloads"] = 409, {"error": "configuration", "message": "config.toml:3: bad."}

    assert 1 == main(ENTRY)
    assert "config.toml:3: bad" in capsys.readouterr().err
    assert 1 == len(app.requests)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "x", "http://x.example", *ENTRY[3:]], "URL: must start with https://"),
        (["add", "x", "https://x.example", "--client-id", "c", "--token-endpoint", "https://x"], "--issuer, or both"),
        (["add", "x", "https://x.example", "--client-secret"], "--client-id"),
        (
            ["add", "x", "https://x.example", "--token-endpoint", "https://x", "--authorization-endpoint", "https://x"],
            "--client-id",
        ),
        ([*ENTRY, "--scope", "a b"], "--scope: must be a list of strings without spaces"),
        ([*ENTRY, "--resource", "x"], "--resource: must be an absolute URL"),
        ([*ENTRY, "--redirect-port", "99999"], "must be a port number"),
        (["add", "Bad/Name", *ENTRY[2:]], "a name has 1 to 63 lowercase letters"),
    ],
)
def test_add_wrongly(paths: Paths, capsys: Capture, arguments: list[str], words: str) -> None:
    """A wrong option is named, nothing is written, and the exit code is that of wrong usage."""

    assert 2 == main(arguments)
    assert words in capsys.readouterr().err
    assert not paths.config_file.exists()


def test_add_twice(paths: Paths, capsys: Capture) -> None:
    """A name that is taken is refused."""

    given_config(paths)

    assert 1 == main(["add", "github", *ENTRY[2:]])
    assert "a workload named github already exists" in capsys.readouterr().err


def test_remove(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """`remove` lets the app revoke, delete and take the entry out, and waits until it is gone."""

    given_config(paths)
    gone = 404, {"error": "unknown_workload", "message": "none"}
    app.replies["GET /workloads/github/status"] = [(200, row()), (200, row("github", "removing")), gone]
    app.replies["DELETE /workloads/github"] = 202, {"notes": ["The sign-in to\x1b github was cancelled."]}

    assert 0 == main(["remove", "github", "--yes"])
    assert "Removed github.\nThe sign-in to  github was cancelled.\n" == capsys.readouterr().out
    assert ["GET", "DELETE", "GET", "GET", "GET"] == [what.split()[0] for what, _ in app.requests]


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ({"server": "as.test", "revoked": False, "until": "2026-01-02T03:04:05.000Z"}, "retries for an hour"),
        ({"server": "as.test", "revoked": False, "until": None}, "at as.test, which doesn't support revocation"),
        ({"server": None, "deleted": False, "revoked": False, "until": None}, "once the keyring is unlocked"),
        ({"server": None, "deleted": False, "until": None}, "once the keyring is unlocked"),
    ],
)
def test_remove_says_what_is_left(
    paths: Paths, app: FakeApp, capsys: Capture, rest: dict[str, object], says: str
) -> None:
    """A server that wasn't reached, or a locked keyring: that the login may still be valid, and what happens next."""

    given_config(paths)
    gone = 404, {"error": "unknown_workload", "message": "none"}
    app.replies["GET /workloads/github/status"] = [(200, row()), gone]
    app.replies["DELETE /workloads/github"] = 202, None
    entry = {"name": "github", "deleted": True, "revoked": True, **rest}
    app.replies["GET /status"] = 200, {"removals": [{**entry, "name": "other"}, entry]}

    assert 0 == main(["remove", "github", "--yes"])
    told = capsys.readouterr()
    assert "Removed github." in told.out
    assert says in told.err
    assert ("may still be valid" in told.err) is (rest.get("revoked") is False)


def test_remove_is_asked_about(paths: Paths, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it asks, and only yes is yes; without a terminal it wants --yes."""

    given_config(paths)
    app.replies["GET /workloads/github/status"] = 200, row()

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True, readline=lambda: "\n"))
    assert 0 == main(["remove", "github"])
    assert "Nothing was changed." in capsys.readouterr().out

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: False))
    assert 2 == main(["remove", "github"])
    assert "Removing github deletes its login. To confirm, add --yes." in capsys.readouterr().err
    assert CONFIG == paths.config_file.read_text()
    assert [] == app.bodies("DELETE /workloads/github")


def test_remove_of_what_cannot_be_removed(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """A workload of the site-wide file, for example: the app's reason is printed."""

    app.replies["GET /workloads/github/status"] = 200, row()
    app.replies["DELETE /workloads/github"] = (
        409,
        {
            "error": "configuration",
            "message": "github is in /etc/amberlight/config.toml, which only an administrator can change.",
        },
    )

    assert 1 == main(["remove", "github", "--yes"])
    assert "only an administrator" in capsys.readouterr().err


# --- failures --------------------------------------------------------------------------------------------------------

NEED_APP = [
    ["list"],
    ["status", "x"],
    ["retry"],
    ["reauthorize", "x"],
    ["token", "x"],
    ["stop", "x"],
    ["start", "x"],
    ["remove", "x", "--yes"],
]


@pytest.mark.parametrize("arguments", NEED_APP, ids=lambda a: a[0])
def test_no_app(paths: Paths, capsys: Capture, arguments: list[str]) -> None:
    """Every command that needs the app says how to start it, with exit code 3."""

    assert 3 == main(arguments)
    captured = capsys.readouterr()
    assert ("", NOT_RUNNING) == (captured.out, captured.err)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"url": "http://evil.example", "pid": 1, "api_key": "k", "started_at": "", "version": ""}', "damaged"),
        ('{"url": "http://127.0.0.1:0", "pid": %d, "api_key": "k", "started_at": "", "version": ""}', "the port 0"),
        ('{"url": "http://127.0.0.1:99999", "pid": %d, "api_key": "k", "started_at": "", "version": ""}', "99999"),
        (
            '{"url": "http://127.0.0.1:1", "pid": %d, "api_key": "k", "started_at": "", "version": ""}',
            "Nothing listens",
        ),
        ('{"url": "http://127.0.0.1:1", "pid": 99999999, "api_key": "k", "started_at": "", "version": ""}', "is gone"),
        ('{"url": "http://127.0.0.1:1", "pid": 0, "api_key": "k", "started_at": "", "version": ""}', "is gone"),
    ],
)
def test_a_bad_server_file(paths: Paths, capsys: Capture, content: str, words: str) -> None:
    """A damaged, wrong or left-over server.json means that no app runs; the reason is told too."""

    paths.make()
    paths.server_file.write_text(content % os.getpid() if "%d" in content else content)
    make_private(paths.server_file)

    assert 3 == main(["list"])
    err = capsys.readouterr().err
    assert err.startswith(NOT_RUNNING)
    assert words in err


def test_a_server_file_that_others_can_read(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """Its key may be known to others, so the file is not trusted and nobody is asked."""

    open_to_others(paths.server_file)

    assert 3 == main(["list"])
    assert "can be read by others" in capsys.readouterr().err
    assert [] == app.requests


def test_a_wrong_key(paths: Paths, capsys: Capture) -> None:
    """An app that refuses the key is not ours, or was started anew; the sentence says how to mend it."""

    with running(paths.runtime_dir, key="another"):
        assert 1 == main(["list"])
    err = capsys.readouterr().err
    assert "rejected the key in server.json" in err
    assert "another" not in err


@pytest.mark.parametrize(
    "reply", [(200, b"<html>"), (200, b"[]"), (200, {"workloads": 3}), (500, {}), (302, b""), (200, b"[" * 100_000)]
)
def test_another_program_answers(app: FakeApp, capsys: Capture, reply: Any) -> None:
    """Whatever is not our app's answer is a sentence, never a traceback."""

    app.replies[ALL] = reply

    assert 1 == main(["list"])
    assert "isn't Amberlight, or is another version" in capsys.readouterr().err


def test_an_unknown_workload(app: FakeApp, capsys: Capture) -> None:
    """A misspelt name is answered with the nearest one there is."""

    app.replies[ALL] = 200, {"workloads": [row("github")]}

    assert 1 == main(["status", "gihub"])
    assert 1 == main(["retry", "xyz"])
    first, second = capsys.readouterr().err.splitlines()
    assert "amberlight: there's no workload gihub. Did you mean github?" == first
    assert "amberlight: there's no workload xyz. See: amberlight list --all" == second


def test_the_apps_own_sentence(app: FakeApp, capsys: Capture) -> None:
    """When the app refuses with a sentence, that sentence is printed, without control characters."""

    app.replies["GET /workloads/github/status"] = 200, row()
    app.replies["POST /workloads/github/stop"] = 429, {"error": "too_many", "message": "Not so \x1b[31mfast."}

    assert 1 == main(["stop", "github"])
    assert "amberlight: Not so  [31mfast.\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["edit", "github", "--scope", "a"], ["set", "port", "1"], ENTRY], ids=lambda a: a[0]
)
def test_a_damaged_configuration(paths: Paths, capsys: Capture, arguments: list[str]) -> None:
    """Without an app, a file that cannot be read is named with its line and stays as it is."""

    given_config(paths, CONFIG + "[oops\n")

    assert 1 == main(arguments)
    assert "config.toml:6: isn't valid TOML" in capsys.readouterr().err
    assert CONFIG + "[oops\n" == paths.config_file.read_text()


def test_something_unexpected(paths: Paths, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is one line that says where its details are; they are in a private file."""

    def broken(*_: object) -> int:
        raise ZeroDivisionError("canary")

    monkeypatch.setitem(commands.COMMANDS, "list", broken)

    assert 1 == main(["list"])
    err = capsys.readouterr().err
    assert err == f"amberlight: an unexpected error occurred (ZeroDivisionError). Details: {paths.command_log_file}\n"
    assert "ZeroDivisionError: canary" in paths.command_log_file.read_text()
    assert is_private(paths.command_log_file)


def test_interrupted(paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command quietly."""

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "list", interrupted)

    assert 130 == main(["list"])
    assert ("", "") == capsys.readouterr()


def test_a_broken_pipe_is_one_line(paths: Paths) -> None:
    """When the reader of a pipe is gone."""

    paths.log_file.parent.mkdir(parents=True)
    paths.log_file.write_text("x" * 100 + "\n" + "y\n" * 200_000)
    command = [sys.executable, "-m", "trayapp", "logs", "-n", "300000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().replace(b"\r\n", b"\n")
        assert b"amberlight: the output can't be written: it was closed.\n" == said
    assert 1 == process.returncode


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", list(parser().commands))
def test_help(capsys: Capture, command: str) -> None:
    """Every command's help has an example that is itself a right command line."""

    import shlex

    assert 0 == main(["help", command])
    text = capsys.readouterr().out
    examples = text.split("examples:\n")[1].replace("\\\n", " ").splitlines()
    for example in examples:
        bare = example.replace('"$(', "").replace(')"', " |")
        words = list(itertools.takewhile(lambda word: word not in ("|", ">", "&&"), shlex.split(bare)))
        words, after = split_command(words[words.index("amberlight") + 1 :])
        assert command == words[0]
        if command != "help":
            parsed(parser(), words, after)


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """No line is longer and no word is broken; only a word that is longer alone may stick out."""

    texts = {}
    for width in (columns, 1000):
        monkeypatch.setenv("COLUMNS", str(width))
        texts[width] = [each.format_help() for each in parser().every_parser()]

    for narrow, wide in zip(texts[columns], texts[1000], strict=True):
        for line in narrow.splitlines():
            assert len(line) <= columns or (columns < 80 and 1 == len(line.split())), line
        words = [word for word in narrow.split() if word != "\\"]
        assert sorted(words) == sorted(word for word in wide.split() if word != "\\")


def test_main_help(capsys: Capture) -> None:
    """The main help names all commands and explains the exit codes."""

    assert 0 == main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in parser().commands)
    assert "  3  Amberlight isn't running\n" in text


@pytest.mark.parametrize(
    "arguments",
    [["lst"], ["history"], ["status", "x", "y"], ["list", "--al"], ["retry", "x", "--all"], ["token", "x", "--min-validity", "-1"],
     ["token", "x", "--min-validity", "1d"], ["logs", "-n", "many"], ["status", "../x"], ["list", "--format", "xml"]],
)  # fmt: skip
def test_wrong_usage(capsys: Capture, arguments: list[str]) -> None:
    """Wrong usage is one sentence and the way to the help, with exit code 2."""

    assert 2 == main(arguments)
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith("amberlight: ")
    assert captured.err.rstrip().endswith("--help`.")


@pytest.mark.parametrize("command", [["history", "x"], ["logs"], ["logs", "-f"], ["logs", "x", "--since", "1h"]])
@pytest.mark.parametrize("count", ["0", "00", "-5", "1000001", "9" * 5000, "1.5", "\u0663", "many", ""])
def test_a_count_out_of_range(capsys: Capture, command: list[str], count: str) -> None:
    """Wherever a command takes a count, the error names the option and the range."""

    assert 2 == main([*command, "-n", count])
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "argument -n: must be a whole number from 1 to 1000000\n" in captured.err


def test_run_and_demo_pass_their_options_on(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run`, which is also what no command means, and `demo` hand their options on."""

    calls: list[Any] = []
    own = own_places(tmp_path).items()

    def run(
        where: Paths, environ: dict[str, str], *, tray: bool, show_running: Callable[[], bool], page: bool | None
    ) -> int:
        calls.append((where == paths, own <= environ.items(), tray, page))
        return 7

    def demo(**options: bool) -> int:
        calls.append(options)
        return 8

    import trayapp.app
    import trayapp.demo

    for package, name, function in ((trayapp.app, "launch", run), (trayapp.demo, "demo", demo)):
        module = types.ModuleType(f"{package.__name__}.{name}")
        module.run = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(package, name, module, raising=False)

    assert [7, 7, 7] == [main([]), main(["run", "--no-tray"]), main(["run", "--no-page"])]
    assert 8 == main(["demo", "--fast", "--exit", "--format", "json"])
    assert [
        (True, True, True, None),
        (True, True, False, None),
        (True, True, True, False),
        {"tray": True, "fast": True, "exit_when_done": True, "as_json": True},
    ] == calls


def test_version(capsys: Capture) -> None:
    """`version` and `--version` print the same line."""

    assert [0, 0] == [main(["version"]), main(["--version"])]
    assert [f"amberlight {__version__}"] * 2 == capsys.readouterr().out.splitlines()


HEAVY = (
    "aiohttp",
    "authlib",
    "httpx2",
    "keyring",
    "pystray",
    "PIL",
    "dbus_fast",
    "cryptography",
    "tomlkit",
    "asyncio",
    "ssl",
)


@pytest.mark.parametrize(
    ("arguments", "light_of"),
    [
        ("version", (*HEAVY, "http.client", "json", "dataclasses", "platformdirs")),
        ("--help", (*HEAVY, "http.client", "dataclasses")),
        ("list", [name for name in HEAVY if name != "ssl"]),  # http.client itself loads ssl
        ("status x", [name for name in HEAVY if name != "ssl"]),
        ("logs", [name for name in HEAVY if name != "ssl"]),
        ("status", [name for name in HEAVY if name != "ssl"]),
        ("history x", [name for name in HEAVY if name != "ssl"]),
        ("wait x", [name for name in HEAVY if name != "ssl"]),
        ("list --watch", [name for name in HEAVY if name != "ssl"]),
        ("stop --all", [name for name in HEAVY if name != "ssl"]),
        ("quit", [name for name in HEAVY if name != "ssl"]),
        ("help exec", (*HEAVY, "http.client", "dataclasses", "argcomplete")),
    ],
)
def test_light_commands_load_little(paths: Paths, arguments: str, light_of: list[str]) -> None:
    """A command that only looks loads none of the app's heavy libraries: that is why it starts at once."""

    code = (
        "import sys\nfrom trayapp.cli import main\n"
        f"code = main({arguments.split()!r})\nprint(*sorted(sys.modules), sep='\\n', file=sys.stderr)\nsys.exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [] == sorted(set(light_of) & set(done.stderr.split()))


def test_python_dash_m() -> None:
    """`python -m trayapp` is the same program."""

    done = subprocess.run([sys.executable, "-m", "trayapp", "version"], capture_output=True, text=True, check=False)

    assert (0, f"amberlight {__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


# --- logs ------------------------------------------------------------------------------------------------------------


def test_logs(paths: Paths, capsys: Capture) -> None:
    """`logs` prints the last lines without an app, made safe for a terminal."""

    assert 1 == main(["logs"])
    assert f"there's no log yet ({paths.log_file})" in capsys.readouterr().err

    paths.log_file.parent.mkdir(parents=True)
    paths.log_file.write_text("one\ntwo\nthr\x1bee\n")
    assert 0 == main(["logs", "-n", "2"])
    assert "two\nthr ee\n" == capsys.readouterr().out


def test_follow(tmp_path: Path) -> None:
    """Following goes on through half lines, a rotation and a cut, and loses no line."""

    from trayapp.app.log_tail import follow

    log = tmp_path / "x.log"
    log.write_text("old\n")

    def append(text: str) -> None:
        with log.open("a", newline="") as file:
            file.write(text)

    def rotate() -> None:
        append("last\n")
        log.rename(tmp_path / "x.log.1")

    happenings: Iterator[Callable[[], object]] = iter(
        [
            lambda: append("ha"),
            lambda: append("lf\nnext\n"),
            lambda: append("end of Windows\r\n"),
            rotate,
            lambda: log.write_text("new\n"),
            lambda: log.write_text("c\n"),
        ]
    )
    found = []
    lines = follow(log, lambda _: next(happenings)())
    for line in lines:
        found.append(line)
        if line == "c":
            break
    lines.close()

    assert ["half", "next", "end of Windows", "last", "new", "c"] == found
