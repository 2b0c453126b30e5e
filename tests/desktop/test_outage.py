"""A port that another program has, as a person meets it: amber, one sentence, and *Change port…*."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import labels, line_of, wait_for_icon
from trayapp.core.presentation import Colour
from trayapp.oauthtest import OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=60.0, grace=60)]


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer, taken: socket.socket) -> Iterator[Program]:
    """Signed in, on a port that this process has."""
    program = Program(on_desk, tmp_path, server)
    text = program.paths.config_file.read_text()
    program.configure(text.replace("port = 0", f"port = {taken.getsockname()[1]}"))
    program.sign_in(server.issue(scope="mail"))
    with program:
        yield program
        on_desk.close_menu()
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")
    wait_for(lambda: not on_desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


def test_change_port(on_desk: Desk, program: Program, taken: socket.socket) -> None:
    """The menu says what is wrong and offers the way out, which turns the icon green without a restart."""

    port = taken.getsockname()[1]
    wait_for_icon(on_desk, Colour.AMBER)
    wait_for(on_desk.notifications, "the notification")
    box = on_desk.open_menu()
    assert f"⚠ Clients can't connect: port {port} is in use" == labels(on_desk)[0]
    on_desk.click_row(box, line_of(on_desk, "Change port…"))
    wait_for_icon(on_desk, Colour.GREEN)
    found = re.search(r"^port = (\d+)$", program.paths.config_file.read_text(), re.MULTILINE)
    assert found is not None
    socket.create_connection(("127.0.0.1", int(found[1])), 5).close()
    assert "Change port…" not in labels(on_desk)


def test_it_recovers_on_its_own(on_desk: Desk, program: Program, taken: socket.socket) -> None:
    """The other program ends: the icon turns green, and the notification goes."""

    wait_for_icon(on_desk, Colour.AMBER)
    wait_for(on_desk.notifications, "the notification")
    taken.close()
    wait_for_icon(on_desk, Colour.GREEN)
    wait_for(lambda: not on_desk.notifications(), "the notification to go")
