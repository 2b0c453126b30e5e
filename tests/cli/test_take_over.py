"""`amberlight take-over`: what it shows, what it asks, what it has the app do, and what it says of that."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main, take_over
from trayapp.cli.codes import NEEDS_SIGN_IN
from trayapp.core.model import Secret

Capture = pytest.CaptureFixture[str]

ONE = "/external/toolhive/GitHub.v2/take-over"
BACK = "/workloads/github/give-back"
SHOWN = """\
toolhive/GitHub.v2 becomes the workload github (https://github.example/mcp). ToolHive stops it, and you sign in once.
Client entries that will point to Amberlight:
  Cursor (/elsewhere/mcp.json): gh
"""
DONE = "Took over GitHub.v2 from ToolHive as github. Updated Cursor. To undo this: amberlight take-over --undo github."


def plan(**changes: Any) -> dict[str, Any]:
    return {
        "name": "github",
        "url": "https://github.example/mcp",
        "owner": "ToolHive",
        "configured_as": None,
        "clients": [{"title": "Cursor", "file": "/elsewhere/mcp.json", "entry": "gh"}],
        "notes": [],
        "needs_secret": False,
        "problem": None,
    } | changes


def done(*failed: str, name: str = "github") -> dict[str, Any]:
    return {"name": name, "message": DONE, "updated": ["Cursor"], "failed": list(failed), "authorization_url": None}


@pytest.fixture(autouse=True)
def others(app: FakeApp) -> None:
    """ToolHive has a workload, which nobody has signed in to here."""
    app.replies |= {
        f"GET {ONE}": (200, plan()),
        f"POST {ONE}": (202, done()),
        f"POST {BACK}": (
            202,
            {"name": "github", "message": "Gave github back to ToolHive.", "updated": [], "failed": []},
        ),
        "GET /workloads/github/status": (200, row("github", "unauthenticated", "never_signed_in")),
    }


class SignIn:
    """What the command asks of a sign-in; `code` is how it ends."""

    def __init__(self) -> None:
        self.code = 0
        self.asked: list[dict[str, Any]] = []

    def __call__(self, client: object, name: str, **options: Any) -> int:
        self.asked.append({"name": name, **options})
        return self.code


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> SignIn:
    found = SignIn()
    monkeypatch.setattr(take_over, "sign_in", found)
    return found


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A person at a terminal."""
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)


def test_what_would_change(app: FakeApp, capsys: Capture) -> None:
    """Nothing is changed."""

    app.replies[f"GET {ONE}"] = 200, plan(notes=["Its client secret stays with ToolHive."])
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--dry-run"])
    assert (f"{SHOWN}Its client secret stays with ToolHive.\n\nNothing was changed.\n", "") == capsys.readouterr()
    assert [f"GET {ONE}"] == [what for what, _ in app.requests]


def test_with_yes(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    """The app does everything but the sign-in, for which the command waits."""

    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--yes", "--no-browser"])
    assert (f"{SHOWN}{DONE}\n", "") == capsys.readouterr()
    assert [{"sign_in": False}] == app.bodies(f"POST {ONE}")
    assert [{"name": "github", "browser": False, "flow": "browser", "accept": False}] == sign_in.asked


def test_another_name(app: FakeApp, sign_in: SignIn) -> None:
    app.replies[f"GET {ONE}?name=hub"] = 200, plan(name="hub")
    app.replies[f"POST {ONE}"] = 202, done(name="hub")
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--name", "Hub", "--yes"])
    assert [{"sign_in": False, "name": "hub"}] == app.bodies(f"POST {ONE}")
    assert "hub" == sign_in.asked[0]["name"]


@pytest.mark.parametrize(("answer", "asked"), [("y\n", 1), ("\n", 0), ("n\n", 0), ("", 0)])
def test_it_asks(
    app: FakeApp, sign_in: SignIn, capsys: Capture, monkeypatch: pytest.MonkeyPatch, answer: str, asked: int
) -> None:
    """Enter means no."""

    typed(monkeypatch, answer)
    assert 0 == main(["take-over", "toolhive/GitHub.v2"])
    assert asked == len(app.bodies(f"POST {ONE}")) == len(sign_in.asked)
    assert ("Nothing was changed." in capsys.readouterr().out) is not bool(asked)


@pytest.mark.parametrize("closed", [False, True])
def test_without_a_terminal_it_wants_a_word(
    app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setattr("sys.stdin", None if closed else io.StringIO())
    for words in (["toolhive/GitHub.v2"], ["--undo", "github"]):
        assert 2 == main(["take-over", *words])
        assert "amberlight: to confirm, add --yes.\n" == capsys.readouterr().err
    assert not app.bodies(f"POST {ONE}")
    assert not app.bodies(f"POST {BACK}")


def test_what_cannot_be_taken_over(app: FakeApp, capsys: Capture) -> None:
    app.replies[f"GET {ONE}"] = 200, plan(name="", clients=[], problem="It has no URL.")
    assert 1 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert ("", "amberlight: It has no URL.\n") == capsys.readouterr()
    assert not app.bodies(f"POST {ONE}")


def test_a_refusal(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    app.replies[f"POST {ONE}"] = 409, {"error": "cannot_take_over", "message": "ToolHive didn't stop it."}
    assert 1 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert "amberlight: ToolHive didn't stop it.\n" == capsys.readouterr().err
    assert [] == sign_in.asked


def test_a_server_that_registers_nobody(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    """What to create there, and the two commands that follow."""

    needed = {"redirect_uri": "http://127.0.0.1:49200/callback", "redirect_port": 49200, "client_secret": "none"}
    text = "github.example doesn't register apps automatically. Create a client there and enter its client ID."
    app.replies[f"POST {ONE}"] = 409, {"error": "client_id_needed", "message": text, **needed}
    assert 1 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert (
        "amberlight: github.example doesn't register apps automatically. Nothing was added.\n"
        "Create a client there, with the redirect URL http://127.0.0.1:49200/callback\n"
        "Then: amberlight add github https://github.example/mcp --client-id ID --redirect-port 49200\n"
        "Then take it over: amberlight take-over toolhive/GitHub.v2\n"
    ) == capsys.readouterr().err
    assert [] == sign_in.asked


def test_a_client_that_was_not_updated(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    """It's named, the sign-in begins nevertheless, and the code says that something is left to do."""

    app.replies[f"POST {ONE}"] = 202, done("Zed (~/.config/zed/settings.json) wasn't updated: it isn't valid JSON.")
    assert 1 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert "amberlight: Zed (~/.config/zed/settings.json) wasn't updated" in capsys.readouterr().err
    assert 1 == len(sign_in.asked)


def test_a_sign_in_that_fails(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    """The way back is said."""

    sign_in.code = NEEDS_SIGN_IN
    assert NEEDS_SIGN_IN == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert "To undo this: amberlight take-over --undo github\n" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "asked"), [("running", 0), ("auth_retrying", 0), ("unauthenticated", 1)])
def test_one_that_was_here_already(app: FakeApp, sign_in: SignIn, capsys: Capture, status: str, asked: int) -> None:
    """Nobody signs in again to what has a login."""

    app.replies[f"GET {ONE}"] = 200, plan(configured_as="github")
    app.replies["GET /workloads/github/status"] = 200, row("github", status)
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert asked == len(sign_in.asked)
    assert (
        "toolhive/GitHub.v2 is already configured here as github (https://github.example/mcp)."
        in capsys.readouterr().out
    )


def test_a_client_secret(app: FakeApp, sign_in: SignIn, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It's asked for at a terminal, and goes to the keyring; without it the command says what is left to do."""

    app.replies[f"GET {ONE}"] = 200, plan(needs_secret=True)
    app.replies["POST /workloads/github/secret"] = 204, None
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert [] == sign_in.asked
    assert "Store its client secret: amberlight secret set github." in capsys.readouterr().out

    typed(monkeypatch, "")
    monkeypatch.setattr("trayapp.cli.secrets.read_secret", lambda question: Secret("CANARY"))
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--yes"])
    assert [{"client_secret": "CANARY"}] == app.bodies("POST /workloads/github/secret")
    assert 1 == len(sign_in.asked)
    assert "CANARY" not in "".join(capsys.readouterr())


def test_the_way_back(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks first, as a login is deleted."""

    assert 0 == main(["take-over", "--undo", "github", "--yes"])
    assert ("Gave github back to ToolHive.\n", "") == capsys.readouterr()
    typed(monkeypatch, "n\n")
    assert 0 == main(["take-over", "--undo", "github"])
    assert "Give github back? It and its login are removed here, unless it was" in capsys.readouterr().out
    assert [{}] == app.bodies(f"POST {BACK}")


def test_the_way_back_of_what_was_never_taken_over(app: FakeApp, capsys: Capture) -> None:
    app.replies[f"POST {BACK}"] = 404, {"error": "not_taken_over", "message": "github wasn't taken over."}
    assert 1 == main(["take-over", "--undo", "github", "--yes"])
    assert "amberlight: github wasn't taken over.\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "give OWNER/NAME or --undo NAME"),
        (["toolhive/a", "--undo", "a"], 2, "give OWNER/NAME or --undo NAME"),
        (["--undo", "toolhive/a"], 2, "--undo: use its name in Amberlight; see: amberlight list --all"),
        (["--undo", "a", "--dry-run"], 2, "--undo can only be combined with --yes and --format"),
    ],
)
def test_what_is_asked_wrongly(app: FakeApp, capsys: Capture, words: list[str], code: int, text: str) -> None:
    assert code == main(["take-over", *words])
    assert text in capsys.readouterr().err
    assert [] == app.requests


def test_one_that_is_ours(app: FakeApp, capsys: Capture) -> None:
    assert 1 == main(["take-over", "github"])
    assert "amberlight: github is already an Amberlight workload.\n" == capsys.readouterr().err


def test_one_that_nobody_has(app: FakeApp, capsys: Capture) -> None:
    assert 1 == main(["take-over", "toolhive/nobody"])
    assert "there's no workload toolhive/nobody." in capsys.readouterr().err


def test_as_json(app: FakeApp, sign_in: SignIn, capsys: Capture) -> None:
    assert 0 == main(["take-over", "toolhive/GitHub.v2", "--yes", "--format", "json"])
    assert {"ok": True, "done": [*SHOWN.splitlines(), DONE]} == json.loads(capsys.readouterr().out)
