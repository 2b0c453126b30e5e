"""`amberlight git-credential`: what is answered, what is passed over, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
Git = Callable[..., int]
TOKEN = "gho-" + "0123456789"
ASKED = b"protocol=https\nhost=git.example.com\n"
OF_TOKEN = "GET /workloads/work-mail/token?min_validity=60&wait=5"
USED = "POST /workloads/work-mail/token-used"


def account(name: str) -> dict[str, Any]:
    return row(name) | {"kind": "account", "url": ""}


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs the command with this on standard input."""

    def run(content: bytes, *words: str) -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        return main(["git-credential", *words])

    return run


@pytest.fixture
def code(app: FakeApp) -> FakeApp:
    """An app with one account for git.example.com and git.example.com:8443, and with a server of no account."""
    app.replies |= {
        "GET /workloads?all=true": (200, {"workloads": [row("github"), account("work-mail")]}),
        "GET /workloads/work-mail": (200, {"hosts": ["git.example.com", "git.example.com:8443"]}),
        OF_TOKEN: (200, {"access_token": TOKEN, "token_type": "Bearer", "expires_at": "2999-01-01T00:00:00Z"}),
        USED: (202, {}),
    }
    return app


@pytest.mark.parametrize(
    "said",
    [
        ASKED,
        ASKED + b"\n",
        ASKED + b"\nprotocol=http\n",  # behind the blank line
        b"protocol=https\nhost=git.example.com:8443\npath=team/code.git\n",
        b"protocol=https\nhost=git.example.com:443\n",
        b"protocol=https\nhost=GIT.example.com\n",
        b"capability[]=authtype\ncapability[]=state\n" + ASKED + b'wwwauth[]=Basic realm="a=b"\nwwwauth[]=Bearer\n',
    ],
)
def test_get_answers_with_the_token(code: FakeApp, git: Git, capsys: Capture, said: bytes) -> None:
    """For the host, with its port if it has one of its own; when the token ends is said, too."""

    assert 0 == git(said, "get")
    assert f"username=oauth2\npassword={TOKEN}\npassword_expiry_utc=32472144000\n" == capsys.readouterr().out


def test_a_user_name_stays(code: FakeApp, git: Git, capsys: Capture) -> None:
    """Of an address like https://ada@git.example.com, or of git's configuration."""

    code.replies[OF_TOKEN] = (200, {"access_token": TOKEN, "token_type": "Bearer", "expires_at": None})
    assert 0 == git(ASKED + b"username=ada\n", "get")
    assert f"username=ada\npassword={TOKEN}\n" == capsys.readouterr().out


def test_what_is_said_is_utf_8(code: FakeApp, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a pipe has another encoding, as on Windows: git would log in as somebody else."""

    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="cp1252", errors="replace", newline="\r\n"))
    assert 0 == git(ASKED + "username=ada@例え.example\n".encode(), "get")
    assert written.getvalue().startswith(f"username=ada@例え.example\npassword={TOKEN}\n".encode())


@pytest.mark.parametrize(
    "said",
    [
        b"protocol=http\nhost=git.example.com\n",
        b"protocol=ssh\nhost=git.example.com\n",
        b"protocol=https\n",
        b"protocol=https\nhost=\n",
        b"host=git.example.com\n",
        b"",
        b"\n" + ASKED,
    ],
)
def test_what_is_not_https_is_passed_over(code: FakeApp, git: Git, capsys: Capture, said: bytes) -> None:
    """Git goes on to ask whom it asks otherwise; the app isn't even told."""

    for operation in ("get", "store", "erase"):
        assert 0 == git(said + b"", operation)
    said_ = capsys.readouterr()
    assert ("", "") == (said_.out, said_.err)
    assert [] == code.requests


@pytest.mark.parametrize(
    "host",
    ["git.example.com.evil.example", "evil.git.example.com", "example.com", "git.example.com:8444", "git.example.com.",
     "mcp.example.com", "git.example.com@evil.example"],
)  # fmt: skip
def test_no_other_host_gets_the_token(code: FakeApp, git: Git, capsys: Capture, host: str) -> None:
    """Neither one below it, nor one that begins so, nor another port, nor the address of a server's workload."""

    for operation in ("get", "erase"):
        assert 0 == git(f"protocol=https\nhost={host}\npassword={TOKEN}\n".encode(), operation)
    assert "" == capsys.readouterr().out
    assert {"GET /workloads?all=true", "GET /workloads/work-mail"} == {what for what, _ in code.requests}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"protocol=https\nhost=git.example.com\r\n", "control character"),
        (b"protocol=https\nhost=evil.example\x00git.example.com\n", "control character"),
        (ASKED + b"path=a\x7f\n", "control character"),
        (ASKED + b"username=ada\x1b[2J\n", "control character"),
        (ASKED + b"path=\xff\n", "isn't UTF-8"),
        (b"protocol=https\nhost=evil.example\nhost=git.example.com\n", "gives host two values"),
        (ASKED + b"nonsense\n", "a line has no ="),
        (ASKED + b"path=" + b"a" * 70_000 + b"\n", "too long"),
    ],
)
def test_what_no_git_sends_is_refused(code: FakeApp, git: Git, capsys: Capture, said: bytes, why: str) -> None:
    """With a sentence, and before anything is asked of the app."""

    for operation in ("get", "store", "erase"):
        assert 1 == git(said, operation)
    told = capsys.readouterr()
    assert ("", True) == (told.out, why in told.err)
    assert [] == code.requests


class Waiting(io.BytesIO):
    """A pipe that stays open: whoever reads on after the blank line waits for ever."""

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(size) or pytest.fail("read on")

    def read(self, size: int | None = -1, /) -> bytes:
        return pytest.fail("read on")


@pytest.mark.parametrize("said", [ASKED + b"\n", ASKED + b"path=" + b"a" * 70_000, b"wwwauth[]=Basic\n" * 10_000])
def test_nothing_is_read_behind_the_blank_line(
    code: FakeApp, monkeypatch: pytest.MonkeyPatch, capsys: Capture, said: bytes
) -> None:
    """Nor behind what git could have said: who asks may wait for the answer with an open pipe."""

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Waiting(said)))
    assert main(["git-credential", "get"]) == (len(said) > 70_000)
    told = capsys.readouterr()
    assert (f"password={TOKEN}" in told.out) != ("it's too long" in told.err)


def test_store_keeps_nothing_and_erase_deletes_nothing(code: FakeApp, git: Git, capsys: Capture) -> None:
    """The app hears what the server thought of the token, and no more."""

    given = ASKED + f"username=oauth2\npassword={TOKEN}\n".encode()
    assert 0 == git(given, "store")
    assert 0 == git(given, "erase")
    assert 0 == git(ASKED, "erase")  # nothing was tried
    assert [(True, TOKEN), (False, TOKEN)] == [(b["accepted"], b["access_token"]) for b in code.bodies(USED)]
    assert all(what.startswith("GET") or what == USED for what, _ in code.requests)
    assert "" == capsys.readouterr().out


def test_an_operation_of_a_later_git_is_ignored(code: FakeApp, git: Git, capsys: Capture) -> None:
    """As gitcredentials(7) wants it."""

    assert 0 == git(ASKED, "capability")
    assert ("", []) == (capsys.readouterr().out, code.requests)


def test_two_accounts_of_a_host_are_told_apart_by_name(code: FakeApp, git: Git, capsys: Capture) -> None:
    """Neither is guessed."""

    code.replies["GET /workloads?all=true"] = (200, {"workloads": [account("play"), account("work-mail")]})
    code.replies["GET /workloads/play"] = (200, {"hosts": ["git.example.com"]})
    assert 1 == git(ASKED, "get")
    told = capsys.readouterr()
    assert ("", True) == (told.out, "play and work-mail name this host. Choose one" in told.err)
    assert 0 == git(ASKED, "work-mail", "get")
    assert f"password={TOKEN}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["other", "github"])
def test_an_account_that_there_is_not_is_said(code: FakeApp, git: Git, capsys: Capture, name: str) -> None:
    """A name in git's configuration that was mistyped, renamed since, or is a server's."""

    for operation in ("get", "store", "erase"):
        assert 1 == git(ASKED + b"password=x\n", name, operation)
    told = capsys.readouterr()
    assert ("", True) == (told.out, f"there's no account {name}. See: amberlight list" in told.err)
    assert 0 == git(ASKED.replace(b"git", b"hub"), "work-mail", "get")  # of another host
    told = capsys.readouterr()
    assert ("", "") == (told.out, told.err)


@pytest.mark.parametrize(("error", "code_"), [("retrying", 5), ("reauth_required", 4)])
def test_without_a_token_git_goes_on(code: FakeApp, git: Git, capsys: Capture, error: str, code_: int) -> None:
    """It says why; git ignores what a failing helper says, and asks the next one."""

    code.replies[OF_TOKEN] = (503, {"error": error, "status": "x", "detail": "y", "help": "Reauthorize work-mail."})
    assert code_ == git(ASKED, "get")
    told = capsys.readouterr()
    assert ("", "amberlight: no token for work-mail: Reauthorize work-mail.\n") == (told.out, told.err)


def test_without_an_app_git_goes_on(paths: Paths, git: Git, capsys: Capture) -> None:
    assert 3 == git(ASKED, "get")
    told = capsys.readouterr()
    assert ("", "Amberlight isn't running. Start it: amberlight run\n") == (told.out, told.err)


def test_a_token_that_is_bound_to_a_key_is_of_no_use_to_git(code: FakeApp, git: Git, capsys: Capture) -> None:
    """The app gives none away, and its sentence is passed on."""

    code.replies[OF_TOKEN] = (409, {"error": "bound_token", "message": "The tokens of work-mail are bound to a key."})
    assert 1 == git(ASKED, "get")
    told = capsys.readouterr()
    assert ("", "amberlight: The tokens of work-mail are bound to a key.\n") == (told.out, told.err)
