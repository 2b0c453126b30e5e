"""`amberlight token --sasl`: the initial response of OAUTHBEARER and XOAUTH2, and exit codes for mail programs."""

from __future__ import annotations

from base64 import b64decode

import pytest

from tests.cli.fake_app import FakeApp
from trayapp.cli import main
from trayapp.cli.account_grammar import SASL
from trayapp.cli.sasl import MECHANISMS, initial_response
from trayapp.config.loader import Paths
from trayapp.core.model import Secret

Capture = pytest.CaptureFixture[str]
TOKEN = "ya29." + "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
SIGNED_OUT = {"error": "reauth_required", "status": "unauthenticated", "detail": "refused", "help": "Reauthorize mail."}
RECONNECTING = {"error": "retrying", "status": "auth_retrying", "detail": "network", "help": "mail is reconnecting."}


def test_oauthbearer_is_as_in_the_rfc() -> None:
    """RFC 7628 section 4.1's example, without the host and port that only signed schemes need."""

    made = b64decode(initial_response("oauthbearer", "user@example.com", Secret(TOKEN)))
    assert f"n,a=user@example.com,\x01auth=Bearer {TOKEN}\x01\x01".encode() == made


def test_xoauth2_is_as_at_google() -> None:
    """The example of Google's page on the mechanism, byte for byte."""

    made = initial_response(
        "xoauth2", "someuser@example.com", Secret("ya29." + "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    )
    assert (
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
        == made
    )


def test_a_name_keeps_its_commas_and_signs() -> None:
    """OAUTHBEARER ends the name at a comma, so both are escaped (RFC 5801); a name may be of any script."""

    made = b64decode(initial_response("oauthbearer", "a,b=c@пример.example", Secret("t")))
    assert "n,a=a=2Cb=3Dc@пример.example,\x01auth=Bearer t\x01\x01".encode() == made


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_command_prints_one_line(paths: Paths, app: FakeApp, capsys: Capture, mechanism: str) -> None:
    app.replies["GET /workloads/mail/token?min_validity=60&wait=30"] = (
        200,
        {"access_token": TOKEN, "token_type": "Bearer", "expires_at": None},
    )
    app.replies["GET /status"] = (200, {})
    assert 0 == main(["token", "mail", "--sasl", mechanism, "--user", "ada@example.com"])
    out = capsys.readouterr().out
    assert initial_response(mechanism, "ada@example.com", Secret(TOKEN)) + "\n" == out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--sasl", "xoauth2"], "--user needs the mailbox's address"),
        (["--sasl", "xoauth2", "--user", ""], "--user needs the mailbox's address"),
        (["--user", "ada@example.com"], "--user is for --sasl"),
        (["--sasl", "xoauth2", "--user", "ada\x01auth=Bearer x"], "--user can't have control characters"),
        (["--sasl", "oauthbearer", "--user", "ada@example.com\r\nA1 LOGOUT"], "--user can't have control characters"),
        (["--sasl", "oauthbearer", "--user", "ada\u2028"], "--user can't have control characters"),
        (["--sasl", "oauthbearer", "--user", "a" * 321], "--user can have at most 320 characters"),
        (["--sasl", "plain", "--user", "ada"], "invalid choice"),
        (["--sasl", "xoauth2", "--header", "--user", "ada"], "not allowed with"),
        (["--sasl", "xoauth2", "--format", "json", "--user", "ada"], "not allowed with"),
    ],
)
def test_what_is_refused_asks_for_no_token(
    paths: Paths, app: FakeApp, capsys: Capture, words: list[str], sentence: str
) -> None:
    assert 2 == main(["token", "mail", *words])
    said = capsys.readouterr()
    assert ("", True) == (said.out, sentence in said.err)
    assert [] == app.requests


@pytest.mark.parametrize(
    ("kind", "refusal", "code"),
    [
        ("account", RECONNECTING, 75),
        ("server", RECONNECTING, 5),
        ("account", SIGNED_OUT, 4),
        ("server", SIGNED_OUT, 4),
    ],
)
def test_mail_programs_know_a_temporary_failure(
    paths: Paths, app: FakeApp, capsys: Capture, kind: str, refusal: dict[str, str], code: int
) -> None:
    """Amber is EX_TEMPFAIL of sysexits.h for an account; red is a failure for good, and both say why."""

    app.replies["GET /workloads/mail/token?min_validity=60&wait=30"] = (503, refusal)
    app.replies["GET /workloads/mail/status"] = (200, {"name": "mail", "kind": kind})
    assert code == main(["token", "mail"])
    said = capsys.readouterr()
    assert ("", f"amberlight: no token for mail: {refusal['help']}\n") == (said.out, said.err)


def test_the_grammar_names_every_mechanism() -> None:
    assert MECHANISMS == SASL
