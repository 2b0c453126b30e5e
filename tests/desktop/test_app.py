"""The real app in a real tray with a real keyring: what a person sees and clicks, also without panel, bus or display."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour
from trayapp.oauthtest import Mode, OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=1.0, grace=60)]

VISIBLE_SHARE = 0.02  # of the icon's square: a colour counts as visible
REAUTHORIZE = 1  # line of the menu below the summary, where it is needed
QUIT = -1
NO_HOST = "This desktop shows no tray icons"
# The app waits 15 s for a panel before it reports that there is none; here 1 s.
SHORT_HOST_GRACE = """
import sys
from trayapp.tray.sni import Icon
Icon.__init__.__kwdefaults__["host_grace"] = 1.0
from trayapp.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def program(on_desk: Desk, tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    """Signed in and running, with a green icon."""
    yield from green_program(on_desk, tmp_path, server)


def green_program(desk: Desk, root: Path, server: OAuthServer) -> Iterator[Program]:
    """For fixtures. Nothing of it is left on the desk afterwards."""
    program = Program(desk, root, server)
    program.sign_in(server.issue(scope="mail"))
    with program:
        program.until_is("running", "ok")
        wait_for_icon(desk, Colour.GREEN)
        yield program
        desk.close_menu()
    wait_for(lambda: not desk.tray_items(), "the icon to go")
    wait_for(lambda: not desk.notifications(), "the notifications to go")
    assert "Traceback" not in program.log()


def wait_for_icon(desk: Desk, *wanted: Colour) -> None:
    """Wait until the icon shows these colours and no others."""

    def visible() -> bool:
        shares = desk.icon_shares(Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE)
        return {colour for colour, share in shares.items() if share > VISIBLE_SHARE} == {*wanted}

    wait_for(visible, f"an icon in {' and '.join(wanted)}", 15)


def labels(desk: Desk) -> list[str]:
    """The lines of the menu, from the top."""
    (item,) = desk.tray_items()
    asked = ("com.canonical.dbusmenu.GetLayout", "int32:0", "int32:1", "array:string:label")
    text = desk.call(item.split("/")[0], "/MenuBar", *asked)
    return re.findall(r'string "label"\s+variant\s+string "(.*)"', text)


def line_of(desk: Desk, label: str) -> int:
    """The index of a line of the menu."""
    return labels(desk).index(label)


def test_a_firewall_and_a_verdict_on_the_panel(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """Amber, then green on its own; red with a notification, whose button opens the sign-in page and makes it green."""

    server.mode = Mode.FIREWALL
    wait_for_icon(on_desk, Colour.AMBER)
    assert [] == on_desk.notifications()
    server.mode = Mode.SUCCESS
    wait_for_icon(on_desk, Colour.GREEN)
    assert 0 == server.count("authorize")

    server.revoke_all()
    wait_for_icon(on_desk, Colour.RED)
    on_desk.press_button(0)
    wait_for_icon(on_desk, Colour.GREEN)
    program.until_is("running", "ok")
    assert ["came", "200"] == program.visits()


def test_reauthorize_from_the_menu_fixes_a_verdict(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """The line at the top, clicked twice quickly, opens one page."""

    server.revoke_all()
    wait_for_icon(on_desk, Colour.RED)
    x, y = on_desk.open_menu()[0] + 40, on_desk.rows(on_desk.menus()[0])[REAUTHORIZE]
    on_desk.xdo("mousemove", x, y, "sleep", "0.15", "click", "--repeat", 2, "--delay", 40, 1)
    wait_for_icon(on_desk, Colour.GREEN)
    assert ["came", "200"] == program.visits()


def test_muting_suppresses_notifications_and_is_remembered(
    on_desk: Desk, program: Program, server: OAuthServer
) -> None:
    """*Mute notifications*: red without a notification, also after a restart."""

    on_desk.click_row(on_desk.open_menu(), line_of(on_desk, "Mute notifications"))
    wait_for(program.paths.muted_file.exists, "the wish to be kept")
    server.revoke_all()
    wait_for_icon(on_desk, Colour.RED)
    time.sleep(0.5)
    assert [] == on_desk.notifications()
    assert 0 == program.quit()
    with program:
        program.until_is("unauthenticated", "refused")
        wait_for_icon(on_desk, Colour.RED)
        time.sleep(0.5)
        assert [] == on_desk.notifications()
        assert 0 == program.quit()


def test_quit_in_the_menu_ends_the_app(on_desk: Desk, program: Program) -> None:
    """With exit code 0; icon and server.json are gone."""

    on_desk.click_row(on_desk.open_menu(), QUIT)
    assert 0 == program.wait_ended(), program.tail()
    assert not (program.paths.runtime_dir / "server.json").exists()
    assert 3 == program.command("list").returncode


def test_a_panel_that_restarts_shows_the_icon_again(on_desk: Desk, program: Program, server: OAuthServer) -> None:
    """With its present state; the menu works, and the short absence is not reported."""

    on_desk.stop_panel()
    server.mode = Mode.FIREWALL
    program.until(lambda visible: visible["status"] == "auth_retrying", "amber")
    on_desk.start_panel()
    wait_for_icon(on_desk, Colour.AMBER)
    assert NO_HOST not in program.log()
    on_desk.click_row(on_desk.open_menu(), QUIT)
    assert 0 == program.wait_ended(), program.tail()


def doctor(program: Program) -> str:
    """What `doctor` reports about the running app."""
    done = program.command("doctor", "--json")
    return " ".join(check["text"] for check in json.loads(done.stdout) if check["name"].startswith("app"))


def test_a_desktop_without_a_tray_is_reported_once(tmp_path: Path, server: OAuthServer) -> None:
    """By notification, log and doctor; the app works, and a panel that starts later shows the icon."""

    require_desk()
    with Desk(panel=False, keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        program.program = ("-c", SHORT_HOST_GRACE)
        with program:
            box = desk.notification()
            assert NO_HOST in doctor(program)
            desk.click(box[0] + 40, box[1] + 20)
            wait_for(lambda: not desk.notifications(), "the notification to go")
            program.run("reauthorize", program.name)
            program.until_is("running", "not_stored")
            time.sleep(1.5)
            assert 1 >= len(desk.notifications()), "only that this login can't be saved"
            assert 1 == program.log().count(NO_HOST)
            desk.start_panel()
            wait_for_icon(desk, Colour.GREEN)
            assert NO_HOST not in doctor(program)
            assert 0 == program.quit(), program.tail()


def test_without_a_display_and_a_bus(tmp_path: Path, server: OAuthServer) -> None:
    """`amberlight run` logs in one line that there is no icon, and runs; every command works."""

    require_desk()
    with Desk(panel=False, notifications=False, keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_CURRENT_DESKTOP"):
            program.environment.pop(name, None)
        with program:
            program.until_is("auth_retrying", "keyring_unavailable")
            program.run("reauthorize", program.name)
            assert (
                "not_stored"
                == program.until(lambda visible: visible["status"] == "running", "running")["auth"]["detail"]
            )
            assert server.valid_access(program.run("token", program.name, "--min-validity", "0").strip())
            assert program.name in program.run("list")
            assert 0 == program.quit(), program.tail()
    assert 1 == program.log().count("no tray icon: this session has no D-Bus session bus")
    assert "Traceback" not in program.log()
    assert "" == program.output.read_text()


def test_a_bus_that_ends(tmp_path: Path, server: OAuthServer) -> None:
    """The app may outlive a logout: it keeps working, logs the loss once, and quits on request."""

    require_desk()
    with Desk(keyring_password=None) as desk:
        program = Program(desk, tmp_path, server)
        with program:
            program.until_is("auth_retrying", "keyring_unavailable")
            program.run("reauthorize", program.name)
            program.until_is("running", "not_stored")
            wait_for_icon(desk, Colour.GREEN)
            desk.end_session_bus()
            wait_for(lambda: "the tray icon is gone" in program.log(), "a word about it")
            sent = server.count("token")
            assert server.wait("token", times=sent + 2), "refreshing continues"
            program.until_is("running", "not_stored")
            assert 0 == program.quit(), program.tail()
    assert "Traceback" not in program.log()
