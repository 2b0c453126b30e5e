"""A refusal by mistake and a removal that isn't finished, with the whole program and its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.engine.test_removals import Lockable
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.menu import tray_view
from trayapp.core.model import Trouble
from trayapp.engine import removals
from trayapp.oauthtest import Mode, OAuthServer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program that isn't started yet, signed in; commands find it."""
    program = Program(tmp_path, Lockable())
    program.write(CONFIG.format(port=0, server=server))
    program.keystore._logins["one"] = login_of(server)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    return program


def menu(program: Program) -> dict[str, str]:
    return {item.key: item.text for item in tray_view(program.last, lambda wall: "10:42").menu}


def test_retry_asks_the_server_and_says_what_it_said(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """One request for one command; `status`, `list` and the menu say that it was checked again."""

    server.mode = Mode.INVALID_CLIENT
    with program:
        program.becomes("unauthenticated refused")
        assert 4 == main(["status", "one"])
        assert "Amberlight checks again within the hour" in capsys.readouterr().out
        sent = server.count("token")
        assert 0 == main(["retry", "one"])
        program.until(lambda: program.last.workloads["one"].auth.rechecked_at is not None, "the answer")
        assert sent + 1 == server.count("token")
        capsys.readouterr()
        assert 4 == main(["status", "one"])
        told = capsys.readouterr().out
        assert "Refused: " in told
        assert "Checked: " in told
        assert 0 == main(["list"])
        assert "checked again" in capsys.readouterr().out
        assert menu(program)["workload:one"].endswith("one: Sign-in needed, checked again at 10:42")
        server.mode = Mode.SUCCESS
        assert 0 == main(["retry", "one"])
        program.becomes("running ok")


def test_remove_with_the_server_down(
    program: Program, server: OAuthServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It's removed, and said to be valid there until the server has confirmed the revocation."""

    monkeypatch.setattr(removals, "REVOKE_WAITS", (1.0,) * 10)
    with program:
        program.becomes("running ok")
        server.down()
        assert 0 == main(["remove", "one", "--yes"])
        told = capsys.readouterr()
        assert "Removed one." in told.out
        assert "may still be valid at 127.0.0.1" in told.err
        program.until(lambda: "removal:one" in menu(program), "the menu's line")
        server.up()
        program.until(lambda: server.count("revoke") == 1 and "removal:one" not in menu(program), "the revocation")


def test_remove_behind_a_locked_keyring(program: Program, server: OAuthServer, capsys: Capture) -> None:
    """Nothing of it is left once a later run finds the keyring open."""

    keystore = program.keystore
    assert isinstance(keystore, Lockable)
    with program:
        program.becomes("running ok")
        keystore.trouble = Trouble.LOCKED
        assert 0 == main(["remove", "one", "--yes"])
        told = capsys.readouterr()
        assert "Removed one." in told.out
        assert "still in the keyring" in told.err
        assert "valid" not in told.err  # that much was done
    assert "one" in keystore._logins

    keystore.trouble = None
    program.write(CONFIG.format(port=0, server=server))
    program.snapshots.clear()
    program.control = None
    with program:
        program.becomes("unauthenticated never_signed_in")
        assert "one" not in keystore._logins
        assert "removal:one" not in menu(program)
