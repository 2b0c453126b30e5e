"""`amberlight secret`: read without echo or from a pipe, sent to the app, and never shown."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp
from tests.cli.test_sign_in_wait import BEGIN, STATUS, URL, app, good, out
from trayapp.api.editing import SECRET
from trayapp.cli import main
from trayapp.config.loader import Paths

__all__ = ["app"]

SET = "POST /workloads/github/secret"
CANARY = "client-secret-canary-61"
Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("text", [CANARY, f"{CANARY}\n", f"{CANARY}\r\n"])
def test_from_a_pipe(text: str, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the end of its line; it is not repeated."""

    app.replies |= {STATUS: out(), SET: (204, None)}
    piped(monkeypatch, text)

    assert 0 == main(["secret", "set", "github"])
    assert [{"client_secret": CANARY}] == app.bodies(SET)
    shown = capsys.readouterr()
    assert "in the keyring" in shown.out
    assert CANARY not in shown.out + shown.err


def test_typed(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal it is asked for without an echo."""

    asked: list[str] = []

    def typed(question: str) -> str:
        asked.append(question)
        return CANARY

    app.replies |= {STATUS: out(), SET: (204, None)}
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", typed)

    assert 0 == main(["secret", "set", "github"])
    assert ["Client secret for github: "] == asked
    assert [{"client_secret": CANARY}] == app.bodies(SET)


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "x" * 5000, "\x00", "é"])
def test_what_is_no_secret(text: str, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said, and nothing is sent."""

    app.replies |= {STATUS: out()}
    piped(monkeypatch, text)

    assert 2 == main(["secret", "set", "github"])
    assert "no usable secret" in capsys.readouterr().err
    assert [] == app.bodies(SET)


def test_deleted(app: FakeApp, capsys: Capture) -> None:
    """Nothing is asked for."""

    app.replies |= {STATUS: out(), SET: (204, None)}

    assert 0 == main(["secret", "delete", "github"])
    assert [{"client_secret": ""}] == app.bodies(SET)
    assert "Deleted the client secret" in capsys.readouterr().out


def test_the_app_says_no(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sentence is shown."""

    refusal: Any = (409, {"error": "no_client_id", "message": "github has no client_id: set one first."})
    app.replies |= {STATUS: out(), SET: refusal}
    piped(monkeypatch, CANARY)

    assert 1 == main(["secret", "set", "github"])
    assert "set one first" in capsys.readouterr().err


def test_add_with_a_secret(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app gets it with the workload, before the sign-in begins, and nothing is said of it."""

    app.replies |= {
        "POST /workloads": (201, out()[1]),
        "POST /reload": (200, {"ok": True, "errors": [], "warnings": []}),
    }
    app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]
    piped(monkeypatch, CANARY)

    assert 0 == main(["add", "github", "https://g.example/mcp", "--client-id", "c", "--client-secret"])
    (body,) = app.bodies("POST /workloads")
    assert ("c", CANARY, True) == (body["client_id"], body["client_secret"], body["check"])
    told = capsys.readouterr()
    assert CANARY not in told.out + told.err


def test_add_with_a_secret_that_is_none(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written."""

    piped(monkeypatch, "")

    assert 2 == main(["add", "github", "https://g.example/mcp", "--client-id", "c", "--client-secret"])
    assert not Paths.default().config_file.exists()


def test_nothing_is_read_from_the_command_line() -> None:
    """Other programs could read it there."""

    assert 2 == main(["secret", "set", "github", CANARY])


def test_what_was_found_is_told(app: FakeApp, capsys: Capture) -> None:
    """Before the page is opened, in plain lines; nothing in them reaches the terminal raw."""

    steps = ["Found the sign-in server login.example.com.", "Registered \x1b[31mAmberlight."]
    app.replies[BEGIN] = 202, {"authorization_url": URL, "steps": steps}
    app.replies[STATUS] = [out(), out(signing_in=True), good(last_refreshed_at="b")]

    assert 0 == main(["reauthorize", "github"])
    text = capsys.readouterr().out
    assert text.startswith("Found the sign-in server login.example.com.\nRegistered ")
    assert text.index("Registered") < text.index(URL)
    assert "\x1b" not in text


def test_a_private_key_from_a_pipe(app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEM becomes a JWK on one line (RFC 7523); what is only half of one is no secret."""

    from joserfc.jwk import ECKey, import_key

    key = ECKey.generate_key("P-256")
    pem = key.as_pem(private=True).decode()
    app.replies |= {STATUS: out(), SET: (204, None)}
    piped(monkeypatch, pem)
    assert 0 == main(["secret", "set", "github"])
    (body,) = app.bodies(SET)
    assert key.thumbprint() == import_key(json.loads(body["client_secret"])).thumbprint()

    for form in (json.dumps(key.as_dict(private=True), indent=2), f"\ufeff{pem}", f"\n{pem}\r\n\r\n"):
        piped(monkeypatch, form)
        assert 0 == main(["secret", "set", "github"])
        assert key.thumbprint() == import_key(json.loads(app.bodies(SET)[-1]["client_secret"])).thumbprint()

    piped(monkeypatch, pem[:80])
    assert 2 == main(["secret", "set", "github"])


@pytest.mark.parametrize("bits", [2048, 4096])
def test_a_long_private_key_is_taken(app: FakeApp, monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """By the command and the app: RSA with 4096 bits is common."""

    from joserfc.jwk import RSAKey

    app.replies |= {STATUS: out(), SET: (204, None)}
    piped(monkeypatch, RSAKey.generate_key(bits).as_pem(private=True).decode())
    assert 0 == main(["secret", "set", "github"])
    assert SECRET.fullmatch(app.bodies(SET)[0]["client_secret"])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 4097,
        "a" * 20_000,
        '{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}',
        '{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}',
    ],
    ids=map(str, range(4)),
)
def test_what_can_not_be_used_is_said_at_once(
    app: FakeApp, monkeypatch: pytest.MonkeyPatch, capsys: Capture, text: str
) -> None:
    """Not at the next refresh, and no end is cut off."""

    app.replies |= {STATUS: out(), SET: (204, None)}
    piped(monkeypatch, text)
    assert 2 == main(["secret", "set", "github"])
    assert [] == app.bodies(SET)
    assert "no usable secret" in capsys.readouterr().err
