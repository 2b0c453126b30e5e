"""Without a keyring a login ends with the program: whoever signs in is told so, wherever success is told."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.app_notices import START_KEYRING, THIS_RUN_ONLY, app_notices
from trayapp.core.model import Trouble
from trayapp.oauthtest import OAuthServer
from trayapp.vault.keystore import MemoryKeystore

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.oauth_server(access_token_lifetime=60.0)


class NoKeyring(MemoryKeystore):
    """A machine without any keyring, until one appears."""

    here = False

    async def load(self, name: str, **how: Any) -> Any:
        return await super().load(name) if self.here else Trouble.UNAVAILABLE

    async def probe(self, name: str, **how: Any) -> Trouble | None:
        return None if self.here else Trouble.UNAVAILABLE

    async def store(self, name: str, login: Any) -> Trouble | None:
        return await super().store(name, login) if self.here else Trouble.UNAVAILABLE

    async def status(self) -> Trouble | None:
        return None if self.here else Trouble.UNAVAILABLE


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    program = Program(tmp_path, NoKeyring())
    program.write(CONFIG.format(port=0, server=server))
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    with program:
        program.until(lambda: program.last.this_run_only, "the missing keyring")
        yield program


def signed_in(program: Program) -> str:
    """Sign in; the page that the browser shows at the end."""
    begun = program.client.post("one", "reauthorize", {"browser": False, "accept": False})
    with urllib.request.urlopen(str(begun["authorization_url"]), timeout=10) as answer:
        return str(answer.read().decode())


def test_every_place_says_so(program: Program, capsys: Capture) -> None:
    """The browser's page, the notification, the list and the API."""

    page = signed_in(program)
    assert "Signed in to one for this run only" in page
    assert f"{THIS_RUN_ONLY} {START_KEYRING}" in page.replace("&#x27;", "'")
    program.becomes("running not_stored")
    (notice,) = app_notices(program.last)
    assert "Signed in to one for this run only" == notice.title
    assert program.client.app()["this_run_only"] is True
    assert 0 == main(["list"])
    assert "No keyring" in capsys.readouterr().err


def appears(program: Program) -> None:
    """A keyring was started."""
    assert isinstance(program.keystore, NoKeyring)
    program.keystore.here = True
    assert program.control is not None
    program.control.engine._loop.call_soon_threadsafe(program.runtime.keyring_news.up)
    program.until(lambda: not program.last.this_run_only, "the keyring to be noticed")


def test_a_keyring_that_appears_gets_the_login(program: Program) -> None:
    """And the notice goes."""

    signed_in(program)
    program.becomes("running not_stored")
    appears(program)
    program.becomes("running ok")
    assert () == app_notices(program.last)


def test_with_a_keyring_nothing_is_said(program: Program) -> None:
    """The last page is the short one."""

    appears(program)
    assert "this run only" not in signed_in(program)
