"""Waiting for a sign-in in the terminal: success, failure, Ctrl-C, device codes, and pasted redirects."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row, running
from trayapp.cli import main, sign_in_wait
from trayapp.cli.pasted_lines import tidy
from trayapp.config.loader import Paths
from trayapp.core.app_notices import START_KEYRING, THIS_RUN_ONLY

URL = "https://login.example.com/authorize?state=x"
PAGE = 202, {"authorization_url": URL}
STATUS = "GET /workloads/github/status"
BEGIN = "POST /workloads/github/reauthorize"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def app(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApp]:
    monkeypatch.setattr(sign_in_wait, "POLL", 0.01)
    monkeypatch.setattr(sign_in_wait, "SETTLED", 0.1)
    with running(paths.runtime_dir) as fake:
        fake.replies[BEGIN] = PAGE
        yield fake


def out(**auth: Any) -> tuple[int, Any]:
    return 200, row("github", "unauthenticated", "refused", **auth)


def good(**auth: Any) -> tuple[int, Any]:
    return 200, row("github", "running", "ok", **auth)


def test_signed_in(app: FakeApp, capsys: Capture) -> None:
    """The address is shown, the browser is the app's matter, and success is waited for."""

    app.replies[STATUS] = [out(), out(), out(signing_in=True), out(signing_in=True), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])
    text = capsys.readouterr().out
    assert URL in text
    assert text.endswith("github is signed in.\n")
    assert [{"browser": True, "accept": False}] == app.bodies(BEGIN)


def test_a_sign_in_that_is_faster_than_a_look(app: FakeApp, capsys: Capture) -> None:
    """A consent page that agrees by itself may be over before the first look: the renewed login tells."""

    app.replies[STATUS] = [good(last_refreshed_at="a"), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])


def test_a_refresh_during_a_failed_sign_in_is_no_success(app: FakeApp, capsys: Capture) -> None:
    """A running workload goes on refreshing while somebody signs in; only a renewal at the sign-in's end counts."""

    app.replies[STATUS] = [
        good(last_refreshed_at="a"),
        good(last_refreshed_at="a", signing_in=True),
        good(last_refreshed_at="b", signing_in=True),
        good(last_refreshed_at="b"),
    ]

    assert 1 == main(["reauthorize", "github"])
    assert "didn't succeed" in capsys.readouterr().err


def test_a_failed_sign_in(app: FakeApp, capsys: Capture) -> None:
    """When it ends without a login the command says so, with the reason if the app tells it, and exit code 4."""

    app.replies[STATUS] = [out(), out(signing_in=True), out(sign_in_error={"summary": "You clicked no."})]
    assert 4 == main(["reauthorize", "github"])
    assert "didn't succeed. You clicked no." in capsys.readouterr().err

    app.replies[STATUS] = [out()]
    assert 4 == main(["reauthorize", "github"])
    assert "didn't start. See: amberlight logs" in capsys.readouterr().err


def test_a_warning_about_a_sign_in_that_worked(app: FakeApp, capsys: Capture) -> None:
    """Signed in, and what could not be checked is said beside it."""

    app.replies[STATUS] = [out(), good(last_refreshed_at="b", sign_in_warning={"summary": "Whose account?"})]
    assert 0 == main(["reauthorize", "github"])
    captured = capsys.readouterr()
    assert captured.out.endswith("github is signed in.\n")
    assert "Whose account?" in captured.err


def test_a_browser_that_did_not_open(app: FakeApp, capsys: Capture) -> None:
    """Said once, and the waiting goes on: the address can be opened by hand."""

    fault = out(signing_in=True, browser_fault="not_opened")
    app.replies[STATUS] = [out(), out(signing_in=True), fault, fault, good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])
    captured = capsys.readouterr()
    assert URL in captured.out
    assert "amberlight: couldn't open a browser. Open the address above to sign in to github.\n" == captured.err


def test_nobody_comes(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit it gives up and says how to try again."""

    monkeypatch.setattr(sign_in_wait, "BROWSER_LIMIT", 0.1)
    app.replies[STATUS] = [out(), out(signing_in=True)]

    assert 4 == main(["reauthorize", "github"])
    assert "Try again: amberlight reauthorize github" in capsys.readouterr().err


def test_accept(app: FakeApp, capsys: Capture) -> None:
    """`--accept` agrees to what is pending; no address is printed."""

    app.replies[BEGIN] = 202, {"authorization_url": ""}
    app.replies[STATUS] = [good(last_refreshed_at="a"), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github", "--accept"])
    assert "github is signed in.\n" == capsys.readouterr().out
    assert [{"browser": True, "accept": True}] == app.bodies(BEGIN)


def test_nothing_to_accept(app: FakeApp, capsys: Capture) -> None:
    """The app's refusal is its own sentence."""

    app.replies[BEGIN] = 409, {"error": "nothing_pending", "message": "Nothing waits."}
    app.replies[STATUS] = good()

    assert 1 == main(["reauthorize", "github", "--accept"])
    assert "amberlight: Nothing waits.\n" == capsys.readouterr().err


def test_pasted(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--no-browser` a pasted redirect goes to the app; a wrong one is complained about and asked for again."""

    right = "http://127.0.0.1:1/callback/x?code=canary-code&state=s"

    def callback(body: Any) -> tuple[int, Any]:
        if body != {"url": right}:
            return 400, {"error": "bad", "message": "That is not the address."}
        app.replies[STATUS] = good(last_refreshed_at="b")
        return 202, None

    app.replies[STATUS] = [out(), out(signing_in=True)]
    app.replies["POST /workloads/github/callback"] = callback
    reading, writing = os.pipe()
    os.write(writing, f"nonsense\n\n{right}\n".encode())
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code = main(["reauthorize", "github", "--no-browser"])
        os.close(writing)  # ends the reading thread

    captured = capsys.readouterr()
    assert 0 == code
    assert "paste its address here" in captured.out
    assert "That is not the address. Paste the whole address" in captured.err
    assert "canary-code" not in captured.out + captured.err
    assert [{"browser": False, "accept": False, "flow": "browser"}] == app.bodies(BEGIN)


def test_registering_again(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows an error, of which the app learns nothing: one key has the client registered anew."""

    app.replies[BEGIN] = 202, {"authorization_url": URL, "registered": True}
    app.replies[STATUS] = [out(), out(signing_in=True)]

    def cancelled(body: Any) -> tuple[int, Any]:
        app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]
        return 202, None

    app.replies["POST /workloads/github/cancel"] = cancelled
    reading, writing = os.pipe()
    os.write(writing, b"R\n")
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sign_in_wait, "can_ask", lambda: True)
        code = main(["reauthorize", "github"])
        os.close(writing)

    assert 0 == code
    assert "If the page shows an error, type r and press Enter to register again." in capsys.readouterr().out
    assert [{"register": True}] == app.bodies("POST /workloads/github/cancel")
    assert 2 == len(app.bodies(BEGIN))


@pytest.mark.parametrize(("registered", "terminal"), [(True, False), (False, True), (None, True)])
def test_where_registering_again_is_not_offered(
    registered: bool | None, terminal: bool, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a client set up by hand, and in a script, whose standard input isn't read."""

    app.replies[BEGIN] = 202, {"authorization_url": URL} | ({} if registered is None else {"registered": registered})
    app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]
    monkeypatch.setattr(sign_in_wait, "can_ask", lambda: terminal)
    monkeypatch.setattr(sign_in_wait, "PastedLines", lambda: pytest.fail("reads"))

    assert 0 == main(["reauthorize", "github"])
    assert "register again" not in capsys.readouterr().out


def test_no_standard_input(app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a standard input the browser may still come back by itself."""

    monkeypatch.setattr(sys, "stdin", None)
    app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github", "--no-browser"])


def test_add_signs_in(app: FakeApp, capsys: Capture) -> None:
    """`add` has the app add the workload, and waits for the sign-in."""

    app.replies["POST /reload"] = 200, {"ok": True, "errors": [], "warnings": []}
    app.replies["POST /workloads"] = 201, out()[1]
    app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]

    arguments = ["add", "github", "https://g.example", "--issuer", "https://l.example", "--client-id", "c"]
    assert 0 == main(arguments)
    assert capsys.readouterr().out.endswith("github is signed in.\n")
    (body,) = app.bodies("POST /workloads")
    assert ("github", "https://g.example") == (body["name"], body["url"])


DEVICE = {
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://login.example.com/device",
    "verification_uri_complete": "https://login.example.com/device?user_code=ABCD-EFGH",
    "expires_at": "2099-01-02T03:04:05.000Z",
}


@pytest.mark.parametrize("command", ["reauthorize", "add"])
def test_a_device_code(command: str, app: FakeApp, capsys: Capture) -> None:
    """`--device`: address and code, each on a line of its own to be copied; `add` remembers the choice."""

    app.replies["POST /reload"] = 200, {"ok": True, "errors": [], "warnings": []}
    app.replies["POST /workloads"] = 201, out()[1]
    app.replies[STATUS] = [
        out(),
        out(signing_in=True, device=DEVICE),
        out(signing_in=True, device=DEVICE),
        good(last_refreshed_at="b"),
    ]

    words = ["https://g.example", "--client-id", "c", "--issuer", "https://l.example"] if command == "add" else []
    assert 0 == main([command, "github", *words, "--device"])
    lines = capsys.readouterr().out.splitlines()
    assert {"  https://login.example.com/device", "  ABCD-EFGH", f"  {DEVICE['verification_uri_complete']}"} <= {*lines}
    assert "github is signed in." == lines[-1]
    assert [{"browser": False, "accept": False, "flow": "device"}] == app.bodies(BEGIN)
    assert (["device"] if command == "add" else []) == [body["flow"] for body in app.bodies("POST /workloads")]


def test_a_workload_that_is_set_to_device_codes(app: FakeApp, capsys: Capture) -> None:
    """Without an option it is as configured, and the browser shows the page here."""

    device = {**DEVICE, "verification_uri_complete": None}
    app.replies[STATUS] = [out(), out(signing_in=True, device=device), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])
    text = capsys.readouterr().out
    assert "Opening this address in your browser:" in text
    assert "ABCD-EFGH" in text
    assert "contains the code" not in text


def test_an_app_that_was_fooled_does_not_fool_the_terminal(app: FakeApp, capsys: Capture) -> None:
    """Escape sequences and odd types in a code or an address never reach the terminal."""

    evil = {"user_code": "\x1b[2JAB\x07", "verification_uri": "https://x/\x1b]0;x\x07\u202e", "expires_at": 7}
    app.replies[STATUS] = [out(), out(signing_in=True, device=evil), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github", "--device"])
    text = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in text)


def test_ctrl_c_ends_what_it_began(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is told; a sign-in that was started elsewhere continues."""

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    app.replies["POST /workloads/github/cancel"] = 202, None
    app.replies[STATUS] = [out(), out(signing_in=True)]
    assert 130 == main(["reauthorize", "github", "--no-browser"])
    assert "Canceled the sign-in to github" in capsys.readouterr().err
    assert 1 == len(app.bodies("POST /workloads/github/cancel"))

    app.replies[STATUS] = [out(signing_in=True)]
    assert 130 == main(["reauthorize", "github"])
    assert "was started elsewhere and continues" in capsys.readouterr().err
    assert 1 == len(app.bodies("POST /workloads/github/cancel"))


@pytest.mark.parametrize(
    "line",
    [
        "http://127.0.0.1:1/c?code=a&state=b",
        "  'http://127.0.0.1:1/c?code=a&state=b' \r",
        "\x1b[200~http://127.0.0.1:1/c?code=a&state=b\x1b[201~",
        '\x1b[200~"http://127.0.0.1:1/c?code=a&state=b"\x1b[201~\t',
        "<http://127.0.0.1:1/c?code=a&state=b>",
        r"http://127.0.0.1:1/c\?code\=a\&state\=b",
        "\u200bhttp://127.0.0.1:1/c?code=a&state=b\ufeff",
    ],
)
def test_an_address_as_terminals_shells_and_mails_paste_it(line: str) -> None:
    """What they put around it is taken off."""

    assert "http://127.0.0.1:1/c?code=a&state=b" == tidy(line)


def test_the_scopes_are_shown_before_the_browser_opens(app: FakeApp, capsys: Capture) -> None:
    """What the app will ask for, with what is new, and only then is the sign-in begun."""

    told: list[str] = []

    def begin(body: Any) -> tuple[int, Any]:
        told.append(capsys.readouterr().out)
        return PAGE

    app.replies[BEGIN] = begin
    lacking = good(reauthorize_scopes=["read", "write"], missing_scopes=["write"], last_refreshed_at="a")
    app.replies[STATUS] = [lacking, lacking, good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])
    assert ["Asks for: read, write (new)\n"] == told


def test_a_login_without_a_refresh_token_is_named(app: FakeApp, capsys: Capture) -> None:
    """Right after the sign-in, in the app's own words."""

    status, kept = good(last_refreshed_at="b", renewable=False)
    app.replies[STATUS] = [out(), out(), (status, {**kept, "status_context": "Its login can't be renewed."})]

    assert 0 == main(["reauthorize", "github"])
    assert capsys.readouterr().out.endswith("github is signed in.\nIts login can't be renewed.\n")


@pytest.mark.parametrize("slow", [False, True])
def test_without_a_keyring_it_is_for_this_run_only(slow: bool, app: FakeApp, capsys: Capture) -> None:
    """The keyring may not have refused the login yet when the sign-in is over."""

    unsaved = 200, row("github", "running", "not_stored", last_refreshed_at="b")
    app.replies[STATUS] = [out(), out(signing_in=True), *([good(last_refreshed_at="b")] * slow), unsaved]
    app.replies["GET /status"] = 200, {"this_run_only": True}

    assert 0 == main(["reauthorize", "github"])
    told = capsys.readouterr()
    assert told.out.endswith("github is signed in for this run only.\n")
    assert f"amberlight: {THIS_RUN_ONLY} {START_KEYRING}\n" == told.err


def test_a_login_that_is_not_saved_yet(app: FakeApp, capsys: Capture) -> None:
    """A locked keyring is another matter: the app says what helps."""

    row_then = row("github", "running", "not_stored", last_refreshed_at="b", renewable=False)
    app.replies[STATUS] = [out(), out(signing_in=True), (200, row_then | {"status_context": "Unlock your keyring."})]
    app.replies["GET /status"] = 200, {"this_run_only": False}

    assert 0 == main(["reauthorize", "github"])
    told = capsys.readouterr()
    assert told.out.endswith("github is signed in.\n")
    assert "amberlight: Unlock your keyring.\n" == told.err
