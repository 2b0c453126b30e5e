"""The device flow on a real desktop: the notification and the menu line with the code, and what a click opens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk
from tests.desktop.program import CONFIG, NAME, Program
from tests.desktop.screen import wait_for
from tests.desktop.test_app import labels, line_of
from trayapp.oauthtest import OAuthServer

# Consent is not automatic: the code has to be entered.
pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(device=True, device_interval=1.0, consent="page")]

CANCEL = 2  # line of the submenu, below those that try again and that show the page
DEVICE = 'flow = "device"\ndevice_authorization_endpoint = "{server.device_authorization_endpoint}"\n'


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    program = Program(on_desk, tmp_path, server)
    program.configure((CONFIG + DEVICE).format(name=NAME, server=server))
    program.sign_in(server.issue(scope="mail"))
    with program:
        program.until_is("running", "ok")
        yield program
        on_desk.close_menu()
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")
    wait_for(lambda: not on_desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


def test_the_code_is_shown_until_it_is_entered(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """A notification with a button and a line in the menu; each opens the page; both go once the code is entered."""

    before = program.status()["auth"]["last_refreshed_at"]
    program.client().post(NAME, "reauthorize", {"browser": False})
    (code,) = server.user_codes()
    assert code == program.status()["auth"]["device"]["user_code"]
    assert [] == program.visits()

    on_desk.press_button(0)
    wait_for(lambda: program.visits() == ["came", "200"], "the page")
    label = f"{NAME}: Enter code {code} at {server.url.partition('//')[2]}/device…"
    wait_for(lambda: program.status()["auth"]["signing_in"], "still signing in")
    time_for_a_second_click()
    on_desk.click_row(on_desk.open_menu(), line_of(on_desk, label))
    wait_for(lambda: program.visits() == ["came", "200"] * 2, "the page again")

    server.approve(code)
    found = program.until(lambda s: not s["auth"]["signing_in"], "signed in")
    assert ("running", "ok", None) == (found["status"], found["auth"]["detail"], found["auth"]["device"])
    assert before != found["auth"]["last_refreshed_at"]
    wait_for(lambda: not on_desk.notifications(), "the notification to go")
    assert code not in program.log()


def test_a_sign_in_is_cancelled_in_the_menu(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """*Cancel sign-in* in the submenu removes the code, and everything is as before."""

    before = program.status()["auth"]["last_refreshed_at"]
    program.client().post(NAME, "reauthorize", {"browser": False})
    on_desk.hover_row(on_desk.open_menu(), line_of(on_desk, f"✔ {NAME}: Connected"))
    submenu = wait_for(lambda: on_desk.menus()[1:], "the submenu")[0]
    on_desk.settle(submenu)
    on_desk.click_row(submenu, CANCEL)

    found = program.until(lambda s: not s["auth"]["signing_in"], "the sign-in to end")
    assert ("running", "ok", before) == (found["status"], found["auth"]["detail"], found["auth"]["last_refreshed_at"])
    assert "cancelled" == found["auth"]["sign_in_error"]["kind"]
    wait_for(lambda: not on_desk.notifications(), "the notification to go")
    assert not any(line.startswith(f"{NAME}: ") for line in labels(on_desk)), "the code is still in the menu"


def time_for_a_second_click() -> None:
    """Two clicks within two seconds are one (`signing.CLICK_SPACING`)."""
    time.sleep(2.1)
