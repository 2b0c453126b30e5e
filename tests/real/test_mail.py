"""Mail programs that log in to Dovecot with a token from `amberlight token`: over a refresh, in amber, and in red."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import dovecot
from tests.real.accounts import Account
from tests.real.dovecot import USER, Dovecot
from tests.real.terminal import Terminal
from tests.requirements import skip_or_fail
from trayapp.oauthtest import Mode, OAuthServer

pytestmark = [
    pytest.mark.real,
    pytest.mark.oauth_server(grace=60.0, retry_after=None, check=False),
]
AT_USER = USER.replace("@", "%40")
LETTER = f"From: {USER}\nTo: bob@example.com\nSubject: hello\n\nHello Bob\n"
MSMTP = f"""\
account default
host localhost
port {{smtp}}
from {USER}
user {USER}
auth {{mechanism}}
passwordeval "{{command}} token one"
tls on
tls_starttls off
tls_trust_file {{authority}}
"""
MBSYNC = f"""\
IMAPAccount one
Host localhost
Port {{imap}}
User {USER}
PassCmd "{{command}} token one"
AuthMechs XOAUTH2
SSLType IMAPS
CertificateFile {{authority}}

IMAPStore far
Account one

MaildirStore near
Path {{home}}/near/
Inbox {{home}}/near/INBOX

Channel mail
Far :far:
Near :near:
Create Near
SyncState *
"""
NEOMUTT = f"""\
set imap_user = "{USER}"
set imap_authenticators = "{{mechanism}}"
set imap_oauth_refresh_command = "{{command}} token one"
set folder = "imaps://localhost:{{imap}}/"
set spoolfile = "+INBOX"
set smtp_url = "smtps://{AT_USER}@localhost:{{smtp}}/"
set smtp_authenticators = "{{mechanism}}"
set smtp_oauth_refresh_command = "{{command}} token one"
set from = "{USER}"
set certificate_file = "{{authority}}"
set ssl_force_tls = yes
set copy = no
"""
AERC = f"""\
[mail]
source = imaps+{{mechanism}}://{AT_USER}@localhost:{{imap}}
source-cred-cmd = {{command}} token one
outgoing = smtps+{{mechanism}}://{AT_USER}@localhost:{{smtp}}
outgoing-cred-cmd = {{command}} token one
default = INBOX
from = Ada <{USER}>
"""
SCRIPT = """\
import imaplib, ssl, subprocess, sys
from base64 import b64decode
command, mechanism, user, port, authority = sys.argv[1:]
response = subprocess.check_output([command, "token", "one", "--sasl", mechanism, "--user", user])
server = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile=authority))
server.authenticate(mechanism.upper(), lambda challenge: b64decode(response))
print(server.select("INBOX")[1][0].decode())
"""


@pytest.fixture
def mail(server: OAuthServer) -> Iterator[Dovecot]:
    if lacks := dovecot.missing():
        skip_or_fail(f"{lacks} not found: `packaging/dev.sh test` installs it")
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:  # Dovecot's users can't enter the tests' own
        Path(folder).chmod(0o755)
        with dovecot.dovecot(Path(folder, "dovecot"), server.valid_access) as made:
            made.deliver("first")
            yield made


@pytest.fixture
def account(tmp_path: Path, server: OAuthServer) -> Iterator[Account]:
    root = tmp_path / "amberlight"
    root.mkdir()
    with Account(root, server) as made:
        yield made


class Programs:
    """The mail programs, set up as docs/accounts.md says."""

    def __init__(self, account: Account, mail: Dovecot, home: Path) -> None:
        self.account = account
        self.mail = mail
        self.home = home
        self.environment = {**account.environment, "HOME": str(home), "SSL_CERT_FILE": str(mail.authority), "LANG": "C"}
        for name in ("XDG_CONFIG_HOME", "TERM"):
            self.environment.pop(name, None)
        (home / "near").mkdir(parents=True)
        (home / ".config/aerc").mkdir(parents=True)
        command = home / "amberlight"  # with the app's own directories, which the programs' aren't
        own = " ".join(f"{name}='{value}'" for name, value in account.environment.items() if name.startswith("XDG"))
        command.write_text(f'#!/bin/sh\nHOME="{account.root}" {own} exec "{account.command}" "$@"\n')
        command.chmod(0o755)
        self.command = str(command)

    def write(self, name: str, text: str, mechanism: str = "") -> str:
        file = self.home / name
        mail = self.mail
        file.write_text(
            text.format(
                mechanism=mechanism, command=self.command, home=self.home, imap=mail.imap, smtp=mail.smtp,
                authority=mail.authority,
            )
        )  # fmt: skip
        file.chmod(0o600)
        return str(file)

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        if shutil.which(command[0]) is None:
            skip_or_fail(f"{command[0]} not found: `packaging/dev.sh test` installs it")
        return subprocess.run(
            command,
            input=given,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def msmtp(self, mechanism: str = "oauthbearer") -> subprocess.CompletedProcess[str]:
        return self.run("msmtp", "-C", self.write("msmtprc", MSMTP, mechanism), "bob@example.com", given=LETTER)

    def mbsync(self) -> subprocess.CompletedProcess[str]:
        return self.run("mbsync", "-c", self.write("mbsyncrc", MBSYNC), "mail")

    def neomutt(self, mechanism: str = "oauthbearer") -> subprocess.CompletedProcess[str]:
        """Sends a letter."""
        file = self.write("neomuttrc", NEOMUTT, mechanism)
        return self.run("neomutt", "-F", file, "-s", "hello", "bob@example.com", given="Hello Bob\n")

    def curl(self, token: str, *words: str) -> subprocess.CompletedProcess[str]:
        known = ("--silent", "--show-error", "--cacert", str(self.mail.authority), "--user", f"{USER}:")
        return self.run("curl", "--config", "-", *known, *words, given=f"oauth2-bearer = {token}\n")

    def python(self, mechanism: str) -> subprocess.CompletedProcess[str]:
        file = self.write("script.py", "")
        Path(file).write_text(SCRIPT)
        return self.run(
            sys.executable, file, self.command, mechanism, USER, str(self.mail.imap), str(self.mail.authority)
        )

    def opens(self, *command: str) -> str:
        """Run a program that fills the screen until it shows the inbox; the screen."""
        if shutil.which(command[0]) is None:
            skip_or_fail(f"{command[0]} not found: `packaging/dev.sh test` installs it")
        with Terminal([shutil.which(command[0]) or "", *command[1:]], self.environment, self.home) as terminal:
            terminal.expect("first", 30)
            return terminal.screen

    def fetched(self) -> int:
        """How many messages mbsync has brought."""
        return len([*(self.home / "near/INBOX").glob("[cn]*/*")])


@pytest.fixture
def programs(account: Account, mail: Dovecot, tmp_path: Path) -> Programs:
    return Programs(account, mail, tmp_path / "home")


def test_they_log_in_over_a_refresh(account: Account, programs: Programs, mail: Dovecot) -> None:
    """msmtp, mbsync, neomutt, curl and a Python script, with the first token and with the next; the server doesn't take
    the first any more by then."""

    account.sign_in()
    for number, mechanism in enumerate(("oauthbearer", "xoauth2"), 1):
        mail.deliver(f"message {number}")
        sent, imap, submission = len(mail.sent), mail.logins(), mail.logins("submission")
        for done in (programs.msmtp(mechanism), programs.neomutt(mechanism)):
            assert 0 == done.returncode, done
        assert sent + 2 == len(mail.sent)
        assert submission + 2 == mail.logins("submission")
        done = programs.mbsync()
        assert 0 == done.returncode, done
        assert number + 1 == programs.fetched()
        done = programs.python(mechanism)
        assert (0, f"{number + 1}\n") == (done.returncode, done.stdout), done
        place = f"imaps://localhost:{mail.imap}/INBOX;MAILINDEX=1"
        token = programs.run(programs.command, "token", "one").stdout.strip()
        assert "Subject: first" in programs.curl(token, place).stdout
        assert imap + 3 == mail.logins()
        mail.refused.add(token)
        assert 0 != programs.curl(token, place).returncode
        account.refresh()


@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_those_that_fill_the_screen_open_the_inbox(account: Account, programs: Programs, mechanism: str) -> None:
    """neomutt, mutt by the same settings, and aerc, with both mechanisms."""

    account.sign_in()
    for program in ("neomutt", "mutt"):
        programs.opens(program, "-F", programs.write("neomuttrc", NEOMUTT, mechanism))
    programs.write(".config/aerc/accounts.conf", AERC, mechanism)
    programs.opens("aerc")
    assert 3 == programs.mail.log().count(f"method={mechanism.upper()}")


def test_amber_is_a_temporary_failure_and_red_says_what_to_do(
    account: Account, programs: Programs, mail: Dovecot, server: OAuthServer
) -> None:
    """Each program passes on the sentence and fails; once the server is back, the same command works, and nothing had to
    be done. In red, the sentence says who has to."""

    server.access_token_lifetime = 3.0
    account.sign_in()
    for mode, word, code, sentence in (
        (Mode.SERVER_ERROR, "auth_retrying", 75, "amberlight: no token for one: "),
        (Mode.INVALID_GRANT, "unauthenticated", 4, "amberlight: no token for one: "),
    ):
        server.mode = mode
        account.client.post("one", "retry")
        account.becomes(word)
        account.until(lambda: not account.status()["auth"]["usable"], "the end of the token")
        before = len(mail.sent), mail.logins(), mail.logins("submission")
        done = programs.run(programs.command, "token", "one")
        assert (code, "") == (done.returncode, done.stdout)
        assert sentence in done.stderr
        assert ("Reauthorize" in done.stderr or "reauthorize" in done.stderr) is (word == "unauthenticated"), (
            done.stderr
        )
        for failed in (programs.msmtp(), programs.mbsync(), programs.neomutt()):
            assert 0 != failed.returncode, failed
            assert sentence in failed.stderr, failed
        assert before == (len(mail.sent), mail.logins(), mail.logins("submission"))
        if word == "auth_retrying":
            server.mode, server.access_token_lifetime = Mode.SUCCESS, 3600.0
            account.client.post("one", "retry")
            account.becomes("running")
            for done in (programs.msmtp(), programs.mbsync(), programs.neomutt()):
                assert 0 == done.returncode, done
            server.access_token_lifetime = 3.0
            account.refresh()
