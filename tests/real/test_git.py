"""git over https with `amberlight git-credential`: it pushes to the account's server, and gives no other the token."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.real.accounts import Account
from tests.real.git_server import GitServer, git_server
from tests.requirements import skip_or_fail
from trayapp.oauthtest import Mode, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.oauth_server(grace=60.0, retry_after=None, check=False, subject=None),
]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def code(tmp_path: Path, authority: trustme.CA, server: OAuthServer) -> Iterator[GitServer]:
    """The account's git server, which takes its tokens."""
    if shutil.which("git") is None:
        skip_or_fail("git not found")
    with git_server(tmp_path / "code", authority, server.valid_access) as made:
        made.make()
        yield made


@pytest.fixture
def other(tmp_path: Path, authority: trustme.CA) -> Iterator[GitServer]:
    """Another one on the same host, which takes anything."""
    with git_server(tmp_path / "other", authority, lambda password: True) as made:
        made.make()
        yield made


@pytest.fixture
def account(tmp_path: Path, server: OAuthServer, code: GitServer) -> Iterator[Account]:
    root = tmp_path / "amberlight"
    root.mkdir()
    with Account(root, server, code.host) as made:
        yield made


class Clone:
    """A repository with one commit, and git as its user runs it: nobody is there to be asked for a password."""

    def __init__(self, account: Account, authority: trustme.CA) -> None:
        self.folder = account.root / "clone"
        self.asked = account.root / "asked"
        ask = account.root / "ask"
        ask.write_text(f'#!/bin/sh\necho "$1" >> "{self.asked}"\necho typed\n')
        ask.chmod(0o755)
        pem = account.root / "authority.pem"
        authority.cert_pem.write_to_path(str(pem))
        self.environment = {
            **account.environment,
            "GIT_ASKPASS": str(ask),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": str(account.root / "gitconfig"),
            "GIT_SSL_CAINFO": str(pem),
            **{f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.git("init", "--quiet", "--initial-branch=main", str(self.folder))
        self.git("config", "--global", "credential.helper", f"!{account.command} git-credential")
        self.commit("one")

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        where = ["-C", str(self.folder)] if self.folder.exists() else []
        command = ["git", *where, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def commit(self, text: str) -> None:
        (self.folder / "file").write_text(text)
        self.git("add", "file")
        assert 0 == self.git("commit", "--quiet", "-m", text).returncode

    def push(self, server: GitServer, user: str = "") -> subprocess.CompletedProcess[str]:
        return self.git("push", "--quiet", server.url(user=user), "main")


@pytest.fixture
def clone(account: Account, authority: trustme.CA) -> Clone:
    return Clone(account, authority)


def head(server: GitServer) -> str:
    done = subprocess.run(
        ["git", "-C", server.root / "code.git", "log", "-1", "--format=%s", "main"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_git_pushes_with_the_token(account: Account, clone: Clone, code: GitServer) -> None:
    """Over a refresh, too, and with a user name of one's own; git asks nobody and keeps nothing."""

    account.sign_in()
    done = clone.push(code)
    assert (0, "") == (done.returncode, done.stderr)
    assert "one" == head(code)
    assert ("oauth2", account.token()) == code.seen[-1]

    token = account.refresh()
    clone.commit("two")
    assert 0 == clone.push(code, "ada").returncode
    assert "two" == head(code)
    assert ("ada", token) == code.seen[-1]
    assert not clone.asked.exists()
    assert token not in clone.git("config", "--list").stdout


def test_no_other_server_gets_it(account: Account, clone: Clone, other: GitServer) -> None:
    """Another port of the same host is another server: git asks for a password as if there were no helper."""

    account.sign_in()
    clone.push(other)
    given = [each for each in other.seen if each is not None]
    assert {("typed", "typed")} == set(given)
    assert account.token() not in str(other.seen)


def test_no_server_gets_it_by_a_redirect(account: Account, clone: Clone, code: GitServer, other: GitServer) -> None:
    """The account's server sends git elsewhere: there, git asks anew, and gets no token."""

    account.sign_in()
    assert 0 == clone.push(code).returncode
    code.moved_to = f"https://{other.host}"
    clone.push(code)
    assert [each for each in other.seen if each is not None]
    assert account.token() not in str(other.seen)


def test_a_token_that_is_not_taken_is_refreshed(
    account: Account, clone: Clone, code: GitServer, server: OAuthServer
) -> None:
    """git says `erase`: the login stays, and the next push has a new token."""

    account.sign_in()
    first = account.token()
    code.valid = lambda password: password != first and server.valid_access(password)
    assert 0 != clone.push(code).returncode
    account.until(lambda: account.token() != first, "the next token")
    assert "running" == account.status()["status"]
    assert 0 == clone.push(code).returncode
    assert "one" == head(code)
    assert 1 == len(server.live_families())


def test_without_a_token_git_says_why_and_asks(
    account: Account, clone: Clone, code: GitServer, server: OAuthServer
) -> None:
    """Not signed in, amber, red, and no app: a sentence, and then git's own question."""

    assert "no token for one" in clone.push(code).stderr
    assert "Password for" in clone.asked.read_text()
    server.access_token_lifetime = 2.0  # a token that is still good is given whatever the state
    account.sign_in()
    for mode, word in ((Mode.SERVER_ERROR, "auth_retrying"), (Mode.INVALID_GRANT, "unauthenticated")):
        server.mode = mode
        account.client.post("one", "retry")
        account.becomes(word)
        account.until(lambda: not account.status()["auth"]["usable"], "the end of the token")
        clone.asked.unlink()
        done = clone.push(code)
        assert "amberlight: no token for one" in done.stderr
        assert "Password for" in clone.asked.read_text()

    account.end()
    clone.asked.unlink()
    done = clone.push(code)
    assert "Amberlight isn't running. Start it: amberlight run" in done.stderr
    assert "Password for" in clone.asked.read_text()
