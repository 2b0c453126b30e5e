"""A sign-in whose page does not open: the real xdg-open fails or stays, and the person still gets the address."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.requirements import skip_or_fail
from trayapp.oauthtest import OAuthServer, browse

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=60.0, consent="auto")]


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    """Running and not signed in yet; its xdg-open is the real one, `gio` a program that the test writes."""
    if shutil.which("xdg-open") is None:
        skip_or_fail("xdg-open is not installed")
    programs = tmp_path / "bin"
    programs.mkdir()
    program = Program(on_desk, tmp_path, server, "--no-tray")
    program.environment |= {"XDG_CURRENT_DESKTOP": "GNOME", "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    del program.environment["BROWSER"]
    write(programs / "xclip", f"cat > {tmp_path}/clipboard")
    with program:
        program.until_is("unauthenticated", "never_signed_in")
        yield program
    wait_for(lambda: not on_desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


def write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def gio(program: Program, script: str) -> None:
    """What the desktop's own opener does."""
    write(program.root / "bin/gio", f'[ "$1" = help ] && exit 0\n{script}')


@pytest.mark.parametrize(
    ("script", "fault"), [("echo no handler for $2 >&2; exit 1", "not_opened"), ("exec sleep 15", "uncertain")]
)
def test_a_page_that_does_not_open(
    on_desk: Desk, program: Program, server: OAuthServer, script: str, fault: str
) -> None:
    """A notification copies the address, with which the sign-in ends; no output and no log has its `state`."""

    gio(program, script)
    program.client().post(program.name, "reauthorize", {"browser": True})
    program.until(lambda seen: seen["auth"]["browser_fault"] == fault, fault, 10.0)
    on_desk.press_button(0)
    copied = program.root / "clipboard"
    wait_for(lambda: copied.exists() and copied.read_text(), "the address in the clipboard")
    url = copied.read_text()
    assert url.startswith(server.authorization_endpoint)
    assert "state=" not in program.log()
    browse(url)
    seen = program.until_is("running", "ok")
    assert seen["auth"]["browser_fault"] is None


def test_commands_say_one_sentence(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """`reauthorize`, `dashboard` and a second `run` with an xdg-open that fails: what to do, and nothing of its own."""

    gio(program, "echo no handler for $2 >&2; exit 1")
    with subprocess.Popen(
        [sys.executable, "-m", "trayapp", "reauthorize", program.name],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        sentence = command.stderr.readline()
        assert "amberlight: couldn't open a browser. Open the address above to sign in to mail.\n" == sentence
        url = next(line.strip() for line in command.stdout if server.authorization_endpoint in line)
        browse(url)
        assert "mail is signed in.\n" == command.stdout.read().splitlines(keepends=True)[-1]
        assert ("", 0) == (command.stderr.read(), command.wait())

    done = program.command("dashboard")
    assert (1, "") == (done.returncode, done.stdout)
    assert "amberlight: couldn't open a browser. For a link: amberlight dashboard --print\n" == done.stderr
    done = program.command("run")
    assert 1 == done.returncode
    assert ["Amberlight is already running. Look for its icon, or run `amberlight list`."] == done.stderr.splitlines()
